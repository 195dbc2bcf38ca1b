import { z } from 'zod'
import { capacityType } from '../capacity.ts'
import { servedStepsMax } from '../served.ts'
import { disruptionBudget } from './disruption-budget.ts'
import { base, conditions, count, observedGeneration, seconds, step, timestamp } from './fields.ts'
import { together, topology } from './topology.ts'

export const accelerator = z.strictObject({
  model: z.string().describe('"cpu" for a slot, else the accelerator model.'),
  count: z.number().min(0).describe('Accelerators per member; a fraction is a share of one.'),
  speed: z
    .number()
    .positive()
    .optional()
    .describe('How fast a member works on it; 1, for which times are declared, when left out.'),
})

export const seat = z.strictObject({
  pod: z.string().describe('The pod that sits here.'),
  group: z.string().describe('Its group.'),
  rank: count.describe('RANK: its number in the gang.'),
  localRank: count.describe('LOCAL_RANK: its number on the node.'),
  node: z.string().describe('The node.'),
  devices: z
    .array(
      z.strictObject({
        id: z.string().describe('Device of the node.'),
        milli: z.number().int().min(1).max(1000).describe('Share of it in thousandths.'),
      }),
    )
    .describe('What it may use.'),
  model: z
    .string()
    .optional()
    .describe('Accelerator model of the devices, where its group alone does not say it: known when the node is gone.'),
  ports: z.array(z.number().int()).describe('Ports of the node that are its own.'),
  address: z.string().optional().describe('Where its node is reached. Of a gang whose members rejoin.'),
  joined: z
    .boolean()
    .optional()
    .describe('It came while the others ran: it works from its own first step on. Of a gang whose members rejoin.'),
})

const evictionReason = z
  .enum(['InQueue', 'InCohortReclamation', 'InCohortFairSharing', 'InCohortReclaimWhileBorrowing', 'Defragmentation'])
  .describe(
    'Why it may be taken: lower in its own queue; borrowed from the one that wants it back; more than a fair share; lower and borrowed, by one that borrows too; it has room elsewhere, and moves there.',
  )

const shrinks = z.boolean().optional().describe('What is not taken is enough for it to go on with: that stays its own.')

const victim = z.strictObject({
  gang: z.string().describe('namespace/name.'),
  uid: z.string().describe('Its uid.'),
  attempt: count.describe('The attempt that leaves.'),
  reason: evictionReason,
  lostSeconds: z.number().min(0).describe('GPU-seconds of work that it loses, as priced then: seconds at speed 1.'),
  shrinks,
  movesTo: z
    .array(seat)
    .optional()
    .describe(
      'It moves: the seats of its next attempt, kept for it from this decision on. Else it stands in line again.',
    ),
})

const checkpoint = z.strictObject({
  step: step.describe('Step that it holds.'),
  attempt: count.describe('Attempt that wrote it.'),
  at: timestamp.describe('When it was written.'),
  digest: z.string().describe('Digest over its manifests.'),
  bytes: z.number().default(0).describe('Its size.'),
  manifests: z.array(z.string()).describe('Blob keys of the manifests, by rank.'),
  digests: z.array(z.string()).optional().describe('sha256 of each manifest: what restoring checks it against.'),
  copies: z
    .array(z.string())
    .optional()
    .describe(
      'By rank, the nodes that had a copy in memory when it was committed, with commas between. Of the newest alone.',
    ),
  seconds: z.number().optional().describe('Stall per checkpoint.'),
})

export const gang = z
  .strictObject({
    ...base('Gang'),
    spec: z
      .strictObject({
        attempt: z.number().int().min(1).describe('Raised for each new incarnation; seats of an older one are void.'),
        spareAttempt: z
          .number()
          .int()
          .optional()
          .describe(
            'The attempt that may sit on spare nodes: one after a failure, or after a node that had to be left.',
          ),
        queue: z.string().describe('The Queue whose share it uses.'),
        priority: z.number().int().describe('Higher goes first.'),
        served: z
          .number()
          .int()
          .min(0)
          .max(servedStepsMax)
          .optional()
          .describe(
            'Accelerator-time that it has had, in steps, where its Queue is ordered by that: of equal priority whoever has had less goes first.',
          ),
        preemptible: z.boolean().default(true).describe('Whether its seats may be taken.'),
        preemptionPolicy: z
          .enum(['PreemptLowerPriority', 'Never'])
          .optional()
          .describe('Never: it displaces nobody. So recovery says of one that fails again and again.'),
        disruptionBudget: disruptionBudget
          .extend({ of: z.string().describe('Gangs of the namespace that say the same name share it.') })
          .optional()
          .describe('How many of those that share it may be asked to leave at once.'),
        suspend: z.boolean().default(false).describe('Wants no seats.'),
        rejoins: z
          .boolean()
          .optional()
          .describe('A member that fails leaves alone, and another takes its place while the others go on.'),
        left: z
          .array(z.string())
          .optional()
          .describe('Pods of members that have left: their seats are void, whatever the attempt. Written by recovery.'),
        groups: z
          .array(
            z.strictObject({
              name: z.string().describe('Name of the group.'),
              min: z.number().int().min(1).describe('Fewest members that are of use.'),
              max: z.number().int().min(1).describe('Most members that are of use.'),
              accelerators: z.array(accelerator).min(1).describe('Alternatives in order of preference.'),
              cpuMilli: z.number().min(0).default(0).describe('Thousandths of a core per member.'),
              memoryBytes: z.number().min(0).default(0).describe('Memory per member.'),
              ports: z.number().int().min(0).default(1).describe('Ports of its node that each member needs.'),
              nodeSelector: z.record(z.string(), z.string()).default({}).describe('Labels that the node must have.'),
              tolerations: z.array(z.looseObject({})).default([]).describe('Taints that members put up with.'),
              affinity: z
                .looseObject({})
                .optional()
                .describe("Kubernetes' affinity: what it requires and prefers of nodes, and of pods that are there."),
              topologySpreadConstraints: z
                .array(z.looseObject({}))
                .optional()
                .describe("Kubernetes' own: how evenly pods are spread over the values of a node label."),
              labels: z
                .record(z.string(), z.string())
                .optional()
                .describe("Labels of the members' template: pod affinity finds pods by them."),
              capacityTypes: z
                .array(capacityType)
                .min(1)
                .optional()
                .describe('How nodes that it may sit on are paid for, in order of preference; any when left out.'),
              topology: topology.optional().describe('How close together the members of this group sit.'),
            }),
          )
          .min(1)
          .describe('Members of one shape each; all are seated together.'),
        topology: topology
          .optional()
          .describe('How close together all members sit. Slices, balanced and scattered count for each group.'),
        together: together.optional().describe('Groups that sit closer together than the gang as a whole.'),
        checkpointRequest: z
          .strictObject({
            step: step.describe('The step to checkpoint at, the same for all ranks.'),
            stop: z.boolean().default(false).describe('Stop once it is written.'),
          })
          .optional()
          .describe('A checkpoint asked of all ranks.'),
        expectedSeconds: seconds.optional().describe('Declared running time, at speed 1.'),
        replaces: z
          .strictObject({ name: z.string().describe('Its name.'), uid: z.string().describe('Its uid.') })
          .optional()
          .describe('The gang that leaves once this one is ready, and whose seats elsewhere this one gets.'),
      })
      .describe('What to seat.'),
    status: z
      .strictObject({
        observedGeneration,
        conditions,
        seats: z
          .strictObject({
            attempt: count.describe('The attempt that they are for.'),
            epoch: count.describe('Epoch of the leader that decided.'),
            at: timestamp.describe('When they were committed.'),
            masterAddr: z.string().describe('MASTER_ADDR: where rank 0 listens.'),
            masterPort: z.number().int().describe('MASTER_PORT.'),
            speed: z
              .number()
              .positive()
              .optional()
              .describe('How fast it works here, by what it says of its accelerators; 1 when left out.'),
            members: z.array(seat).describe('One seat a member.'),
            made: count
              .optional()
              .describe(
                'How many seats the attempt has been given: pods are numbered on from there. Where members rejoin.',
              ),
            size: count
              .optional()
              .describe('The most members that it has had at once: so many it is to have again. Where members rejoin.'),
          })
          .optional()
          .describe(
            'Where each member sits; void unless the attempt is spec.attempt, and of a pod that spec.left names.',
          ),
        hold: z
          .strictObject({
            attempt: count.describe('The attempt that it is for; void for another.'),
            epoch: count.describe('Epoch of the leader that decided.'),
            at: timestamp.describe('When it was committed.'),
            members: z.array(seat).describe('Where it will sit.'),
            victims: z
              .array(victim)
              .describe('Whose seats are taken for it; none where it moves, and these are for its next attempt.'),
            gainSeconds: z
              .number()
              .min(0)
              .optional()
              .describe(
                'GPU-seconds by which it starts sooner, where others move for it: what they lose is weighed against this.',
              ),
          })
          .optional()
          .describe('Capacity kept for it while victims leave, or until its next attempt starts elsewhere.'),
        eviction: z
          .strictObject({
            attempt: count.describe('The attempt that is to leave; void for another.'),
            by: z.string().describe('namespace/name of the gang that it leaves for.'),
            reason: evictionReason,
            message: z.string().describe('In words.'),
            at: timestamp.describe('When it was asked.'),
            shrinks,
          })
          .optional()
          .describe(
            'Its seats are asked back: it checkpoints, leaves and stands in line again; or starts again where a hold keeps seats for its next attempt.',
          ),
        resize: z
          .strictObject({
            attempt: count.describe('The attempt that makes room for a larger one; void for another.'),
            epoch: count.describe('Epoch of the leader that decided.'),
            at: timestamp.describe('When it was decided.'),
            members: z.array(seat).min(1).describe('What is kept for it beside its seats, until it sits again.'),
            priceSeconds: z.number().min(0).describe('GPU-seconds that starting again costs, as priced then.'),
            gainSeconds: z.number().min(0).describe('GPU-seconds that the new members are expected to work.'),
            message: z.string().describe('In words, with all numbers.'),
          })
          .optional()
          .describe('It is to grow: it checkpoints, stops and sits again with more members, keeping what it has.'),
        epoch: count
          .optional()
          .describe('Leader epoch that last touched this gang: a new leader writes its own before it decides.'),
        checkpoint: checkpoint.optional().describe('The last committed checkpoint that is not known to be damaged.'),
        checkpoints: z
          // Before there was a choice of which to go on from, no more of an older one was kept than what restores it.
          .array(checkpoint.partial({ at: true, digest: true, bytes: true }))
          .default([])
          .describe('Older committed checkpoints that retention still keeps, newest first.'),
        checkpointRequestSeconds: z
          .number()
          .min(0)
          .optional()
          .describe(
            'What its last checkpoint on request took: its stall, and until it was durable. Not there while none was written when asked, or where the grace period is too short for it.',
          ),
        stepSeconds: z.number().optional().describe('Mean of the recent steps.'),
        restartSeconds: z.number().optional().describe('Measured time from seats to the first step.'),
        expectedEnd: timestamp.optional().describe('When its present attempt should be done, by its pace.'),
        expectedEndRange: z
          .strictObject({
            earliest: timestamp.describe('Were all steps as quick as the quickest tenth of late.'),
            latest: timestamp.describe('Were all as slow as the slowest tenth.'),
          })
          .optional()
          .describe('Between which times that is.'),
      })
      .optional()
      .describe('What was seen and decided last.'),
  })
  .describe('Pods that start together or not at all: what the scheduler seats.')

export type Gang = z.output<typeof gang>
export type Seat = z.output<typeof seat>

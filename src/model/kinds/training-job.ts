import { z } from 'zod'
import { capacityWanted } from '../capacity.ts'
import { formatDuration, readDuration } from '../duration.ts'
import { health } from '../health.ts'
import { dnsLabel } from '../metadata.ts'
import { forms } from '../schema-fields.ts'
import { copiesMax } from '../work.ts'
import {
  base,
  conditions,
  count,
  duration,
  line,
  observedGeneration,
  seconds,
  step,
  sugar,
  timestamp,
} from './fields.ts'
import { podTemplate } from './kubernetes.ts'
import { together, topology } from './topology.ts'

export const trainingJob = z
  .strictObject({
    ...base('TrainingJob'),
    spec: z
      .strictObject({
        queue: dnsLabel.default('default').describe('The Queue whose share it uses.'),
        priority: z.number().int().min(-1_000_000_000).max(1_000_000_000).default(0).describe('Higher goes first.'),
        preemptible: z
          .boolean()
          .default(true)
          .describe(
            'Whether its seats may be taken for more urgent work, after a checkpoint. false: never, and it borrows nothing: it may only use what its Queue owns. From its next seats on.',
          ),
        capacityType: capacityWanted
          .optional()
          .describe(
            'Where it may sit: reserved, on-demand or spot, as Pools and nodes are paid for; a list is in order of preference. Anywhere when left out.',
          ),
        suspend: z.boolean().default(false).describe('true: checkpoint, stop and give the seats back.'),
        workers: z
          .number()
          .int()
          .min(1)
          .max(100_000)
          .optional()
          .describe('Members of the one group (sugar for groups).'),
        minWorkers: z
          .number()
          .int()
          .min(1)
          .max(100_000)
          .optional()
          .describe(
            'Makes the job elastic: it runs with as many members as there is room for, from this to workers. Each attempt reads WORLD_SIZE anew.',
          ),
        ...sugar,
        groups: z
          .array(
            z.strictObject({
              name: dnsLabel.default('worker').describe('Name of the group, unique in the job.'),
              replicas: z.number().int().min(1).max(100_000).default(1).describe('Members of this group.'),
              minReplicas: z
                .number()
                .int()
                .min(1)
                .max(100_000)
                .optional()
                .describe('Makes the group elastic: from this to replicas members.'),
              template: podTemplate.describe("Kubernetes' whole PodTemplateSpec."),
              topology: topology.optional().describe('How close together the members of this group sit.'),
            }),
          )
          .min(1)
          .max(32)
          .optional()
          .describe('Member groups of one shape each; all of them start together.'),
        dataset: line(2000).optional().describe('Name of a Dataset, or a URI (file:///path).'),
        checkpoint: z
          .strictObject({
            interval: z
              .string()
              .max(64)
              .superRefine((value, context) => {
                if (value === 'auto') return
                const read = readDuration(value)
                if ('problem' in read) context.addIssue({ code: 'custom', message: `${read.problem}, or auto` })
                else if (read.ms < 1000) context.addIssue({ code: 'custom', message: 'must be at least 1s' })
              })
              .register(forms, { form: 'duration or auto' })
              .optional()
              .describe(
                "How often a checkpoint is asked for: 30s, 10m, or auto (the exact optimum from measured cost and failure rate, between 5s and 1h, never below what shipping takes, the first after 1m at the latest). Left out: the job's own rhythm.",
              ),
            ranks: z.enum(['first', 'all']).default('first').describe('Which ranks write a part of each checkpoint.'),
            keep: z.number().int().min(1).max(1000).default(2).describe('Committed checkpoints kept.'),
            copies: z
              .number()
              .int()
              .min(0)
              .max(copiesMax)
              .default(0)
              .describe(
                'Nodes that also keep the newest checkpoint in memory, so that a restart need not wait for object storage: 1, the node that wrote it; 2, one in another rack as well. 0: none. From the next attempt on.',
              ),
          })
          .prefault({})
          .describe('When the job is asked for a checkpoint, who writes it, how many are kept, and where.'),
        progress: z
          .strictObject({
            pattern: z
              .string()
              .max(1000)
              .describe('For example: step (?<step>[0-9]+)/(?<steps>[0-9]+) loss (?<loss>[0-9.]+)'),
          })
          .optional()
          .describe(
            'Regular expression over the log with the named groups step, steps (in all), loss, samples, tokens.',
          ),
        progressDeadlineSeconds: seconds
          .optional()
          .describe(
            'An attempt of which no member tells its first steps for so long is taken for hung; where one does, the others need not. When left out: 600, or three times as long as it took to start, once the job has made a step, for then it tells its progress.',
          ),
        maxRestarts: z
          .number()
          .int()
          .min(0)
          .max(10_000)
          .default(5)
          .describe('Failed attempts allowed without a new durable checkpoint between them.'),
        failurePolicy: z
          .strictObject({
            failExitCodes: z
              .array(z.number().int().min(1).max(255))
              .max(255)
              .optional()
              .describe('Exit codes that fail the job at once.'),
            restartExitCodes: z
              .array(z.number().int().min(1).max(255))
              .max(255)
              .optional()
              .describe('Exit codes that always restart.'),
            restart: z
              .enum(['gang', 'worker'])
              .optional()
              .describe(
                "What starts again when a worker fails: gang (when left out), all workers together from the last checkpoint; worker, that one alone, while the others go on without it and take the new one in. For programs that can do that (torchft's replica groups), of one elastic group, each worker of which has the whole state.",
              ),
            lossSpike: z
              .strictObject({
                factor: z
                  .number()
                  .min(2)
                  .max(1_000_000)
                  .default(health.lossSpike.at)
                  .describe('So many times the median of the losses before is a spike; what is no number always is.'),
                latency: duration
                  .default(formatDuration(1000 * health.lossLatency.at))
                  .describe(
                    'A machine may compute wrongly for so long before the loss shows it: the job goes back to a checkpoint that is older, and so one is kept.',
                  ),
              })
              .optional()
              .describe(
                'Restarts the job, from before, when its loss is no number or many times what it was for three steps in a row, as when a machine computes wrongly. A second time on one node closes that node. Left out: a loss restarts nobody. {}: the defaults.',
              ),
          })
          .prefault({})
          .describe('Which exit codes are a bug of the job (fail at once) and which are bad luck (restart).'),
        activeDeadlineSeconds: seconds
          .optional()
          .describe(
            'Fails the job when it has had seats for this long, all attempts together; while it waits or is suspended nothing of it is used.',
          ),
        ttlSecondsAfterFinished: seconds.optional().describe('Deletes the job this long after its end.'),
        terminationGracePeriodSeconds: seconds
          .default(30)
          .describe('How long a worker may take to checkpoint and stop before it is killed.'),
        output: z
          .strictObject({ model: dnsLabel.describe('Name of the Model to publish.') })
          .optional()
          .describe("Publish rank 0's output as a version of this Model."),
        topology: topology
          .optional()
          .describe(
            'How close together all members sit: zone, block, rack, nvlink, node, or a node label. Slices, balanced and scattered count for each group.',
          ),
        together: together.optional().describe('Groups that sit closer together than the job as a whole.'),
        expectedSeconds: seconds.optional().describe('Declared running time; used to predict starts of others.'),
      })
      .describe('What to run, on what, and what to do when it fails.'),
    status: z
      .strictObject({
        observedGeneration,
        phase: z
          .enum([
            'Pending',
            'Waiting',
            'Starting',
            'Running',
            'Suspending',
            'Suspended',
            'Restarting',
            'Succeeded',
            'Failed',
          ])
          .optional()
          .describe('Where it stands, in one word.'),
        conditions,
        attempt: count.optional().describe('The running number of its incarnations.'),
        restarts: count.optional().describe('Failed attempts so far.'),
        restartsSinceProgress: count.optional().describe('Failed attempts since the last durable checkpoint.'),
        replacedWorkers: count
          .optional()
          .describe('Workers that were replaced while the others went on (failurePolicy.restart: worker).'),
        workers: count.optional().describe('Members that run now.'),
        step: step.optional().describe('The last step that all ranks finished.'),
        steps: step.optional().describe('How many it will do in all, where the job says so.'),
        loss: z.number().optional().describe('Loss at that step.'),
        samplesPerSecond: z.number().optional().describe('Samples a second, all ranks together.'),
        tokensPerSecond: z.number().optional().describe('Tokens a second, all ranks together.'),
        stepSeconds: z.number().optional().describe('Mean of the recent steps.'),
        checkpoint: z
          .looseObject({ step: step, attempt: count, at: timestamp })
          .optional()
          .describe('The last durable checkpoint.'),
        lostSeconds: z.number().optional().describe('GPU- or slot-seconds of work lost to failures.'),
        expectedEnd: timestamp.optional().describe('When it should be done: at its pace, or as declared.'),
        startTime: timestamp.optional().describe('When it first got its seats.'),
        completionTime: timestamp.optional().describe('When it ended.'),
        lastFailure: z
          .looseObject({
            attempt: count,
            reason: z.string(),
            message: z.string(),
            pod: z.string().optional(),
            at: timestamp,
            logTail: z.string().optional(),
          })
          .optional()
          .describe('Why the last attempt failed: the first pod that ended, and its last words.'),
        model: z.string().optional().describe('The Model version that it published.'),
        output: z
          .looseObject({ manifest: z.string(), digest: z.string() })
          .optional()
          .describe("Rank 0's output, once it is durable."),
        message: z.string().optional().describe('One sentence for people.'),
      })
      .optional()
      .describe('What was seen last.'),
  })
  .describe('A gang of workers that runs to completion, checkpoints and recovers.')

export type TrainingJob = z.output<typeof trainingJob>

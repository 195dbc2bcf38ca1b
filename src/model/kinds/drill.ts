import { z } from 'zod'
import { faultFields, faultProblems } from '../faults.ts'
import { resourceName } from '../metadata.ts'
import { base, count, duration, positiveDuration, seconds, timeMs, timestamp } from './fields.ts'

const fault = z
  .strictObject(faultFields)
  .superRefine((value, context) => {
    for (const { at, problem } of faultProblems(value))
      context.addIssue({ code: 'custom', path: [at], message: problem })
  })
  .describe('What goes wrong; `millwright drill` lists the kinds.')

const target = z
  .strictObject({
    job: resourceName.optional().describe('A TrainingJob: the process of its rank, or the node that this one is on.'),
    rank: count.optional().describe('Which worker of the job; 0 when left out.'),
    service: resourceName.optional().describe('An InferenceService: its first replica, or the node of that.'),
    labels: z
      .record(z.string(), z.string())
      .optional()
      .describe('The first pod with all these labels, or the node that it is on.'),
    node: resourceName.optional().describe('A node, or the first pod of this namespace that runs there.'),
  })
  .describe('What is struck: one of job, service, labels and node. Left out where storage or the control plane is.')

const expect = z.strictObject({
  detectedWithin: positiveDuration.optional().describe('From the fault until recovery decides.'),
  recoveredWithin: positiveDuration
    .optional()
    .describe('From the fault until all that was struck does its work again.'),
  attemptsAtMost: count.optional().describe('Attempts that it may cost.'),
  lostSecondsAtMost: seconds.optional().describe('Accelerator-seconds of work that may be lost with it.'),
})

export const ledgerShare = z.strictObject({
  bucket: z.string().describe('What the time went to.'),
  seconds: z.number().describe('Accelerator-seconds.'),
  ofTarget: z.number().describe('Those of the jobs and services that were struck.'),
})

/** A fault injected on purpose. It strikes once. */
export const drill = z
  .strictObject({
    ...base('Drill'),
    spec: z
      .strictObject({
        fault,
        target: target.optional(),
        after: duration.default('0s').describe('It strikes no sooner than so long after it was made.'),
        deadline: positiveDuration
          .default('10m')
          .describe('It has failed when it is not over so long after it was made: nothing to strike, or no recovery.'),
        expect: expect.prefault({}).describe('What must come of it; it has failed otherwise.'),
      })
      .describe('What goes wrong where, and what must come of it.'),
    status: z
      .strictObject({
        phase: z
          .enum(['Waiting', 'Striking', 'Recovering', 'Passed', 'Failed'])
          .optional()
          .describe('Where it stands, in one word.'),
        message: z.string().optional().describe('One sentence for people.'),
        target: z
          .strictObject({
            nodes: z.array(z.string()).describe('Nodes that it strikes, or on which it strikes a process.'),
            pods: z
              .array(
                z.strictObject({
                  name: z.string().describe('Its name.'),
                  namespace: z.string().describe('Its namespace.'),
                  uid: z.string().describe('Its uid: another one of its name is not struck.'),
                }),
              )
              .describe('Pods that it strikes.'),
            gangs: z
              .array(
                z.strictObject({
                  name: z.string().describe('namespace/name.'),
                  owner: z.string().describe('Its job or service, as the ledger names it.'),
                  attempt: count.describe('Its attempt then.'),
                  lostSeconds: z.number().describe('Accelerator-seconds that it had lost to failures by then.'),
                  stepSeconds: z.number().optional().describe('Mean of the recent steps of its slowest rank then.'),
                }),
              )
              .describe('Gangs of these pods.'),
            epoch: count.describe('Epoch of the leader that chose.'),
          })
          .optional()
          .describe('What it strikes, as it was chosen.'),
        accounts: z
          .strictObject({
            throughMs: timeMs.describe('Up to when the ledger was kept by then.'),
            shares: z.array(ledgerShare).describe('What was in it.'),
          })
          .optional()
          .describe('The ledger before it struck.'),
        struckAt: timestamp
          .optional()
          .describe('When it struck. Written before it does, so that no crash makes it strike twice.'),
        mendedAt: timestamp.optional().describe('When what it had done was undone.'),
        refused: z.string().optional().describe('Why it did not strike.'),
        detectedAt: timestamp.optional().describe('When recovery had decided.'),
        stepSeconds: z
          .number()
          .optional()
          .describe('The slowest mean of recent steps since, of the attempts that it struck.'),
        recoveredAt: timestamp.optional().describe('When all that was struck did its work again.'),
        outcome: z
          .strictObject({
            detectedSeconds: z.number().optional().describe('From the fault until recovery decided.'),
            recoveredSeconds: z
              .number()
              .optional()
              .describe('From the fault until all that was struck did its work again.'),
            reason: z.string().optional().describe('What recovery took for the reason.'),
            attempts: count.describe('Attempts that it cost.'),
            stepSeconds: z
              .strictObject({
                before: z.number().describe('Just before it.'),
                slowest: z.number().describe('While it lasted, of the attempts that it struck.'),
              })
              .optional()
              .describe('Mean of recent steps of the slowest rank, where jobs tell their steps.'),
            lostSeconds: z
              .number()
              .describe('Accelerator-seconds of work since the last durable checkpoint, thrown away.'),
            ledger: z
              .strictObject({
                fromMs: timeMs.describe('From when.'),
                throughMs: timeMs.describe('Up to when.'),
                shares: z.array(ledgerShare).describe('What went to each bucket meanwhile.'),
              })
              .optional()
              .describe(
                'What it did to the ledger: what changed in the accounts from just before it to just after it.',
              ),
            unmet: z.array(z.string()).describe('What was expected and is not so.'),
          })
          .optional()
          .describe('What came of it.'),
      })
      .optional()
      .describe('What was seen last.'),
  })
  .describe('A fault injected on purpose, once, and what came of it.')

export type Drill = z.output<typeof drill>

import { z } from 'zod'
import { dnsLabel } from '../metadata.ts'
import { base, conditions, count, perModel, seconds } from './fields.ts'

export const queue = z
  .strictObject({
    ...base('Queue'),
    spec: z
      .strictObject({
        namespaces: z
          .array(z.union([dnsLabel, z.literal('*')]))
          .max(1000)
          .default(['default'])
          .describe('Namespaces that may use it; "*" for all.'),
        parent: dnsLabel.optional().describe('The Queue that it is a part of.'),
        weight: z.number().min(0).max(1_000_000).default(1).describe('Its share of what others leave unused.'),
        nominalQuota: perModel.optional().describe('Accelerators by model; unlimited when left out.'),
        borrowingLimit: perModel.optional().describe('How much more it may borrow, by model; unlimited when left out.'),
        lendingLimit: perModel.optional().describe('How much of its quota others may borrow, by model.'),
        order: z
          .enum(['Age', 'LeastServed'])
          .optional()
          .describe(
            'Which of its jobs of one priority goes first: the oldest (when left out), or the one that has had least accelerator-time. It may displace those that have had more by a step (half an accelerator-hour, then three times as much each).',
          ),
        preemption: z
          .strictObject({
            withinQueue: z
              .enum(['Never', 'LowerPriority', 'LowerOrNewerEqualPriority'])
              .default('LowerPriority')
              .describe('Whom in the queue itself waiting work may displace.'),
            reclaimWithinCohort: z
              .enum(['Never', 'LowerPriority', 'LowerOrNewerEqualPriority', 'Any'])
              .default('Any')
              .describe('Whom in other queues of the tree, that hold more than theirs, it may displace.'),
            borrowWithinCohort: z
              .strictObject({
                policy: z
                  .enum(['Never', 'LowerPriority'])
                  .default('Never')
                  .describe('Whether it may also displace them to borrow itself.'),
                maxPriorityThreshold: z.number().int().optional().describe('Only work of this priority or less.'),
              })
              .optional()
              .describe('Without fair sharing only.'),
            minRunSeconds: seconds
              .optional()
              .describe(
                'For so long whoever sits keeps its seats from others in this Queue and those below it. The nearest Queue that both are part of and that says it decides; none: 0.',
              ),
          })
          .optional()
          .describe("What its waiting work may displace; semantics are Kueue's."),
        fairSharing: z
          .boolean()
          .optional()
          .describe(
            'Of the topmost Queue of a tree: whether borrowed accelerators are shared by weight (the default) or go by priority alone.',
          ),
        defragmentation: z
          .strictObject({
            maxPrice: z
              .number()
              .min(0)
              .max(1000)
              .default(0.25)
              .describe(
                'Accelerator-seconds of work that may be lost for each by which the waiting work starts sooner (of an hour at most).',
              ),
          })
          .optional()
          .describe(
            'Of the topmost Queue of a tree: work of the tree that would fit elsewhere moves there, where waiting work of the tree starts by it and the price is right. Off when left out.',
          ),
        stopPolicy: z
          .enum(['None', 'Hold', 'HoldAndDrain'])
          .default('None')
          .describe('Hold: nothing new starts. HoldAndDrain: what runs is also stopped, after a checkpoint.'),
        budget: z
          .strictObject({ usdPerMonth: z.number().min(0).max(1e12).describe('USD per calendar month.') })
          .optional()
          .describe('What it may spend.'),
      })
      .describe('How big the share is.'),
    status: z
      .strictObject({
        conditions,
        running: count.optional().describe('Gangs that hold seats.'),
        waiting: count.optional().describe('Gangs that wait for seats.'),
        usage: perModel.optional().describe('Accelerators in use, by model.'),
      })
      .optional()
      .describe('What was seen last.'),
  })
  .describe("A tenant's share of the factory.")

export type Queue = z.output<typeof queue>

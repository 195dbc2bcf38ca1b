import { z } from 'zod'
import { capacityType } from '../capacity.ts'
import { base, conditions, count, environmentName, line, seconds, timestamp } from './fields.ts'

export const spares = z
  .union([count, z.literal('auto')])
  .optional()
  .describe(
    'Whole nodes that are kept free for gangs that lost one; auto: as many as are out at once 99 % of the time, by how often nodes of the pool have failed. 0 when left out.',
  )

export const pool = z
  .strictObject({
    ...base('Pool'),
    spec: z
      .strictObject({
        accelerator: z
          .string()
          .max(63)
          .regex(/^[A-Za-z][A-Za-z0-9._-]*$/, 'a model such as H100, or cpu')
          .default('cpu')
          .describe('Model of its accelerators; cpu: slots.'),
        minNodes: count.default(0).describe('Fewest nodes.'),
        maxNodes: count.default(1).describe('Most nodes.'),
        capacityType: capacityType.default('reserved').describe('How it is paid for; spot nodes may be taken away.'),
        pricePerSlotHour: z
          .number()
          .min(0)
          .max(100_000)
          .optional()
          .describe("USD per accelerator (or slot) and hour; the price book's when left out."),
        zone: z.string().max(63).optional().describe('Zone of its nodes.'),
        provisioningSeconds: seconds.default(0).describe('How long a new node takes.'),
        spares,
        allowEnv: z
          .array(environmentName)
          .max(256)
          .default([])
          .describe('Names such as LD_PRELOAD or NODE_OPTIONS that jobs here may set.'),
        hostPaths: z.array(line(4096).startsWith('/')).max(256).default([]).describe('Host paths that pods may mount.'),
      })
      .describe('What the nodes are like.'),
    status: z
      .strictObject({
        conditions,
        nodes: count.optional().describe('Nodes that exist.'),
        readyNodes: count.optional().describe('Nodes that can take work.'),
        slots: count.optional().describe('Accelerators (or slots) of all nodes.'),
        spares: z
          .strictObject({
            wanted: count.describe('How many are to be kept.'),
            nodes: z.array(z.string()).describe('Nodes that are kept now: as many as wanted, where so many are free.'),
            because: z.string().optional().describe('Of auto: what the number follows from.'),
          })
          .optional()
          .describe('What is kept for gangs that lost a node.'),
        reliability: z
          .strictObject({
            through: timestamp.describe('Up to when it is counted.'),
            nodes: count.describe('Nodes that there were then.'),
            out: z
              .array(z.string())
              .describe('Those of them that were out of service: lost, not well, or closed by recovery.'),
            nodeSeconds: z.number().min(0).describe('For how long nodes were in service, all together.'),
            failures: z.number().min(0).describe('How often one went out of service.'),
            outSeconds: z.number().min(0).describe('For how long nodes were out of service, all together.'),
            repairs: z.number().min(0).describe('How often one came back, or another in its place.'),
          })
          .optional()
          .describe(
            'Of a pool with spares: auto, how its nodes have failed; what is older counts less, by e in 90 days.',
          ),
      })
      .optional()
      .describe('What was seen last.'),
  })
  .describe('Nodes of one shape, with their price.')

export type Pool = z.output<typeof pool>

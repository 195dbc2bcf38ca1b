import { z } from 'zod'

const level = z.string().min(1).max(317)

export const topology = z.strictObject({
  required: level
    .optional()
    .describe('All members share one zone, block, rack, nvlink domain, node or value of this node label, or wait.'),
  preferred: level
    .optional()
    .describe('They share one of these where there is room, else one of the next wider level, up to what is required.'),
  slices: z
    .array(
      z.strictObject({
        size: z.number().int().min(1).max(100_000).describe('Members of a slice: so many neighbours in rank.'),
        required: level.describe('What the members of a slice share: a zone, block, rack, nvlink domain or node.'),
      }),
    )
    .min(1)
    .max(5)
    .optional()
    .describe('Members come in slices of one size, each inside one domain; slices of slices after them.'),
  balanced: z
    .boolean()
    .optional()
    .describe('Where one domain does not hold them, as many members in each as in the others.'),
  scattered: z
    .boolean()
    .optional()
    .describe('They need not be near each other: they take what is left over on nodes that are nearly full.'),
})

/** Groups of one gang that belong closer together than the gang as a whole. */
export const together = z
  .array(
    z.strictObject({
      groups: z.array(z.string().max(63)).min(1).max(32).describe('Names of the groups.'),
      topology: topology.optional().describe('How close together all their members sit.'),
    }),
  )
  .min(1)
  .max(32)

export type Topology = z.output<typeof topology>

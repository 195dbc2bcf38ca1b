import { z } from 'zod'
import { readAccelerators } from '../../model/accelerators.ts'
import { durationMs } from '../../model/duration.ts'
import { positiveDuration } from '../../model/kinds/fields.ts'
import { dnsLabel } from '../../model/metadata.ts'
import { courseFields } from './traffic.ts'

const runTime = z.union([
  positiveDuration,
  z
    .strictObject({
      median: positiveDuration.describe('Half of them take less.'),
      p90: positiveDuration.optional().describe('Nine of ten take less; all take as long as the median when left out.'),
      max: positiveDuration.optional().describe('Longest; none is cut off when left out.'),
    })
    .superRefine(({ median, p90 = median, max = p90 }, context) => {
      const wrong = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message })
      if (durationMs(p90) < durationMs(median)) wrong('p90', `must be at least the median, ${median}`)
      if (durationMs(max) < durationMs(p90)) wrong('max', `must be at least the 90th percentile, ${p90}`)
    }),
])

const size = z.strictObject({
  accelerators: z
    .string()
    .max(200)
    .superRefine((value, context) => {
      const read = readAccelerators(value)
      if ('problem' in read) context.addIssue({ code: 'custom', message: read.problem })
    })
    .describe('MODEL:COUNT of each worker, e.g. H100:8 or gpu:0.5.'),
  workers: z.number().int().min(1).max(100_000).default(1).describe('How many workers.'),
  weight: z.number().gt(0).max(1_000_000).default(1).describe('So many come, of the sum of all weights.'),
})

/** Jobs that are drawn: how often they come, how large they are and how long they work. */
export const jobMix = z.strictObject({
  name: dnsLabel.max(50).describe('Its jobs are NAME-0, NAME-1, …'),
  rate: z.number().gt(0).max(100_000).describe('Jobs per hour, on average.'),
  ...courseFields,
  sizes: z.array(size).min(1).max(1000).describe('How large they are: each is of one of these.'),
  duration: runTime.describe('How long they work, without checkpoints and failures.'),
  queue: dnsLabel.default('default').describe('Their queue.'),
  priority: z.number().int().min(-1_000_000_000).max(1_000_000_000).default(0).describe('Higher goes first.'),
})

export type JobMixSpec = z.output<typeof jobMix>

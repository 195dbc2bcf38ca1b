import { z } from 'zod'

/** What all tables of KAI's actions have in common; each adds what it asks about. */
export const kaiPod = z.looseObject({
  name: z.string(),
  status: z.enum(['Running', 'Pending']),
  node: z.string().nullable(),
  requests: z.record(z.string(), z.number()),
})

export const kaiWorkload = z.looseObject({
  name: z.string(),
  queue: z.string(),
  priority: z.number(),
  preemptible: z.boolean(),
  age_s: z.number(),
  minAvailable: z.record(z.string(), z.number()),
})

/** `null` is unlimited. */
export const kaiQuota = z.looseObject({ deserved: z.number().nullable(), limit: z.number().nullable() })

export function kaiQueues<Q extends z.ZodType>(quota: Q) {
  return z.array(z.looseObject({ name: z.string(), parent: z.string().nullable(), quota: z.record(z.string(), quota) }))
}

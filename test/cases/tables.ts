import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'

/** Where peers' test tables lie, in neutral JSON; the form is stated beside them. */
export const casesDir = resolve(
  process.env['MILLWRIGHT_CASES'] ?? join(import.meta.dirname, '../../../shared/cases/scheduling'),
)

const pods = z.looseObject({
  name: z.string().optional(),
  count: z.number(),
  requests: z.record(z.string(), z.number()),
})

const workload = z.looseObject({
  name: z.string(),
  namespace: z.string().default(''),
  queue: z.string().nullish(),
  priority: z.number().default(0),
  priorityBoost: z.coerce.number().default(0),
  uid: z.string().optional(),
  pods: z.array(pods),
  assigned: z
    .array(
      z.looseObject({
        flavors: z.record(z.string(), z.string()),
        usage: z.record(z.string(), z.number()),
      }),
    )
    .default([]),
  wantedFlavors: z.record(z.string(), z.unknown()).default({}),
  quotaReservedAt_s: z.number().default(0),
  createdAt_s: z.number().optional(),
  alreadyEvicted: z.boolean().default(false),
})

const node = z.looseObject({
  name: z.string(),
  parent: z.string().nullable(),
  weight: z.number(),
  quotas: z.array(
    z.looseObject({
      resource: z.string(),
      flavor: z.string(),
      nominal: z.number(),
      borrowingLimit: z.number().nullable(),
      lendingLimit: z.number().nullable(),
    }),
  ),
})

const policies = {
  within: z.enum(['Never', 'LowerPriority', 'LowerOrNewerEqualPriority']),
  reclaim: z.enum(['Never', 'LowerPriority', 'LowerOrNewerEqualPriority', 'Any']),
}

const clusterQueue = node.extend({
  preemption: z
    .looseObject({
      withinQueue: policies.within,
      reclaimWithinCohort: policies.reclaim,
      borrowWithinCohort: z
        .looseObject({ policy: z.enum(['Never', 'LowerPriority']), maxPriorityThreshold: z.number().nullish() })
        .nullish(),
    })
    .optional(),
  flavorOrder: z.array(z.looseObject({ resources: z.array(z.string()), flavors: z.array(z.string()) })).default([]),
})

const amount = z.looseObject({
  queue: z.string().optional(),
  flavor: z.string(),
  resource: z.string(),
  amount: z.number(),
})

export const kueueCase = z.looseObject({
  name: z.string(),
  kind: z.string().optional(),
  input: z.looseObject({
    cohorts: z.array(node).default([]),
    queues: z.array(clusterQueue).default([]),
    running: z.array(workload).default([]),
    incoming: z.array(workload).default([]),
    candidates: z.array(workload).default([]),
    preemptorQueue: z.string().default(''),
    strategies: z.array(z.string()).nullish(),
    usage: z.array(amount).default([]),
    additionalRequest: z.array(amount).default([]),
    requested: z.array(amount).default([]),
    weight: z.number().default(1),
    unweightedRatio: z.number().default(0),
  }),
  expected: z.looseObject({
    preempted: z.array(z.looseObject({ name: z.string(), reason: z.string() })).default([]),
    preemptedCount: z.number().optional(),
    order: z.array(z.string()).default([]),
    shares: z
      .array(
        z.looseObject({
          name: z.string(),
          kind: z.string(),
          share: z.number(),
          dominantResource: z.string().nullable(),
          borrowing: z.boolean().optional(),
        }),
      )
      .default([]),
    queue: z.string().default(''),
    borrowing: z.boolean().optional(),
    borrowingOnRequested: z.boolean().optional(),
    text: z.string().default(''),
    admitted: z.array(z.string()).default([]),
    pending: z.array(z.looseObject({ name: z.string() })).default([]),
    assignmentsAfter: z
      .record(
        z.string(),
        z.looseObject({ assigned: z.array(z.looseObject({ flavors: z.record(z.string(), z.string()) })) }),
      )
      .default({}),
  }),
})

export type KueueCase = z.output<typeof kueueCase>
export type Workload = z.output<typeof workload>

/** The cases of a table; undefined where the table is not there. */
export function casesOf(table: string): KueueCase[] | undefined {
  return tableOf(table, kueueCase)
}

/** The same of a table of another form. */
export function tableOf<C extends z.ZodType>(table: string, form: C): z.output<C>[] | undefined {
  const path = join(casesDir, `${table}.json`)
  if (!existsSync(path)) return undefined
  const parsed = z.looseObject({ cases: z.array(form) }).safeParse(JSON.parse(readFileSync(path, 'utf8')))
  if (parsed.success) return parsed.data.cases
  throw new Error(`${path} is not a table of cases: ${z.prettifyError(parsed.error)}`)
}

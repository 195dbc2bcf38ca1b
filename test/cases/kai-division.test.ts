import { describe, it } from 'vitest'
import { z } from 'zod'
import { QuotaTree } from '../../src/scheduler/quota/tree.ts'
import { fairShares } from '../../src/scheduler/rehearsal/fair-shares.ts'
import { judgeTable } from './judge.ts'
import { tableOf } from './tables.ts'

/** Where we decide otherwise, on purpose; docs/scheduling-dialects.md gives each its reason. */
const dialects: readonly string[] = [
  'single queue within quota (sanity) / gives up to full quota',
  "doesn't give when over quota weight is zero",
  'priority does affect over-quota, even when overQuotaWeight is set',
]

const amounts = z.looseObject({
  deserved: z.union([z.number(), z.literal('unlimited')]),
  limit: z.number().nullable(),
  overQuotaWeight: z.number(),
  request: z.number(),
  fairShareBefore: z.number(),
})

const divisionCase = z.looseObject({
  name: z.string(),
  line: z.number(),
  input: z.looseObject({
    operation: z.enum(['setResourceShare', 'SetResourcesShare', 'divideOverQuotaResource', 'getQueuesByPriority']),
    total: z.record(z.string(), z.number()).default({}),
    queues: z.array(
      z.looseObject({
        name: z.string(),
        createdRank: z.number().nullish(),
        resources: z.record(z.string(), amounts).default({}),
      }),
    ),
  }),
  expected: z.looseObject({ fairShare: z.record(z.string(), z.record(z.string(), z.number())).default({}) }),
})

type Case = z.output<typeof divisionCase>
type Amounts = z.output<typeof amounts>

describe('kai_resource_division', () => {
  const table = 'kai_resource_division'
  const cases = tableOf(table, divisionCase)?.map((one) => ({
    ...one,
    name: `${one.name.replace('Proportion / ', '')}, line ${one.line}`,
    isDialect: dialects.some((name) => one.name.endsWith(name)),
  }))
  const isPassedOver = ({ input }: Case) => input.operation === 'getQueuesByPriority'
  for (const { name } of cases?.filter(isPassedOver) ?? []) it.skip(`${name}: queues have no priorities here`)
  const judged = cases?.filter((one) => !isPassedOver(one))
  judgeTable(
    table,
    judged,
    ({ isDialect }) => isDialect,
    (one) => ({ expected: expectedOf(one), found: divided(one) }),
  )
})

/** By resource, then by queue, in thousandths. */
type Division = Record<string, Record<string, number>>

function expectedOf({ input, expected }: Case): Division {
  return byResource(input, (resource) =>
    input.queues.map(({ name }) => [name, milli(expected.fairShare[name]?.[resource] ?? 0)]),
  )
}

function divided({ input }: Case): Division {
  return byResource(input, (resource) => divide(input, resource))
}

function byResource({ total }: Case['input'], sharesOf: (resource: string) => Iterable<[string, number]>): Division {
  return Object.fromEntries(Object.keys(total).map((resource) => [resource, Object.fromEntries(sharesOf(resource))]))
}

/**
 * Sibling queues in a tree that holds the total. What a queue deserves is its nominal quota; up to its limit it may
 * borrow. Cores and bytes are counted in what all amounts have in common, as they have no whole units.
 */
function divide({ operation, total, queues }: Case['input'], resource: string): Map<string, number> {
  const isRest = operation === 'divideOverQuotaResource'
  const wanted = queues.flatMap(({ name, createdRank, resources }) => {
    const of = resources[resource]
    return of === undefined ? [] : [{ name, rank: createdRank ?? 0, of }]
  })
  const before = isRest ? wanted.reduce((sum, { of }) => sum + of.fairShareBefore, 0) : 0
  const all = (total[resource] ?? 0) + before
  const unit =
    resource === 'gpu'
      ? 1
      : unitOf(
          all,
          wanted.map(({ of }) => of),
        )
  const count = (amount: number) => amount / unit
  const quotaOf = ({ deserved, fairShareBefore }: Amounts) =>
    isRest ? fairShareBefore : deserved === 'unlimited' ? all : deserved
  const tree = new QuotaTree()
  const given = wanted.reduce((sum, { of }) => sum + quotaOf(of), 0)
  tree.set(queueOf('all', { nominalQuota: { [resource]: Math.max(0, count(all - given)) } }))
  for (const { name, of } of wanted) {
    const nominal = quotaOf(of)
    const limit = of.limit === null ? {} : { borrowingLimit: { [resource]: Math.max(0, count(of.limit - nominal)) } }
    const nominalQuota = { [resource]: count(Math.min(nominal, of.limit ?? nominal)) }
    tree.set(queueOf(name, { parent: 'all', weight: of.overQuotaWeight, nominalQuota, ...limit }))
  }
  tree.setCapacity(resource, milli(count(all)))
  const inOrder = wanted.toSorted((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1))
  const asked = inOrder.map(({ name, of }) => ({ queue: name, milli: milli(count(of.request)) }))
  const shares = fairShares(tree, resource, asked, milli(count(all)))
  return new Map(queues.map(({ name }) => [name, Math.round((shares.get(name) ?? 0) * unit)]))
}

function queueOf(name: string, spec: object): Parameters<QuotaTree['set']>[0] {
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Queue',
    metadata: { name },
    spec: { namespaces: ['*'], weight: 1, stopPolicy: 'None', ...spec },
  }
}

function unitOf(total: number, wanted: readonly Amounts[]): number {
  const all = wanted.flatMap(({ deserved, limit, request }) => [
    deserved === 'unlimited' ? 0 : deserved,
    limit ?? 0,
    request,
  ])
  return [...all, total].reduce(gcd, 0) || 1
}

function gcd(a: number, b: number): number {
  let [x, y] = [a, b]
  while (y !== 0) [x, y] = [y, x % y]
  return x
}

function milli(amount: number): number {
  return Math.round(amount * 1000)
}

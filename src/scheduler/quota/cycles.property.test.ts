import fc from 'fast-check'
import { expect, it } from 'vitest'
import { queueNamed, type Spec } from './quota.fixture.ts'
import { type Player, Rounds } from './rounds.fixture.ts'

const models = ['H100', 'T4']
const names = ['a', 'b', 'c', 'd', 'e', 'f']

const counts = fc.dictionary(fc.constantFrom(...models), fc.integer({ min: 0, max: 5 }))
const policy = fc.record({
  withinQueue: fc.constantFrom('Never' as const, 'LowerPriority' as const, 'LowerOrNewerEqualPriority' as const),
  reclaimWithinCohort: fc.constantFrom('Never' as const, 'LowerPriority' as const, 'Any' as const, 'Any' as const),
  borrowWithinCohort: fc.record({ policy: fc.constantFrom('Never' as const, 'LowerPriority' as const) }),
})
/** Parents come before their children in `names`. */
const queues = fc
  .tuple(
    ...names.map((_, at) =>
      fc.record({
        parent: fc.option(fc.integer({ min: 0, max: Math.max(0, at - 1) }), { freq: 3 }),
        nominalQuota: fc.option(counts, { freq: 3 }),
        weight: fc.constantFrom(0, 0.5, 1, 1, 1, 2, 3),
        preemption: policy,
        fairSharing: fc.constantFrom(true, true, true, false),
      }),
    ),
  )
  .map((drawn) =>
    drawn.map(({ parent, nominalQuota, ...rest }, at) => {
      const spec: Spec = { ...rest }
      if (nominalQuota !== null) spec.nominalQuota = nominalQuota
      if (parent !== null && at > 0) spec.parent = names[parent] ?? 'a'
      return queueNamed(names[at] ?? '', spec)
    }),
  )
const player = fc.record({
  queue: fc.constantFrom(...names),
  priority: fc.integer({ min: 0, max: 2 }),
  model: fc.constantFrom('H100', 'H100', 'H100', 'T4'),
  size: fc.integer({ min: 1, max: 6 }),
  elastic: fc.integer({ min: 0, max: 3 }),
  price: fc.integer({ min: 0, max: 300 }),
})
const players = fc.array(player, { minLength: 4, maxLength: 24 }).map((drawn) =>
  drawn.map(
    ({ size, elastic, ...rest }, at): Player => ({
      ...rest,
      key: `g${at}`,
      sizes: Array.from({ length: elastic + 1 }, (_, less) => (size + elastic - less) * 1000),
    }),
  ),
)
/** Whoever waits fills the fleet: demand is a multiple of it, so nearly all is in use all the time. */
const capacity = fc.record({ H100: fc.integer({ min: 4, max: 16 }), T4: fc.integer({ min: 2, max: 8 }) })

it('displacing and standing in line again comes to rest, whatever the tree and the demand', () => {
  const runs = Number(process.env['CYCLE_RUNS'] ?? 2000)
  let [evictions, most, rests] = [0, 0, 0]
  fc.assert(
    fc.property(queues, capacity, players, fc.boolean(), (tree, { H100, T4 }, gangs, isUnfair) => {
      const rounds = new Rounds(tree, { H100: H100 * 1000, T4: T4 * 1000 }, gangs)
      // Whoever came first has it, as if the others' demand, or their quota, had come later.
      if (isUnfair) for (const { key, sizes } of gangs) rounds.sitIfRoom(key, sizes[0] ?? 0)
      const count = rounds.play(50 * gangs.length)
      rests++
      evictions += count ?? 0
      most = Math.max(most, count ?? 0)
      if (count === undefined) expect(rounds.log.slice(-20)).toEqual('rest')
    }),
    { numRuns: runs },
  )
  if (process.env['CYCLE_RUNS']) console.log({ rests, evictions, most })
})

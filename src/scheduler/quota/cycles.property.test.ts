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
const players = fc
  .tuple(fc.array(player, { minLength: 4, maxLength: 24 }), fc.array(fc.constantFrom(...names), { maxLength: 12 }))
  .map(([drawn, fillers]) => [
    ...drawn.map(
      ({ size, elastic, ...rest }, at): Player => ({
        ...rest,
        key: `g${at}`,
        sizes: Array.from({ length: elastic + 1 }, (_, less) => (size + elastic - less) * 1000),
      }),
    ),
    // Small and elastic ones take up what the others leave free.
    ...fillers.map(
      (queue, at): Player => ({
        queue,
        priority: 0,
        model: models[at % 2] ?? 'T4',
        key: `f${at}`,
        sizes: [3000, 2000, 1000],
      }),
    ),
  ])
/** Whoever waits fills the fleet: demand is a multiple of it, so nearly all is in use all the time. */
const capacity = fc.record({ H100: fc.integer({ min: 4, max: 16 }), T4: fc.integer({ min: 2, max: 8 }) })

it('displacing and standing in line again comes to rest, whatever the tree and the demand', () => {
  const games = { played: 0, nearlyFull: 0, evictions: 0, mostEvictions: 0 }
  fc.assert(
    fc.property(queues, capacity, players, fc.boolean(), (tree, { H100, T4 }, gangs, isUnfair) => {
      const rounds = new Rounds(tree, { H100: H100 * 1000, T4: T4 * 1000 }, gangs)
      // Whoever came first has it, as if the others' demand, or their quota, had come later.
      if (isUnfair) for (const { key, sizes } of gangs) rounds.sitIfRoom(key, sizes[0] ?? 0)
      const evictions = rounds.play(50 * gangs.length)
      games.played++
      if (rounds.use('H100') >= 0.9) games.nearlyFull++
      games.evictions += evictions ?? 0
      games.mostEvictions = Math.max(games.mostEvictions, evictions ?? 0)
      expect(evictions, rounds.log.slice(-20).join('\n')).toBeDefined()
    }),
    { numRuns: Number(process.env['MILLWRIGHT_CYCLE_GAMES'] ?? 2000) },
  )
  expect(games.nearlyFull / games.played, JSON.stringify(games)).toBeGreaterThan(0.5)
  expect(games.evictions, 'somebody is displaced now and then').toBeGreaterThan(games.played / 10)
  if (process.env['MILLWRIGHT_CYCLE_GAMES'] !== undefined) console.log(games)
})

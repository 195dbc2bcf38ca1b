import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Happening } from '../rehearsal/rehearsal.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'

const shape = fc.record({ min: fc.integer({ min: 1, max: 4 }), more: fc.integer({ min: 0, max: 12 }) })
const step = fc.oneof(
  { weight: 1, arbitrary: fc.record({ does: fc.constant('train' as const), shape, priority: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('serve' as const), size: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('release' as const), which: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('finish' as const, 'fail' as const), which: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('checkpoint' as const) }) },
  { weight: 6, arbitrary: fc.record({ does: fc.constant('wait' as const), seconds: fc.nat(900) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** No restart is measured: each counts as 30 s, and ten of them lie between seats and a resize. */
const apartSeconds = 300
const devices = 16
const servicePriority = 10

test('an elastic gang has members between its fewest and most or none, and demand that changes at random restarts it seldom', () => {
  let grown = 0
  fc.assert(
    fc.property(shape, shape, fc.array(step, { minLength: 20, maxLength: 60 }), (one, other, steps) => {
      const told = new Story(createScheduler(), { runsPods: true })
      told.queue('default')
      told.node('a', `H100:${devices / 2}`)
      told.node('b', `H100:${devices / 2}`)
      const counts = new Counts(told)
      for (const shape of [one, other]) act(told, { does: 'train', shape, priority: 0 })
      for (const step of steps) {
        counts.add(act(told, step))
        audit(told)
      }
      const seconds = told.nowMs / 1000
      for (const [gang, count] of counts.grown) {
        expect(count, `${gang} grows at most every ${apartSeconds} s`).toBeLessThanOrEqual(seconds / apartSeconds)
      }
      for (const [gang, count] of counts.evicted) {
        expect(count, `${gang} shrinks at most once for each that came`).toBeLessThanOrEqual(counts.cameAbove(gang))
      }
      const before = counts.total
      for (let hour = 0; hour < 12; hour++) {
        counts.add(told.world.advance(3_600_000))
        counts.add(act(told, { does: 'checkpoint' }))
        audit(told)
      }
      const elastic = [...told.gangs.values()].filter(({ spec }) => !spec.suspend && spec.groups.some(isElastic))
      expect(counts.total - before, 'each grows once when demand has come to rest').toBeLessThanOrEqual(elastic.length)
      expect(idleFor(told), 'in the end nothing is idle that one of them could use').toBe(0)
      grown += counts.total
    }),
    { numRuns: Number(process.env['MILLWRIGHT_GROWTH_GAMES'] ?? 100) },
  )
  expect(grown, 'gangs do grow').toBeGreaterThan(30)
})

function act(told: Story, one: Step): Happening[] {
  const { world } = told
  const name = `g${told.gangs.size}`
  if (one.does === 'wait') return world.advance(one.seconds * 1000)
  if (one.does === 'train') {
    const { min, more } = one.shape
    told.gang(name, '1xH100:1', { priority: one.priority }, { min, max: min + more })
  }
  if (one.does === 'serve') told.gang(name, `1xH100:${one.size}`, { priority: servicePriority })
  if (one.does === 'checkpoint') {
    for (const [key, { spec, status }] of told.gangs) {
      if (spec.suspend || status?.seats?.attempt !== spec.attempt) continue
      const checkpoint = { step: 1, attempt: spec.attempt, at: new Date(told.nowMs).toISOString() }
      world.edit(key, {}, { checkpoint: { ...checkpoint, digest: '', bytes: 0, manifests: [] } })
    }
  }
  if (one.does === 'finish' || one.does === 'fail' || one.does === 'release') {
    const running = [...told.gangs].filter(([, gang]) => {
      return membersOf(gang) > 0 && (one.does !== 'release' || gang.spec.priority === servicePriority)
    })
    const [key] = running[one.which % Math.max(1, running.length)] ?? []
    if (key !== undefined && one.does === 'fail') {
      world.endAll(key)
      world.restart(key)
    } else if (key !== undefined) world.finish(key)
  }
  return world.play()
}

class Counts {
  readonly grown = new Map<string, number>()
  readonly evicted = new Map<string, number>()
  readonly #told: Story
  total = 0

  constructor(told: Story) {
    this.#told = told
  }

  add(course: readonly Happening[]): void {
    for (const one of course) {
      if (one.kind !== 'left') continue
      const grows = 'grows' in one.why
      if (grows) this.total++
      const counts = grows ? this.grown : this.evicted
      counts.set(one.gang, (counts.get(one.gang) ?? 0) + 1)
    }
  }

  /** How many of a higher priority there ever were. */
  cameAbove(key: string): number {
    const gangs = [...this.#told.gangs.values()]
    const { priority } = this.#told.world.gangOf(key).spec
    return gangs.filter(({ spec }) => spec.priority > priority).length
  }
}

function isElastic({ min, max }: Gang['spec']['groups'][number]): boolean {
  return min < max
}

function membersOf({ spec, status }: Gang): number {
  return spec.suspend || status?.seats?.attempt !== spec.attempt ? 0 : status.seats.members.length
}

function audit(told: Story): void {
  const used = new Set<string>()
  for (const gang of told.gangs.values()) {
    const { metadata, spec, status } = gang
    const [group] = spec.groups
    const members = membersOf(gang)
    if (members > 0) {
      expect(members, metadata.name).toBeGreaterThanOrEqual(group?.min ?? 0)
      expect(members, metadata.name).toBeLessThanOrEqual(group?.max ?? 0)
    }
    for (const seat of members === 0 ? [] : (status?.seats?.members ?? [])) {
      for (const { id } of seat.devices) {
        expect(used, `${seat.node}/${id} is promised once`).not.toContain(`${seat.node}/${id}`)
        used.add(`${seat.node}/${id}`)
      }
    }
  }
}

/** Devices that nobody has, though a gang that sits could have more, and nobody in line could. */
function idleFor(told: Story): number {
  const gangs = [...told.gangs.values()]
  const isWaiting = gangs.some((gang) => !gang.spec.suspend && membersOf(gang) === 0)
  const couldUse = gangs.some((gang) => membersOf(gang) > 0 && membersOf(gang) < (gang.spec.groups[0]?.max ?? 0))
  const used = gangs.reduce((sum, gang) => {
    const each = gang.spec.groups[0]?.accelerators[0]?.count ?? 0
    return sum + membersOf(gang) * each
  }, 0)
  return isWaiting || !couldUse ? 0 : devices - used
}

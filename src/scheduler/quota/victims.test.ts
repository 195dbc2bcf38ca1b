import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Displacements } from './displacements.ts'
import { queueNamed, type Spec } from './quota.fixture.ts'
import { Rounds } from './rounds.fixture.ts'
import { many, two, World } from './world.fixture.ts'

describe('who has to leave', () => {
  it('a lender takes back what is his, the latest seats first, and no more than he needs', () => {
    const world = new World(8, two, many(8, 'b'))
    expect(world.victims('a', 2)).toEqual(['b7 InCohortReclamation', 'b6 InCohortReclamation'])
  })

  it('nobody within his own quota is touched', () => {
    const world = new World(8, two, [...many(4, 'a'), ...many(4, 'b')])
    expect(world.victims('a', 1)).toBeUndefined()
  })

  it('lost work decides among equals, in whole minutes', () => {
    const dear = { ...two, b: { ...two['b'] } }
    const world = new World(8, dear, [
      { key: 'dear', queue: 'b', gpus: 2, price: 7200 },
      { key: 'cheap', queue: 'b', gpus: 2, price: 60 },
      { key: 'as-cheap', queue: 'b', gpus: 2, price: 119 },
      { key: 'dearest', queue: 'b', gpus: 2, price: 9000 },
    ])
    expect(world.victims('a', 4)).toEqual(['as-cheap InCohortReclamation', 'cheap InCohortReclamation'])
  })

  it('who leaves already goes first and is counted', () => {
    const world = new World(8, two, [...many(7, 'b'), { key: 'gone', queue: 'b', gpus: 1, leaving: true, priority: 9 }])
    expect(world.victims('a', 1)).toEqual(['gone InCohortReclamation'])
  })

  it('who is not preemptible, or has not run for long enough, stays', () => {
    const world = new World(8, two, [
      ...many(6, 'b').map((one) => ({ ...one, preemptible: false })),
      { key: 'young', queue: 'b', gpus: 1, spared: true },
      { key: 'other', queue: 'b', gpus: 1 },
    ])
    expect(world.victims('a', 1)).toEqual(['other InCohortReclamation'])
    expect(world.victims('a', 2)).toBeUndefined()
  })

  it('takes from its own queue only lower priorities', () => {
    const world = new World(4, { a: { nominalQuota: { H100: 4 } } }, [
      { key: 'low', queue: 'a', gpus: 2, priority: 1 },
      { key: 'same', queue: 'a', gpus: 2, priority: 2 },
    ])
    expect(world.victims('a', 2, { priority: 2 })).toEqual(['low InQueue'])
    expect(world.victims('a', 4, { priority: 2 })).toBeUndefined()
  })

  it('a queue alone with the fleet takes from itself and returns (kueue#12541)', () => {
    const world = new World(4, { a: {} }, many(4, 'a'))
    expect(world.victims('a', 2)).toBeUndefined()
    expect(world.victims('a', 2, { priority: 1 })).toEqual(['a3 InQueue', 'a2 InQueue'])
  })

  it('who displaced it is spared, but by a lender who has back what is his, once', () => {
    const world = new World(8, two, many(8, 'b'))
    const displaced = new Displacements()
    for (let at = 0; at < 8; at++) displaced.record(`b${at}`, ['new'])
    expect(world.victims('a', 1, {}, displaced)).toEqual(['b7 InCohortReclamation'])
    displaced.record('new', ['b7'])
    displaced.record('b7', ['new'])
    expect(displaced.wasExcepted('new', 'b7')).toBe(true)
    expect(world.victims('a', 1, {}, displaced)).toEqual(['b6 InCohortReclamation'])
    expect(world.victims('a', 5, {}, displaced), 'beyond what it owns').toBeUndefined()
    const own = new World(4, { a: { nominalQuota: { H100: 4 } } }, many(4, 'a'))
    const before = new Displacements()
    before.record('a3', ['new'])
    expect(own.victims('a', 1, { priority: 1 }, before)).toEqual(['a2 InQueue'])
    const gone = new World(4, { a: { nominalQuota: { H100: 4 } } }, [{ key: 'a3', queue: 'a', gpus: 4, leaving: true }])
    expect(gone.victims('a', 1, {}, before), 'it leaves anyway').toBeUndefined()
    expect(gone.victims('a', 1, { priority: 1 }, before)).toEqual(['a3 InQueue'])
  })

  it('what can never fit the quota asks for no room', () => {
    const world = new World(100, two, many(8, 'b'))
    expect(world.victims('a', 9)).toBeUndefined()
    expect(world.calls).toEqual([])
  })

  it('touches no device while quota is missing', () => {
    const world = new World(8, two, [...many(4, 'a'), ...many(4, 'b')])
    expect(world.victims('a', 2, { priority: -1 })).toBeUndefined()
    expect(world.calls.filter((call) => call.startsWith('lift'))).toEqual([])
    const held = many(8, 'b').map((one, at) => ({ ...one, preemptible: at < 2 }))
    const few = new World(12, two, held)
    expect(few.victims('a', 4), 'two would leave, and that is not enough').toBeUndefined()
    expect(few.calls).toEqual([])
  })
})

describe('full nodes, while the quota suffices', () => {
  it('who owns what he asks for takes it from whoever borrows it of the fleet', () => {
    const world = new World(8, { own: { nominalQuota: { H100: 4 } }, open: {} }, many(8, 'open'))
    expect(world.victims('own', 2)).toEqual(['open7 InCohortReclamation', 'open6 InCohortReclamation'])
  })

  it('queues without quota share the fleet by weight', () => {
    const world = new World(12, { a: { weight: 2 }, b: {} }, many(12, 'b'))
    expect(world.victims('a', 8)?.length).toBe(8)
    expect(world.victims('a', 9)).toBeUndefined()
  })

  it('nobody leaves who does not help', () => {
    const world = new World(8, { own: { nominalQuota: { H100: 4 } }, open: {} }, many(8, 'open'))
    world.useless = new Set(['open7', 'open5'])
    expect(world.victims('own', 2)).toEqual(['open6 InCohortReclamation', 'open4 InCohortReclamation'])
  })

  it('quotas that promise more than there is are first come, first served', () => {
    const world = new World(4, { a: { nominalQuota: { H100: 4 } }, b: { nominalQuota: { H100: 4 } } }, many(4, 'b'))
    expect(world.victims('a', 1)).toBeUndefined()
  })

  it('asks for room only a few times however many have to leave', () => {
    const world = new World(1000, { own: { nominalQuota: { H100: 800 } }, open: {} }, many(1000, 'open'))
    expect(world.victims('own', 700)?.length).toBe(700)
    // 1, 2, 4, … 512, then bisecting; of so many victims only the last 64 are asked back one by one.
    expect(world.asked).toBeLessThan(10 + 10 + 64 + 2)
  })
})

describe('loops that the field has recorded', () => {
  it('kueue#14543: an own victim is not given back where that made another victim illegal', () => {
    // Without own-low, a would hold 5 and less than b's 6, so b1 may go; b1 alone frees enough, but with own-low back
    // a would hold 9, and b1 could take all of it back.
    const queues: Record<string, Spec> = {
      all: { nominalQuota: { H100: 10 } },
      a: { parent: 'all' },
      b: { parent: 'all' },
    }
    const world = new World(10, queues, [
      { key: 'own-low', queue: 'a', gpus: 4, priority: -1 },
      { key: 'b1', queue: 'b', gpus: 6 },
    ])
    expect(world.victims('a', 5)).toEqual(['own-low InQueue', 'b1 InCohortFairSharing'])
  })

  it('kueue#3779: whoever made room for a guaranteed queue is not let in again before it', () => {
    const queues = [
      queueNamed('root', { nominalQuota: { H100: 0 } }),
      queueNamed('guaranteed-a', { parent: 'root', nominalQuota: { H100: 3 } }),
      queueNamed('guaranteed-b', { parent: 'root', nominalQuota: { H100: 3 } }),
      queueNamed('best-effort', { parent: 'root', nominalQuota: { H100: 0 } }),
    ]
    const one = { priority: 0, model: 'H100' }
    const rounds = new Rounds(queues, { H100: 6000 }, [
      { ...one, key: 'a1', queue: 'guaranteed-a', sizes: [5000] },
      { ...one, key: 'best', queue: 'best-effort', sizes: [1000] },
      { ...one, key: 'a2', queue: 'guaranteed-a', sizes: [1000] },
    ])
    rounds.sit('a1', 5000)
    rounds.sit('best', 1000)
    expect(rounds.play(20)).toBe(0)
    expect([...rounds.seated.keys()]).toEqual(['a1', 'best'])
  })

  it('kueue#7101: gangs of many sizes share eight accelerators between two queues and come to rest', () => {
    const queues = [
      queueNamed('root', { nominalQuota: { H100: 8 } }),
      queueNamed('proj-1', { parent: 'root' }),
      queueNamed('proj-2', { parent: 'root' }),
    ]
    const gang = (key: string, queue: string, gpus: number) => ({
      key,
      queue,
      priority: 0,
      model: 'H100',
      sizes: [gpus * 1000],
    })
    const held = ['p1', 'p2', 'p3', 'p4'].map((key) => gang(key, 'proj-1', 2))
    const waiting = [
      gang('six', 'proj-2', 6),
      gang('five', 'proj-2', 5),
      gang('four', 'proj-2', 4),
      gang('three', 'proj-2', 3),
    ]
    const rounds = new Rounds(queues, { H100: 8000 }, [...held, ...waiting])
    for (const { key } of held) rounds.sit(key, 2000)
    expect(rounds.play(50)).toBeLessThanOrEqual(4)
    expect(rounds.tree.usage('proj-1', 'H100') + rounds.tree.usage('proj-2', 'H100')).toBeGreaterThanOrEqual(7000)
  })

  it('a priority that grows its queue share after a small gang made way for it (found by play)', () => {
    const queues = [
      queueNamed('a', { weight: 0, preemption: { withinQueue: 'LowerPriority', reclaimWithinCohort: 'Any' } }),
      queueNamed('b', { parent: 'a', nominalQuota: { H100: 1 } }),
      queueNamed('c', { weight: 3 }),
    ]
    const small = { queue: 'a', priority: 0, model: 'H100', sizes: [1000] }
    const gangs = [
      { ...small, key: 'whole', queue: 'c', sizes: [5000] },
      { ...small, key: 's1' },
      { ...small, key: 's2' },
      { ...small, key: 's3' },
      { ...small, key: 'high', priority: 1, sizes: [5000] },
    ]
    expect(new Rounds(queues, { H100: 5000 }, gangs, false).play(100), 'without a memory it goes round').toBeUndefined()
    expect(new Rounds(queues, { H100: 5000 }, gangs).play(100)).toBeLessThan(10)
  })
})

it('victims are needed, each of them, and the world is left as it was', () => {
  const held = fc.array(
    fc.record({
      queue: fc.constantFrom('a', 'b', 'c'),
      gpus: fc.integer({ min: 1, max: 3 }),
      priority: fc.integer({ min: -1, max: 1 }),
      price: fc.integer({ min: 0, max: 300 }),
      preemptible: fc.boolean(),
    }),
    { maxLength: 14 },
  )
  fc.assert(
    fc.property(
      held,
      fc.constantFrom('a', 'b', 'c'),
      fc.integer({ min: 1, max: 6 }),
      fc.boolean(),
      (drawn, queue, gpus, isFair) => {
        const queues: Record<string, Spec> = {
          all: { nominalQuota: { H100: 2 }, fairSharing: isFair },
          a: { parent: 'all', nominalQuota: { H100: 4 } },
          b: { parent: 'all', nominalQuota: { H100: 4 }, weight: 2 },
          c: {},
        }
        const all = drawn.map((one, at) => ({ ...one, key: `g${at}` }))
        const total = all.reduce((sum, one) => sum + one.gpus, 0)
        const world = new World(total, queues, all)
        const chosen = world.victims(queue, gpus)?.map((line) => line.split(' ')[0])
        if (chosen === undefined) return
        const victims = all.filter(({ key }) => chosen.includes(key))
        expect(victims.every(({ preemptible }) => preemptible)).toBe(true)
        const freed = victims.reduce((sum, one) => sum + one.gpus, 0)
        expect(freed).toBeGreaterThanOrEqual(gpus)
        if (!isFair) return // there a victim may also be needed so that the queue does not borrow
        if (victims.some((one) => one.queue === queue)) return // one of its own, so that its share is small enough
        for (const back of victims.filter(({ key }) => key !== chosen.at(-1))) {
          const away = victims.filter((one) => one !== back)
          for (const one of away) world.tree.add(one.queue, 'H100', -1000 * one.gpus)
          const hasQuota = world.tree.fits(queue, new Map([['H100', gpus * 1000]]))
          for (const one of away) world.tree.add(one.queue, 'H100', 1000 * one.gpus)
          expect(hasQuota && freed - back.gpus >= gpus).toBe(false)
        }
      },
    ),
    { numRuns: 500 },
  )
})

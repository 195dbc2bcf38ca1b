import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { type GangState, newState } from '../gangs.ts'
import { candidateOrder } from '../quota/candidates.ts'
import { Seated } from './seated.ts'

const minute = 60_000
const nowMs = 1000 * minute

/** Whole minutes and whole accelerators: then the plain order, which compares prices in whole minutes, loses nothing. */
interface Held {
  uid: string
  priority: number
  gpus: number
  speed: number
  /** Beside those that it needs. */
  more: number
  since: number
  checkpoint: number | undefined
  /** What a checkpoint takes that it writes when asked. */
  onRequest?: number | undefined
  restart: number
  isLeaving: boolean
  isAsked: boolean
  preemptible: boolean
}

const usual: Held = {
  uid: 'u',
  priority: 0,
  gpus: 1,
  speed: 1,
  more: 0,
  since: 1,
  checkpoint: undefined,
  restart: 0,
  isLeaving: false,
  isAsked: false,
  preemptible: true,
}

/** The scheduler keeps one state for each gang and changes it. */
function change(state: GangState, told: Partial<Held>): GangState {
  const one = { ...usual, ...told }
  const at = (minutes: number) => new Date(minutes * minute).toISOString()
  const { metadata, ...gang } = gangNamed(state.key, [groupOf(one.gpus, { max: one.gpus + one.more })], {
    priority: one.priority,
    preemptible: one.preemptible,
  })
  const members = Array.from({ length: one.gpus + one.more }, (_, rank) => {
    const [pod, devices] = [`${state.key}-${rank}`, [{ id: `gpu-${rank}`, milli: 1000 }]]
    return { pod, group: 'worker', rank, localRank: rank, node: 'n', devices, ports: [] }
  })
  const checkpoint = { step: 1, attempt: 1, digest: 'd', bytes: 1, manifests: [] }
  const eviction = { attempt: 1, by: 'default/other', reason: 'InQueue' as const, message: '', at: at(1) }
  state.object = {
    ...gang,
    metadata: { ...metadata, uid: `${one.uid}-${state.key}` },
    status: {
      conditions: [],
      checkpoints: [],
      seats: { attempt: 1, epoch: 1, at: at(one.since), masterAddr: 'n', masterPort: 1, speed: one.speed, members },
      restartSeconds: 60 * one.restart,
      ...(one.onRequest === undefined ? {} : { checkpointRequestSeconds: 60 * one.onRequest }),
      ...(one.checkpoint === undefined ? {} : { checkpoint: { ...checkpoint, at: at(one.checkpoint) } }),
      ...(one.isAsked ? { eviction } : {}),
    },
  }
  state.leaving = one.isLeaving
  state.holds = new Map([['gpu', 1000 * members.length]])
  return state
}

function keysOf(candidates: Iterable<{ key: string }>): string[] {
  return [...candidates].map(({ key }) => key)
}

function seatedOf(gangs: Record<string, Partial<Held>>): Seated {
  const seated = new Seated()
  for (const [key, told] of Object.entries(gangs)) seated.set(change(newState(key, gangNamed(key, [])), told))
  return seated
}

const anyOf = () => true

describe('the order in which gangs are asked to leave', () => {
  test('lowest priority first, then the least lost work', () => {
    const seated = seatedOf({
      dear: { since: 1 },
      cheap: { since: 500 },
      saved: { since: 1, checkpoint: 400 },
      high: { since: 999, priority: 1 },
      low: { since: 1, priority: -1 },
    })
    expect(keysOf(seated.inOrder(nowMs, anyOf))).toEqual(['low', 'cheap', 'saved', 'dear', 'high'])
    expect([...seated.priorities()].sort((a, b) => a - b)).toEqual([-1, 0, 1])
  })

  test('getting going again costs too, and a checkpoint from before the seats does not make it later', () => {
    const seated = seatedOf({
      slow: { since: 500, restart: 20 },
      quick: { since: 490 },
      old: { since: 510, checkpoint: 100 },
    })
    const candidates = [...seated.inOrder(nowMs, anyOf)]
    expect(candidates.map(({ key, price }) => [key, price / 60])).toEqual([
      ['old', 490],
      ['quick', 510],
      ['slow', 520],
    ])
  })

  test('who writes a checkpoint when asked loses what that takes, however old its last one is', () => {
    const seated = seatedOf({
      asked: { since: 1, onRequest: 2, restart: 1 },
      slow: { since: 1, onRequest: 30, restart: 1 },
      saved: { since: 1, checkpoint: 990, restart: 1 },
    })
    const prices = (at: number) => [...seated.inOrder(at * minute, anyOf)].map(({ key, price }) => [key, price / 60])
    const [asked, slow] = [
      ['asked', 3],
      ['slow', 31],
    ]
    expect(prices(1000)).toEqual([asked, ['saved', 11], slow])
    expect(prices(1100)).toEqual([asked, slow, ['saved', 111]])
    seated.set(change(newState('slow', gangNamed('slow', [])), { since: 1, checkpoint: 999, restart: 1 }))
    expect(prices(1000), 'it did not heed the last request').toEqual([['slow', 2], asked, ['saved', 11]])
  })

  test('a large gang loses more in the same time, and sooner than a small one', () => {
    const seated = seatedOf({ large: { since: 900, gpus: 4 }, small: { since: 500 } })
    expect(keysOf(seated.inOrder(1000 * minute, anyOf))).toEqual(['large', 'small'])
    expect(keysOf(seated.inOrder(1200 * minute, anyOf))).toEqual(['small', 'large'])
  })

  test('work on slow accelerators is worth less: it is done again sooner', () => {
    const seated = seatedOf({ slow: { gpus: 2, speed: 0.25, since: 800 }, fast: { since: 880 } })
    const prices = [...seated.inOrder(nowMs, anyOf)].map(({ key, price }) => [key, price / 60])
    expect(prices).toEqual([
      ['slow', 200 * 0.5],
      ['fast', 120],
    ])
  })

  test('at the same price who can go on with fewer goes first', () => {
    const seated = seatedOf({ whole: { gpus: 2, since: 1 }, elastic: { gpus: 1, more: 1, since: 1, uid: 'v' } })
    expect(keysOf(seated.inOrder(nowMs, anyOf))).toEqual(['elastic', 'whole'])
  })

  test('who leaves already comes first, if he leaves something that is kept for nobody yet', () => {
    const seated = seatedOf({ stays: { priority: -1 }, leaves: { isLeaving: true }, asked: { isAsked: true } })
    expect(keysOf(seated.inOrder(nowMs, anyOf))).toEqual(['leaves', 'asked', 'stays'])
    expect([...seated.inOrder(nowMs, anyOf)].map(({ uncharged }) => uncharged)).toEqual([true, undefined, undefined])
    expect(keysOf(seated.inOrder(nowMs, ({ key }) => key !== 'leaves'))).toEqual(['asked', 'stays'])
    const again: string[] = []
    expect(keysOf(seated.inOrder(nowMs, ({ key }) => again.push(key) > 0))).toEqual(['asked', 'stays'])
    expect(again, 'who once had nothing to spare is not asked about again').toEqual(['asked'])
    expect(keysOf(seated.staying(nowMs))).toEqual(['stays'])
  })

  test('who is not preemptible is asked by a person only', () => {
    const seated = seatedOf({ firm: { preemptible: false, priority: -1 }, soft: {} })
    expect(keysOf(seated.inOrder(nowMs, anyOf))).toEqual(['soft'])
    expect([...seated.staying(nowMs)].map(({ key, preemptible }) => [key, preemptible])).toEqual([
      ['soft', true],
      ['firm', false],
    ])
    expect([...seated.priorities()]).toEqual([0])
  })
})

describe('whether a gang that is told again can be asked for other seats, or by others', () => {
  const told = (before: Partial<Held>, after: Partial<Held>) => {
    const [seated, state] = [new Seated(), newState('g', gangNamed('g', []))]
    expect(seated.set(change(state, before)), 'it is new').toBe(true)
    return seated.set(change(state, after))
  }

  test('not by its age, or by what it would lose, or by going on with fewer', () => {
    expect(told({}, {})).toBe(false)
    expect(told({}, { since: 7 })).toBe(false)
    expect(told({}, { checkpoint: 8 })).toBe(false)
    expect(told({}, { restart: 1 })).toBe(false)
    expect(told({ gpus: 2 }, { gpus: 1, more: 1 })).toBe(false)
  })

  test('but by whatever says who may ask it', () => {
    expect(told({}, { priority: 1 })).toBe(true)
    expect(told({}, { gpus: 2 })).toBe(true)
    expect(told({}, { preemptible: false })).toBe(true)
    expect(told({}, { isLeaving: true })).toBe(true)
    expect(told({ isLeaving: true }, {})).toBe(true)
    expect(told({}, { uid: 'v' }), 'it is another gang').toBe(true)
  })

  test('its place in the order follows all of that', () => {
    const order = (after: Partial<Held>) => {
      const states = ['a', 'b', 'c'].map((key) => newState(key, gangNamed(key, [])))
      const seated = new Seated()
      for (const state of states) seated.set(change(state, { gpus: 2, since: 5 }))
      keysOf(seated.inOrder(nowMs, anyOf))
      for (const state of states.slice(2)) seated.set(change(state, { gpus: 2, since: 5, ...after }))
      return keysOf(seated.inOrder(nowMs, anyOf)).join('')
    }
    expect(order({})).toBe('abc')
    expect(order({ since: 6 })).toBe('cab')
    expect(order({ checkpoint: 6 })).toBe('cab')
    expect(order({ gpus: 1, more: 1 })).toBe('cab')
    expect(order({ uid: 't' })).toBe('cab')
    expect(order({ preemptible: false })).toBe('ab')
    const saved = { since: 5, checkpoint: 9 }
    const states = ['a', 'b'].map((key) => change(newState(key, gangNamed(key, [])), saved))
    const seated = new Seated()
    for (const state of states) seated.set(state)
    expect(keysOf(seated.inOrder(nowMs, anyOf))).toEqual(['a', 'b'])
    for (const state of states.slice(1)) seated.set(change(state, { ...saved, since: 6 }))
    expect(keysOf(seated.inOrder(nowMs, anyOf)), 'the youngest of those that lose the same').toEqual(['b', 'a'])
  })
})

test('after any history they are in the order of those who are there, sorted at once', () => {
  const names = Array.from({ length: 40 }, (_, at) => `g${at}`)
  const held = fc.record<Held>({
    uid: fc.constantFrom('u', 'v'),
    priority: fc.constantFrom(0, 0, 1),
    gpus: fc.constantFrom(1, 1, 2),
    speed: fc.constant(1),
    more: fc.constantFrom(0, 1),
    since: fc.integer({ min: 1, max: 4 }),
    checkpoint: fc.option(fc.integer({ min: 2, max: 6 }), { nil: undefined }),
    onRequest: fc.constantFrom(undefined, undefined, 1, 3),
    restart: fc.constantFrom(0, 1),
    isLeaving: fc.constantFrom(false, false, false, true),
    isAsked: fc.constantFrom(false, false, false, true),
    preemptible: fc.constantFrom(true, true, false),
  })
  const name = fc.constantFrom(...names)
  const set = fc.record({ does: fc.constant('set' as const), gangs: fc.array(fc.tuple(name, held), { maxLength: 30 }) })
  const del = fc.record({ does: fc.constant('delete' as const), gangs: fc.array(name, { maxLength: 12 }) })
  const ask = fc.record({ does: fc.constant('ask' as const) })
  fc.assert(
    fc.property(fc.array(fc.oneof(set, del, ask), { maxLength: 20 }), (steps) => {
      const seated = new Seated()
      const states = new Map(names.map((key) => [key, newState(key, gangNamed(key, []))]))
      const plain = new Set<GangState>()
      const check = () => {
        const [leaving, soft, firm] = [[] as GangState[], [] as GangState[], [] as GangState[]]
        for (const state of plain) {
          const isLeaving = state.leaving || state.object.status?.eviction !== undefined
          const list = isLeaving ? leaving : state.object.spec.preemptible ? soft : firm
          list.push(state)
        }
        const found = [...seated.inOrder(nowMs, anyOf)]
        expect(new Set(keysOf(found.slice(0, leaving.length)))).toEqual(new Set(leaving.map(({ key }) => key)))
        expect(keysOf(found.slice(leaving.length))).toEqual(keysOf(sorted(soft)))
        expect(keysOf(seated.staying(nowMs))).toEqual([...keysOf(sorted(soft)), ...keysOf(sorted(firm))])
        expect(new Set(seated.priorities())).toEqual(new Set(soft.map(({ object }) => object.spec.priority)))
        expect(seated.size).toBe(plain.size)
      }
      for (const step of steps) {
        if (step.does === 'ask') check()
        else if (step.does === 'set') {
          for (const [key, one] of step.gangs) {
            const state = states.get(key)
            if (state === undefined) continue
            seated.set(change(state, one))
            plain.add(state)
          }
        } else {
          for (const key of step.gangs) {
            seated.delete(key)
            for (const state of plain) if (state.key === key) plain.delete(state)
          }
        }
      }
      check()
    }),
  )
})

/** As `candidateOrder` says, from what is told of each. */
function sorted(states: readonly GangState[]) {
  const candidates = states.map(({ key, object: { metadata, spec, status } }) => {
    const { seats, checkpoint, restartSeconds = 0, checkpointRequestSeconds } = status ?? {}
    const [group] = spec.groups
    const gpus = seats?.members.length ?? 0
    const sinceMs = Date.parse(seats?.at ?? '')
    const savedMs = Math.max(sinceMs, checkpoint === undefined ? 0 : Date.parse(checkpoint.at))
    return {
      key,
      uid: metadata.uid ?? '',
      queue: spec.queue,
      priority: spec.priority,
      createdAt: '',
      sinceMs,
      leaving: false,
      preemptible: spec.preemptible,
      holds: new Map<string, number>(),
      canShrink: (group?.min ?? 0) < gpus,
      price: ((checkpointRequestSeconds ?? (nowMs - savedMs) / 1000) + restartSeconds) * gpus,
    }
  })
  return candidates.toSorted(candidateOrder(''))
}

test('very many alike are in order too, whether they come one by one or all at once, and when half of them have gone', () => {
  const gangs = Array.from({ length: 60 }, (_, at) => `g${String((at * 37) % 60).padStart(2, '0')}`)
  const held = (key: string) => ({ since: 1 + Number(key.slice(1)), uid: 'u' })
  const youngest = (keys: readonly string[]) => keys.toSorted((a, b) => Number(b.slice(1)) - Number(a.slice(1)))
  const seated = seatedOf(Object.fromEntries(gangs.slice(0, 40).map((key) => [key, held(key)])))
  expect(keysOf(seated.inOrder(nowMs, anyOf))).toEqual(youngest(gangs.slice(0, 40)))
  for (const key of gangs.slice(40)) {
    seated.set(change(newState(key, gangNamed(key, [])), held(key)))
    keysOf(seated.inOrder(nowMs, anyOf))
  }
  expect(keysOf(seated.inOrder(nowMs, anyOf))).toEqual(youngest(gangs))
  for (const [at, key] of gangs.entries()) {
    if (at % 4 === 0) continue
    seated.delete(key)
    expect(seated.size).toBe(keysOf(seated.inOrder(nowMs, anyOf)).length)
  }
  expect(keysOf(seated.inOrder(nowMs, anyOf))).toEqual(youngest(gangs.filter((_, at) => at % 4 === 0)))
  seated.delete('g00')
  seated.delete('g00')
  expect(seated.size).toBe(14)
})

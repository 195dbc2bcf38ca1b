import { describe, expect, test } from 'vitest'
import type { Gang } from '../model/kinds/gang.ts'
import { askedOf, statusAfter } from './committed.ts'
import type { Verdict, Victim } from './contract.ts'
import { gangNamed } from './gang.fixture.ts'

type Status = NonNullable<Gang['status']>

const nowMs = Date.parse('2026-01-01T00:00:00Z')
const at = '2026-01-01T00:00:00.000Z'
const earlier = '2025-12-31T00:00:00.000Z'
const seat = { pod: 'g-worker-0-2', group: 'worker', rank: 0, localRank: 0, node: 'a', devices: [], ports: [] }
const seats = { attempt: 2, masterAddr: '10.0.0.1', masterPort: 20000, members: [seat] }
const victim: Victim = { gang: 'default/v', uid: 'u', attempt: 1, reason: 'InQueue', lostSeconds: 60.4 }
const about = { gang: 'default/g', resourceVersion: '7', attempt: 2 }
const decided = { ...seats, epoch: 3, at: earlier }

/** A gang of which everything is known that a verdict could change. */
const status: Status = {
  checkpoints: [],
  conditions: [{ type: 'Other', status: 'True' }],
  restartSeconds: 5,
  epoch: 3,
  seats: decided,
  hold: { attempt: 2, epoch: 3, at: earlier, members: [seat], victims: [victim] },
  eviction: { attempt: 2, by: 'default/x', reason: 'InQueue', message: 'm', at: earlier },
}
const gang: Gang = { ...gangNamed('g', [], { attempt: 2 }), status }
gang.metadata = { ...gang.metadata, generation: 9, uid: 'u' }

const statusBy = (verdict: Verdict, of: Gang = gang) => statusAfter(of, verdict, { epoch: 4, nowMs })
const scheduled = (written: Status) => written.conditions?.find(({ type }) => type === 'Scheduled')

describe('what a verdict writes', () => {
  test('waiting changes the condition alone', () => {
    const written = statusBy({ kind: 'wait', ...about, reason: 'OverQuota', message: 'why' })
    expect(written).toMatchObject({ ...status, epoch: 4, observedGeneration: 9, conditions: expect.anything() })
    expect(scheduled(written)).toEqual({
      type: 'Scheduled',
      status: 'False',
      reason: 'OverQuota',
      message: 'why',
      observedGeneration: 9,
      lastTransitionTime: at,
    })
    expect(written.conditions?.length).toBe(2)
    expect(statusBy({ kind: 'wait', ...about, reason: 'R', message: 'm' }, gangNamed('new', []))).toMatchObject({
      checkpoints: [],
      epoch: 4,
      conditions: [{ type: 'Scheduled', reason: 'R' }],
    })
  })

  test('seats take the place of all that was before', () => {
    const written = statusBy({ kind: 'bind', ...about, seats })
    expect(written.seats).toEqual({ ...seats, epoch: 4, at })
    expect(scheduled(written)).toMatchObject({ status: 'True', reason: 'Seated', message: '1 member sits' })
    for (const gone of ['hold', 'eviction', 'resize']) expect(written).not.toHaveProperty(gone)
    expect(written.restartSeconds).toBe(5)
  })

  test('who joins a gang that sits finds it sitting since then', () => {
    const joining = { ...seats, members: [seat, { ...seat, pod: 'g-worker-1-2', rank: 1, joined: true }] }
    const rejoins = { ...gang, spec: { ...gang.spec, rejoins: true } }
    const since = (verdict: Partial<Verdict & { kind: 'bind' }>, of: Gang) =>
      statusBy({ kind: 'bind', ...about, seats: joining, ...verdict }, of).seats
    expect(since({}, rejoins)).toEqual({ ...joining, epoch: 4, at: earlier })
    expect(since({ attempt: 3 }, rejoins)?.at, 'another attempt').toBe(at)
    expect(since({}, gang)?.at, 'all sit down anew').toBe(at)
  })

  test('a place that is kept names who leaves for it, and what they lose', () => {
    const written = statusBy({ kind: 'preempt', ...about, seats, victims: [victim] })
    expect(written.hold).toEqual({ attempt: 2, epoch: 4, at, members: [seat], victims: [victim] })
    expect(scheduled(written)).toMatchObject({
      status: 'False',
      reason: 'Preempting',
      message: 'it sits when default/v has left, which loses 60 accelerator-seconds of work',
    })
    for (const gone of ['seats', 'eviction', 'resize']) expect(written).not.toHaveProperty(gone)
    const many = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ ...victim, gang: `default/${name}` }))
    expect(scheduled(statusBy({ kind: 'preempt', ...about, seats, victims: many }))?.message).toBe(
      'it sits when default/a, default/b, default/c, 2 more have left, which lose 302 accelerator-seconds of work',
    )
  })

  test('what it grows into is kept beside its seats, and its condition stays', () => {
    const more = { added: [seat], from: 1, to: 2, priceSeconds: 3, gainSeconds: 9, message: 'grows' }
    const written = statusBy({ kind: 'resize', ...about, ...more })
    expect(written.resize).toEqual({
      attempt: 2,
      epoch: 4,
      at,
      members: [seat],
      priceSeconds: 3,
      gainSeconds: 9,
      message: 'grows',
    })
    expect(written.seats).toEqual(decided)
    expect(written.conditions).toEqual(status.conditions)
  })

  test('seats that are given back are gone, and why is said', () => {
    const written = statusBy({ kind: 'release', ...about })
    for (const gone of ['seats', 'hold', 'eviction', 'resize']) expect(written).not.toHaveProperty(gone)
    expect(scheduled(written)).toMatchObject({
      status: 'False',
      reason: 'Released',
      message: 'its seats were of an earlier attempt',
    })
    const off = { ...gang, spec: { ...gang.spec, suspend: true } }
    expect(scheduled(statusBy({ kind: 'release', ...about }, off))).toMatchObject({
      reason: 'Suspended',
      message: 'it wants no seats',
    })
  })
})

describe('a victim is asked for its seats', () => {
  const { eviction: _, ...unasked } = status
  const sits: Gang = { ...gang, status: unasked }
  const of: Victim = { ...victim, attempt: 2 }
  const asked = (one: Gang, who: Victim = of) => askedOf(one, who, { by: 'default/g', epoch: 3, nowMs })?.eviction

  test('of one that moves, its next seats are kept in the same write', () => {
    const found = askedOf(sits, { ...of, reason: 'Defragmentation', movesTo: [seat] }, { by: 'x', epoch: 3, nowMs })
    expect(found?.hold).toEqual({ attempt: 3, epoch: 3, at, members: [seat], victims: [] })
    expect(found?.eviction?.message).toMatch(/Defragmentation.*where seats are kept for it$/)
  })

  test('once, by whom and why', () => {
    expect(asked(sits)).toEqual({
      attempt: 2,
      by: 'default/g',
      reason: 'InQueue',
      message:
        'its seats are needed by gang default/g (InQueue); it goes on from its last checkpoint when there is room',
      at,
    })
    expect(asked({ ...sits, status })).toBeUndefined()
    const before = { attempt: 1, by: 'x', reason: 'InQueue' as const, message: '', at }
    expect(asked({ ...sits, status: { ...unasked, eviction: before } })).toBeDefined()
    expect(asked(sits, { ...of, shrinks: true })?.shrinks).toBe(true)
    expect(asked(sits, { ...of, shrinks: false })).not.toHaveProperty('shrinks')
  })

  test.each<[string, Gang, Victim]>([
    ['it is another gang by now', sits, { ...of, uid: 'other' }],
    ['it wants none', { ...sits, spec: { ...sits.spec, suspend: true } }, of],
    ['it has started again', sits, { ...of, attempt: 1 }],
    ['it sits no more', { ...sits, status: { conditions: [], checkpoints: [] } }, of],
    ['nothing is known of it', gangNamed('g', [], { attempt: 2 }), { ...of, uid: '' }],
    ['its seats are of another attempt', { ...sits, status: { ...unasked, seats: { ...decided, attempt: 1 } } }, of],
  ])('not where %s', (_case, one, who) => {
    expect(asked(one, who)).toBeUndefined()
  })
})

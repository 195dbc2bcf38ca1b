import { expect, test } from 'vitest'
import type { Gang, Seat } from '../../model/kinds/gang.ts'
import { gangNamed, groupOf } from '../../scheduler/gang.fixture.ts'
import type { End } from './cause.ts'
import { leaversOf } from './leavers.ts'
import { type RecoveryRecord, recoveryAnnotation } from './record.ts'

type Status = NonNullable<Gang['status']>

const at = '2026-01-01T00:00:00Z'

/** Four members, of whom two are enough. */
function gang(spec: Partial<Gang['spec']> = {}, joined: readonly string[] = [], record: Partial<RecoveryRecord> = {}) {
  const made = gangNamed('g', [groupOf(2, { max: 4 })], { rejoins: true, ...spec })
  const members = ['a', 'b', 'c', 'd'].map((pod, rank): Seat => {
    const seat = { pod, group: 'worker', rank, localRank: 0, node: 'n', devices: [], ports: [] }
    return joined.includes(pod) ? { ...seat, joined: true } : seat
  })
  const checkpoint = { step: 10, attempt: 1, at, digest: '', bytes: 0, manifests: [] }
  const seats = { attempt: 1, epoch: 1, at, masterAddr: '', masterPort: 1, members }
  const status: Status = { conditions: [], checkpoints: [], seats, checkpoint }
  const annotations = { [recoveryAnnotation]: JSON.stringify({ progress: '1/10', ...record }) }
  return { ...made, metadata: { ...made.metadata, annotations }, status }
}

function end(pod: string, kind: End['kind'] = 'killed'): End {
  return { pod, rank: 0, node: 'n', atMs: 0, kind, reason: '', message: '' }
}

/** Who leaves when `a` has ended, and `failed` too; those have told a step, and those have ended well. */
function leavers(of: Gang, { failed = '', stepped = 'abcd', done = '', kind = 'killed' as End['kind'] } = {}) {
  const hasStepped = new Map([...'abcd'].map((pod) => [pod, stepped.includes(pod)]))
  return leaversOf(of, end('a', kind), [...failed], { hasStepped, done: new Set(done) })
}

test('whoever failed leaves, and what keeps the others waiting', () => {
  expect(leavers(gang())).toEqual({ pods: ['a'], neverJoined: false })
  expect(leavers(gang(), { failed: 'a' })).toEqual({ pods: ['a'], neverJoined: false })
  expect(leavers(gang(), { failed: 'c', kind: 'hung' })).toEqual({ pods: ['a', 'c'], neverJoined: false })
  expect(leavers(gang({ left: ['c'] }), { failed: 'c' })?.pods, 'who has left is no member').toEqual(['a'])
})

test('only where the job says so, and while it sits', () => {
  expect(leavers(gang({ rejoins: false }))).toBeUndefined()
  expect(leavers(gang({ attempt: 2 }))).toBeUndefined()
})

test.each<End['kind']>(['diverged', 'stalled', 'by agent'])('all start again where the cause is %s', (kind) => {
  expect(leavers(gang(), { kind })).toBeUndefined()
})

test.each<End['kind']>(['killed', 'lost', 'exit', 'hung', 'taken', 'unready', 'damaged'])(
  'the others go on where it is %s',
  (kind) => expect(leavers(gang(), { kind })?.pods).toEqual(['a']),
)

test('while enough are left, those that have left before not counted', () => {
  expect(leavers(gang(), { failed: 'b' })?.pods).toEqual(['a', 'b'])
  expect(leavers(gang(), { failed: 'bc' })).toBeUndefined()
  expect(leavers(gang({ left: ['d'] }))?.pods).toEqual(['a'])
  expect(leavers(gang({ left: ['d'] }), { failed: 'b' })).toBeUndefined()
})

test('while somebody is left who has done a step: who comes has the state from him', () => {
  expect(leavers(gang(), { stepped: 'ab' })?.pods).toEqual(['a'])
  expect(leavers(gang(), { stepped: 'a' })).toBeUndefined()
  expect(leavers(gang(), { stepped: 'ab', failed: 'b' })).toBeUndefined()
})

test('until as many were replaced since the last checkpoint as there are members', () => {
  const replaced = (count: number, progress: string, left: string[] = []) =>
    leavers(gang({ left }, [], { replacedSinceProgress: count, progress }))?.pods
  expect(replaced(3, '1/10')).toEqual(['a'])
  expect(replaced(4, '1/10')).toBeUndefined()
  expect(replaced(3, '1/10', ['d']), 'three are there').toBeUndefined()
  expect(replaced(4, '1/9'), 'there is a new one').toEqual(['a'])
})

test('whether all of them came to join and had not done a step', () => {
  const neverJoined = (joined: string, stepped: string, failed = '') =>
    leavers(gang({}, [...joined]), { stepped, failed })?.neverJoined
  expect(neverJoined('a', 'bcd')).toBe(true)
  expect(neverJoined('a', 'abcd')).toBe(false)
  expect(neverJoined('', 'bcd'), 'it began with the others').toBe(false)
  expect(neverJoined('ab', 'cd', 'b')).toBe(true)
  expect(neverJoined('a', 'cd', 'b')).toBe(false)
  expect(neverJoined('ab', 'bcd', 'b')).toBe(false)
})

test('where all others have ended well nobody has to be enough any more, and nothing is counted', () => {
  expect(leavers(gang(), { failed: 'bc', done: 'd' })).toEqual({ pods: ['a', 'b', 'c'], neverJoined: false })
  expect(leavers(gang(), { failed: 'bc', done: 'c' }), 'd has not').toBeUndefined()
  expect(leavers(gang(), { failed: 'bcd', done: 'd' })).toBeUndefined()
  expect(leavers(gang({}, ['a']), { stepped: 'bcd', done: 'bcd' })?.neverJoined).toBe(false)
  const often = { replacedSinceProgress: 4, progress: '1/10' }
  expect(leavers(gang({}, [], often), { done: 'bcd' })?.pods).toEqual(['a'])
})

import { expect, test } from 'vitest'
import type { ToldXid } from '../../model/told-xids.ts'
import { judge, marked, type SeenXid, type Told } from './xids.ts'

const minuteMs = 60_000
const dayMs = 86_400_000
const now = Date.parse('2026-11-05T10:00:00Z')
const told = (xid: number, over: Partial<ToldXid> = {}): ToldXid => ({
  xid,
  device: 'gpu-0',
  at: '2026-11-05T09:59:59Z',
  ...over,
})
const seen = (xid: number, agoMs: number, over: Partial<SeenXid> = {}): SeenXid => ({
  xid,
  device: 'gpu-0',
  at: new Date(now - agoMs).toISOString(),
  seenMs: now - agoMs,
  of: ['g/a'],
  ...over,
})
const of = (list: ToldXid[], over: Partial<Told> = {}) =>
  judge({ told: list, seen: [], holdersOf: () => ['g/a'], elsewhere: () => [], ...over }, now)

test.each<[number, string, string]>([
  [13, 'nothing', ''],
  [31, 'nothing', ''],
  [94, 'nothing', ''],
  [43, 'nothing', ''],
  [45, 'nothing', ''],
  [92, 'nothing', ''],
  [63, 'close', 'reset the GPU when what runs there has ended'],
  [48, 'leave', 'XID 48 on gpu-0 (double bit ECC error): reset the GPU'],
  [64, 'leave', 'reset the GPU'],
  [95, 'leave', 'reset the GPU'],
  [119, 'leave', 'reset the GPU'],
  [74, 'leave', 'look at its NVLinks'],
  [149, 'leave', 'look at its NVLinks'],
  [79, 'leave', 'XID 79 on gpu-0 (GPU has fallen off the bus): start the node anew, or replace it'],
])('XID %i asks for the node to do this: %s', (xid, wants, because) => {
  const judged = of([told(xid)])
  expect(judged.wants).toBe(wants)
  if (wants !== 'nothing') expect(judged.because).toContain(because)
  expect(judged.seen).toEqual([{ ...told(xid), seenMs: now, of: ['g/a'] }])
  expect(judged.unknown).toEqual([])
})

test('a number that nobody knows is said, once, and nothing follows', () => {
  const judged = of([told(999)])
  expect(judged).toMatchObject({ wants: 'nothing', unknown: [{ xid: 999 }] })
  expect(of([told(999)], { seen: judged.seen }).unknown).toEqual([])
})

test('each is acted on once: what is told still asks for nothing again', () => {
  const first = of([told(79)])
  expect(of([told(79)], { seen: first.seen }).wants).toBe('nothing')
  expect(of([told(79), told(79, { at: '2026-11-05T09:59:59.5Z' })], { seen: first.seen }).wants).toBe('leave')
})

test('of several the one that asks for most is done', () => {
  expect(of([told(63), told(31), told(95), told(45)])).toMatchObject({ wants: 'leave', asks: { xid: 95 } })
})

test.each<[ToldXid['action'], string, string]>([
  ['none', 'nothing', ''],
  ['reset', 'leave', 'reset the GPU'],
  ['reboot', 'leave', 'start the node anew'],
  ['drain-p2p', 'leave', 'peer-to-peer'],
  ['drain-and-reset', 'leave', 'reset the GPU'],
])('154 carries what is wanted, and is obeyed before the table: %s', (action, wants, advice) => {
  const judged = of([told(79), told(154, { action })])
  expect(judged.wants).toBe(wants)
  if (wants === 'leave') expect(judged).toMatchObject({ asks: { xid: 154 }, because: expect.stringContaining(advice) })
})

test('that nothing is to be done is of one GPU, and of what it told within minutes', () => {
  const none = (over: Partial<ToldXid>) => of([told(79), told(154, { action: 'none', ...over })]).wants
  expect(none({ device: 'gpu-1' })).toBe('leave')
  expect(none({ at: '2026-11-05T10:05:00Z' })).toBe('leave')
  expect(none({ at: '2026-11-05T10:04:00Z' })).toBe('nothing')
})

test('what asks for the application to start again closes the node where one GPU tells it again within a day', () => {
  const again = (agoMs: number, over: Partial<SeenXid> = {}) => of([told(31)], { seen: [seen(31, agoMs, over)] })
  expect(again(10 * minuteMs)).toMatchObject({ wants: 'close', because: expect.stringContaining('diagnose the GPU') })
  expect(again(dayMs + 1).wants).toBe('nothing')
  expect(again(10 * minuteMs, { xid: 13 }).wants).toBe('nothing')
  // A burst is one.
  expect(again(30_000).wants).toBe('nothing')
  // Whoever it was: the GPU is the same.
  expect(again(10 * minuteMs, { of: ['other/a'] }).wants).toBe('close')
})

test('where one gang has it on one GPU after another the application is to blame, and no node is closed', () => {
  const before = [seen(31, 10 * minuteMs)]
  const spread = (over: Partial<Told>) => of([told(31)], { seen: before, ...over }).wants
  expect(spread({ elsewhere: (gang) => (gang === 'g' ? [seen(31, 20 * minuteMs)] : []) })).toBe('nothing')
  expect(spread({ seen: [...before, seen(31, 20 * minuteMs, { device: 'gpu-1', of: ['g/b'] })] })).toBe('nothing')
  expect(spread({ elsewhere: () => [seen(31, 2 * dayMs)] })).toBe('close')
  expect(spread({ seen: [...before, seen(31, 20 * minuteMs, { device: 'gpu-1', of: ['h/b'] })] })).toBe('close')
})

test('the same still there after two closings asks for an inspection, within a week', () => {
  const closed = [seen(95, 2 * dayMs, { closed: true }), seen(95, dayMs, { closed: true })]
  expect(of([told(95)], { seen: closed }).because).toBe(
    'XID 95 on gpu-0 (uncontained ECC error): have the hardware inspected, for the node was closed for that 2 times in a week',
  )
  expect(of([told(95)], { seen: closed.slice(1) }).because).toContain('reset the GPU')
  expect(of([told(95)], { seen: [seen(95, 8 * dayMs, { closed: true }), ...closed.slice(1)] }).because).toContain(
    'reset',
  )
})

test('what could not be done is asked for again while it is told, for a day', () => {
  const first = of([told(79)])
  if (first.asks === undefined) throw new Error('asks for nothing')
  const refused = marked(first.seen, first.asks, 'refused')
  expect(of([told(79)], { seen: refused })).toMatchObject({ wants: 'leave', asks: { refused: true } })
  expect(of([], { seen: refused }).wants).toBe('nothing')
  const old = refused.map((one) => ({ ...one, seenMs: now - dayMs }))
  expect(of([told(79)], { seen: old }).wants).toBe('nothing')
  expect(marked(refused, first.asks, 'closed')).toEqual([{ ...first.asks, closed: true }])
})

test('the record is bounded, and forgets no XID that is told', () => {
  const many = Array.from({ length: 200 }, (_, index) => seen(31, 200_000 - index))
  expect(of([], { seen: many }).seen).toHaveLength(64)
  const still = told(79)
  const old = { ...still, seenMs: now - 30 * dayMs, of: [] }
  expect(of([still], { seen: [old, seen(13, 8 * dayMs)] }).seen).toEqual([old])
})

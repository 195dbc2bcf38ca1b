import { expect, test } from 'vitest'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { areCutOff, type Observed, observed, whySo } from './pool-reliability.ts'

const at = Date.parse('2026-11-05T10:00:00Z')
const hourMs = 3_600_000
type State = 'well' | 'late' | 'lost' | 'stopped' | 'not well' | 'closed by recovery' | 'closed by a person' | 'gone'

const reasons: Partial<Record<State, [status: 'False' | 'Unknown', reason: string]>> = {
  late: ['Unknown', 'HeartbeatLate'],
  lost: ['Unknown', 'NodeStatusUnknown'],
  gone: ['Unknown', 'NodeStatusUnknown'],
  stopped: ['False', 'AgentStopped'],
  'not well': ['False', 'KubeletNotReady'],
}

function node(name: string, state: State = 'well'): Node {
  const [status, reason] = reasons[state] ?? (['True', 'AgentReady'] as const)
  const annotations = state === 'closed by recovery' ? { 'millwright.dev/cordoned-because': 'x' } : {}
  const taints = [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }]
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, annotations },
    spec: { unschedulable: state.startsWith('closed'), ...(state === 'gone' ? { taints } : {}) },
    status: { conditions: [{ type: 'Ready', status, reason }] },
  }
}

const names = ['a', 'b', 'c', 'd', 'e']
const fleet = (over: Record<string, State> = {}) => names.map((name) => node(name, over[name]))
const first = observed(undefined, fleet(), false, at, 0)
const after = (before: Observed, over: Record<string, State>, hours = 1) =>
  observed(before, fleet(over), false, at, hours * hourMs)

test('what is in service and what is out are counted in seconds, and how often one goes and comes back', () => {
  expect(first).toEqual({
    through: '2026-11-05T10:00:00.000Z',
    nodes: 5,
    out: [],
    nodeSeconds: 0,
    failures: 0,
    outSeconds: 0,
    repairs: 0,
  })
  const lost = after(first, { c: 'lost' })
  expect(lost).toMatchObject({ out: ['c'], nodeSeconds: 5 * 3600, failures: 1, outSeconds: 0, repairs: 0 })
  const still = after(lost, { c: 'lost' })
  expect(still.failures).toBeCloseTo(1, 2)
  expect([still.nodeSeconds / 3600, still.outSeconds / 3600].map(Math.round)).toEqual([9, 1])
  const back = after(still, {}, 0.5)
  expect([back.failures, back.repairs].map(Math.round)).toEqual([1, 1])
  expect(back.outSeconds / 3600).toBeCloseTo(1.5, 2)
})

test.each<[State, number]>([
  ['lost', 1],
  ['not well', 1],
  ['gone', 1],
  ['closed by recovery', 1],
  ['late', 0],
  ['stopped', 0],
  ['closed by a person', 0],
])('a node that is %s has failed so often: %i', (state, failures) => {
  expect(after(first, { b: state }).failures).toBe(failures)
})

test('while nothing happens it is written each quarter of an hour, and at once when something does', () => {
  expect(after(first, {}, 0.2)).toBe(first)
  expect(after(first, {}, 0.25).nodeSeconds).toBe(5 * 900)
  expect(after(first, { a: 'lost' }, 0.001).failures).toBe(1)
  expect(observed(first, fleet().slice(1), false, at, 1000)).toMatchObject({ nodes: 4, failures: 0, nodeSeconds: 5 })
})

test('one that was replaced under another name is back', () => {
  const lost = after(first, { e: 'lost' })
  const replaced = observed(lost, [...fleet().slice(0, 4), node('f')], false, at, hourMs)
  expect([replaced.failures, replaced.repairs].map(Math.round)).toEqual([1, 1])
  expect(replaced.out).toEqual([])
})

test('what nobody saw is not guessed: a longer gap counts for nothing but what is different after it', () => {
  expect(after(first, { a: 'lost' }, 5)).toMatchObject({ nodeSeconds: 0, failures: 1, outSeconds: 0 })
})

test('while most of the fleet is silent nothing counts, neither the nodes nor the time', () => {
  const silent = fleet({ a: 'lost', b: 'lost', c: 'late' })
  expect([areCutOff(silent), areCutOff(fleet({ a: 'lost', b: 'lost' })), areCutOff([node('a', 'lost')])]).toEqual([
    true,
    false,
    false,
  ])
  // Whom a person has said to be gone is not silent.
  expect(areCutOff(fleet({ a: 'lost', b: 'lost', c: 'gone' }))).toBe(false)
  expect(observed(first, silent, true, at, hourMs)).toMatchObject({ failures: 0, nodeSeconds: 0, out: [] })
  expect(observed(undefined, silent, true, at, 0)).toMatchObject({ out: [], failures: 0 })
})

test('what is older counts less', () => {
  let seen = after(first, { a: 'lost' })
  for (let hour = 0; hour < 90 * 24; hour++) seen = after(seen, {})
  expect(seen.failures).toBeCloseTo(Math.exp(-1), 3)
  // In service for ninety days, of which the earlier count less: at most as if for so long in all.
  expect(seen.nodeSeconds).toBeLessThan(5 * 90 * 86_400)
})

test('the number says what it follows from', () => {
  const seen = { ...first, nodeSeconds: 1000 * 86_400, failures: 11, outSeconds: 10 * 86_400, repairs: 10 }
  expect(whySo(seen)).toBe(
    'a node fails once in 96.2 days, and is away for 24 hours: 11 failures in 1000 days of its nodes and 10 repairs were seen, beside one of a large fleet',
  )
})

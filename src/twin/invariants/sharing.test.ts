import { expect, test } from 'vitest'
import type { KindName } from '../../model/registry.ts'
import { entryOf } from './entry.fixture.ts'
import { Invariants } from './invariants.ts'

type Write = [kind: KindName, object: Record<string, unknown>, atMs?: number]

/** What the rule says of these writes, and of one a while later. */
function told(rule: string, ...writes: Write[]): string[] {
  const invariants = new Invariants()
  const later: Write = ['Node', { metadata: { name: 'later' }, spec: {} }, 1_000_000]
  for (const [index, [kind, object, atMs = 100_000]] of [...writes, later].entries()) {
    invariants.see(entryOf(kind, object, 'MODIFIED', index + 1), atMs)
  }
  return [...new Set(invariants.violations.flatMap(({ invariant, message }) => (invariant === rule ? [message] : [])))]
}

/** One leader leads for so long from then on. */
function leads(forMs: number, fromMs = 100_000): Write[] {
  return Array.from({ length: forMs / 5_000 }, (_, index) => {
    const spec = { holderIdentity: 'control-1', leaseTransitions: 1, leaseDurationSeconds: 15 }
    return ['Lease', { metadata: { name: 'lease' }, spec }, fromMs + index * 5_000]
  })
}

/** What the rule of quotas says while one leader leads, before these writes and after. */
function toldOfQuotas(...writes: Write[]): string[] {
  return told('quotas', ...leads(50_000, 50_000), ...writes, ...leads(25_000, 100_000))
}

function queue(name: string, spec: Record<string, unknown>): Write {
  return ['Queue', { metadata: { name }, spec: { stopPolicy: 'None', ...spec } }, 0]
}

function gang(name: string, queueName: string, slots: number, status: Record<string, unknown>, more = {}): Write {
  const groups = [{ name: 'w', min: slots, max: slots, accelerators: [{ model: 'cpu', count: 1 }] }]
  const spec = { attempt: 1, queue: queueName, groups, preemptible: true, ...more }
  return ['Gang', { metadata: { name, namespace: 'default', uid: name }, spec, status }]
}

let from = 0
/** Other slots of the node each time. */
function members(name: string, slots: number) {
  from += slots
  return Array.from({ length: slots }, (_, at) => ({
    pod: `${name}-${at}`,
    group: 'w',
    node: 'n',
    devices: [{ id: `cpu-${from + at}`, milli: 1000 }],
  }))
}
const seats = (name: string, slots: number) => ({
  seats: { attempt: 1, epoch: 1, at: '1', members: members(name, slots) },
})
const sits = (name: string, queueName: string, slots: number, more = {}) =>
  gang(name, queueName, slots, seats(name, slots), more)

const victim = (name: string, reason = 'InQueue') => ({ gang: `default/${name}`, uid: name, attempt: 1, reason })
const holds = (name: string, at: string, ...victims: unknown[]) => ({
  hold: { attempt: 1, epoch: 1, at, members: members(name, 1), victims },
})

const ready = { conditions: [{ type: 'Ready', status: 'True' }], allocatable: { 'millwright.dev/cpu': '8' } }
const node: Write = ['Node', { metadata: { name: 'n' }, spec: {}, status: ready }, 0]

/** Four slots each; one lends a single one. */
const tree = [
  queue('root', { nominalQuota: { cpu: 0 } }),
  queue('a', { parent: 'root', nominalQuota: { cpu: 4 }, borrowingLimit: { cpu: 2 } }),
  queue('b', { parent: 'root', nominalQuota: { cpu: 4 }, lendingLimit: { cpu: 1 } }),
  queue('c', { parent: 'root' }),
]

test('a queue holds no more than it owns and may borrow, nor does one above it', () => {
  expect(toldOfQuotas(...tree, sits('x', 'a', 5), sits('y', 'b', 3))).toEqual([])
  expect(toldOfQuotas(...tree, sits('x', 'a', 7))).toEqual([
    'gang default/x is given seats, and queue a holds 7 cpu, and may hold 6',
  ])
  expect(toldOfQuotas(...tree, sits('x', 'a', 6))).toEqual([
    'gang default/x is given seats, and queue root holds 6 cpu, and may hold 5',
  ])
  expect(toldOfQuotas(...tree, sits('x', 'c', 2), sits('y', 'b', 3), sits('z', 'a', 3))).toEqual([])
  expect(toldOfQuotas(...tree, sits('x', 'c', 2), sits('y', 'b', 3), sits('z', 'a', 4))).toEqual([
    'gang default/z is given seats, and queue root holds 6 cpu, and may hold 5',
  ])
})

test('what is decided together may be written in any order', () => {
  const over: Write[] = [sits('x', 'a', 5), sits('z', 'a', 4)]
  expect(toldOfQuotas(...tree, ...over)).toHaveLength(1)
  const held = gang('h', 'b', 1, holds('h', '1', victim('x')))
  expect(toldOfQuotas(...tree, ...over, held)).toEqual([])
})

test('what is held counts, and what its holder is to give back does not', () => {
  const held = gang('y', 'a', 1, holds('y', '1', victim('x')))
  expect(toldOfQuotas(...tree, sits('x', 'a', 5), held, sits('z', 'a', 4))).toEqual([])
  expect(toldOfQuotas(...tree, sits('x', 'a', 5), held, sits('z', 'a', 5))).toEqual([
    'gang default/z is given seats, and queue root holds 6 cpu, and may hold 5',
  ])
})

test('what is not preemptible borrows nothing', () => {
  const firm = { preemptible: false }
  expect(toldOfQuotas(...tree, sits('x', 'a', 1), sits('y', 'a', 4, firm))).toEqual([])
  expect(toldOfQuotas(...tree, sits('x', 'a', 1, firm), sits('y', 'a', 4, firm))).toEqual([
    'gang default/y is not preemptible, and with it such work holds 5 cpu of queue a, which owns 4',
  ])
})

test('a lender gets back what it lent while a leader leads', () => {
  const lent = [
    queue('root', {}),
    queue('a', { parent: 'root', nominalQuota: { cpu: 4 } }),
    queue('b', { parent: 'root', nominalQuota: { cpu: 4 } }),
  ]
  const [waits, borrows] = [gang('x', 'a', 3, {}), sits('y', 'b', 6)]
  const late = ['for 120 s gang default/x waits for 3 slots, which queue a owns and has no use for otherwise']
  expect(told('lenders', ...lent, node, waits, borrows, ...leads(200_000))).toEqual(late)
  expect(told('lenders', ...lent, node, waits, borrows, ...leads(100_000))).toEqual([])
  const never = queue('a', { ...(lent[1]?.[1]['spec'] as object), preemption: { reclaimWithinCohort: 'Never' } })
  expect(told('lenders', ...lent, never, node, waits, borrows, ...leads(200_000))).toEqual([])
  expect(told('lenders', ...lent, node, waits, sits('z', 'a', 2), borrows, ...leads(200_000))).toEqual([])
  const firm = sits('y', 'b', 6, { preemptible: false })
  expect(told('lenders', ...lent, node, waits, firm, ...leads(200_000))).toEqual([])
})

test('nobody displaces whom it was displaced by, directly or not', () => {
  const round = [gang('b', 'a', 1, holds('b', '1', victim('a'))), gang('c', 'a', 1, holds('c', '2', victim('b')))]
  expect(told('cycles', ...round, gang('a', 'a', 1, holds('a', '3', victim('c'))))).toEqual([
    'gang default/a displaces default/c (InQueue), which had displaced it, or who did',
  ])
  expect(told('cycles', ...round, gang('a', 'a', 1, holds('a', '3', victim('d'))))).toEqual([])
  const served = gang('b', 'a', 1, holds('b', '1', victim('a')), { served: 1 })
  expect(told('cycles', ...round, served, gang('a', 'a', 1, holds('a', '3', victim('c'))))).toEqual([])
})

test('nor does a replica displace whom another of its service was displaced by', () => {
  const replica = (name: string, status: Record<string, unknown>): Write => {
    const [kind, object] = gang(name, 'a', 1, status)
    const labels = { 'millwright.dev/service': 's' }
    return [kind, { ...object, metadata: { ...(object['metadata'] as object), labels } }]
  }
  const displaced = [replica('s-1', {}), gang('b', 'a', 1, holds('b', '1', victim('s-1')))]
  expect(told('cycles', ...displaced, replica('s-2', holds('s-2', '2', victim('b'))))).toEqual([
    'gang default/s-2 displaces default/b (InQueue), which had displaced it, or who did',
  ])
  expect(told('cycles', ...displaced, replica('s-2', holds('s-2', '2', victim('s-1'))))).toEqual([])
})

test('a lender takes back what is its own once', () => {
  const by = (name: string, at: string, of: string): Write =>
    gang(name, 'a', 1, holds(name, at, victim(of, 'InCohortReclamation')))
  const once = [by('b', '1', 'a'), by('a', '2', 'b')]
  expect(told('cycles', ...once)).toEqual([])
  const turned = [...once, gang('b', 'a', 1, holds('b', '3', victim('a', 'InCohortReclamation'))), by('a', '4', 'b')]
  expect(told('cycles', ...turned)).toEqual([
    'gang default/a displaces default/b (InCohortReclamation), which had displaced it, or who did',
  ])
})

test('for whom others have left sits while a leader leads', () => {
  const waits = gang('b', 'a', 1, holds('b', '1', victim('a')))
  const left = gang('a', 'a', 1, {}, { attempt: 2 })
  const labels = { 'millwright.dev/gang': 'a' }
  const pod: Write = ['Pod', { metadata: { name: 'a-0', namespace: 'default', labels }, spec: { nodeName: 'n' } }]
  const late = ['for 120 s gang default/b does not sit, and all who were to leave for it have left']
  expect(told('causes', node, waits, left, ...leads(200_000))).toEqual(late)
  expect(told('causes', node, waits, left, ...leads(100_000))).toEqual([])
  expect(told('causes', node, waits, left, pod, ...leads(200_000))).toEqual([])
  expect(told('causes', node, waits, sits('a', 'a', 1), ...leads(200_000))).toEqual([])
  const closed: Write = ['Node', { metadata: { name: 'n' }, spec: { unschedulable: true }, status: ready }, 0]
  expect(told('causes', closed, waits, left, ...leads(200_000))).toEqual([])
})

import { expect, test } from 'vitest'
import type { KindName } from '../../model/registry.ts'
import type { Entry } from '../../store/history.ts'
import type { Stored } from '../../store/stored.ts'
import { Invariants } from './invariants.ts'

/** Every rule can break: a rule that nothing breaks says nothing. */
function told(...writes: [KindName, Record<string, unknown>][]): Invariants {
  const invariants = new Invariants()
  for (const [index, [kind, object]] of writes.entries()) {
    const stored = object as Stored
    const entry: Entry = {
      kind,
      key: stored.metadata.name,
      revision: index + 1,
      type: 'MODIFIED',
      object: stored,
      previous: undefined,
      event: { type: 'MODIFIED', object: stored },
    }
    invariants.see(entry, 0)
  }
  return invariants
}

function gang(name: string, spec: Record<string, unknown>, status: Record<string, unknown>) {
  const metadata = { name, namespace: 'default', uid: name }
  const groups = [{ name: 'w', min: 1, max: 1, accelerators: [{ model: 'H100', count: 1 }] }]
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Gang',
    metadata,
    spec: { attempt: 1, groups, preemptible: true, ...spec },
    status,
  }
}
const seats = (pod: string, epoch = 1) => ({
  attempt: 1,
  epoch,
  at: '2026-01-01T00:00:00Z',
  members: [{ pod, group: 'w', rank: 0, localRank: 0, node: 'n', devices: [{ id: 'H100-0', milli: 1000 }], ports: [] }],
})
const checkpoint = (step: number) => ({ step, attempt: 1, manifests: [`c/step-${step}`] })
const broken = ({ violations }: Invariants) => violations.map(({ invariant, message }) => `${invariant}: ${message}`)

test('an accelerator that two gangs sit on is promised twice', () => {
  const invariants = told(
    ['Gang', gang('a', {}, { seats: seats('a-0') })],
    ['Gang', gang('b', {}, { seats: seats('b-0') })],
  )
  expect(broken(invariants)).toEqual([expect.stringMatching(/^seats: H100-0 of n is promised twice/)])
})

test('a pod is bound to its own seat', () => {
  const metadata = { name: 'a-0', namespace: 'default', labels: { 'millwright.dev/gang': 'a' } }
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName: 'other' } }
  expect(broken(told(['Pod', pod]))).toEqual(['seats: pod default/a-0 is bound, and its gang has no seat for it'])
  expect(broken(told(['Gang', gang('a', {}, { seats: seats('a-0') })], ['Pod', pod]))).toEqual([
    'seats: pod default/a-0 is bound to other, its seat is on n',
  ])
})

test('no older leader seats a gang, and epochs and attempts only rise', () => {
  expect(
    broken(told(['Gang', gang('a', {}, { epoch: 3 })], ['Gang', gang('a', {}, { epoch: 3, seats: seats('a-0', 2) })])),
  ).toEqual(['leaders: gang default/a was seated by epoch 2, and epoch 3 had touched it before'])
  expect(broken(told(['Gang', gang('a', { attempt: 2 }, {})], ['Gang', gang('a', {}, {})]))).toEqual([
    'leaders: the attempt of gang default/a went back from 2 to 1',
  ])
})

test('a committed checkpoint is neither followed by an older one nor deleted', () => {
  const newer = gang('a', {}, { checkpoint: checkpoint(20) })
  expect(broken(told(['Gang', newer], ['Gang', gang('a', {}, { checkpoint: checkpoint(10) })]))).toEqual([
    'checkpoints: the checkpoint of gang default/a went back from step 20 (attempt 1) to 10 (1)',
  ])
  const invariants = told(['Gang', newer])
  invariants.seeDeleted('c/step-10', 0)
  expect(broken(invariants)).toEqual([])
  invariants.seeDeleted('c/step-20', 0)
  expect(broken(invariants)).toEqual(['checkpoints: c/step-20 is deleted, and gang default/a would go on from it'])
})

test('nobody is asked to leave for one that holds nothing of it', () => {
  const eviction = { attempt: 1, by: 'default/b', at: '2026-01-01T00:00:00Z' }
  expect(broken(told(['Gang', gang('a', {}, { eviction })]))).toEqual([
    'evictions: gang default/a was asked to leave for default/b, which holds nothing of it',
  ])
})

test('a ledger page accounts for all that there was', () => {
  const status = { capacitySlotMs: 10, entries: [{ slotMs: 6 }], provisional: [{ slotMs: 3 }] }
  const page = { metadata: { name: 'p' }, status }
  expect(broken(told(['LedgerPage', page]))).toEqual(['accounts: page p accounts for 9 of 10 slot-milliseconds'])
})

test('nobody writes the same again and again', () => {
  const writes = Array.from({ length: 400 }, (): [KindName, Record<string, unknown>] => [
    'Queue',
    { metadata: { name: 'q' } },
  ])
  expect(broken(told(...writes))).toEqual(['calm: Queue /q was written 400 times within 10 s'])
})

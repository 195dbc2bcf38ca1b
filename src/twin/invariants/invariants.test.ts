import { expect, test } from 'vitest'
import type { RestoredPart } from '../../agent/simulated/machine.ts'
import type { KindName } from '../../model/registry.ts'
import type { Store } from '../../store/contract.ts'
import { entryOf } from './entry.fixture.ts'
import { Invariants } from './invariants.ts'

/** What is written, when, and by which process. */
type Write = [kind: KindName, object: Record<string, unknown>, atMs?: number, by?: string | undefined]

/** Every rule can break: a rule that nothing breaks says nothing. */
function told(...writes: Write[]): Invariants {
  const invariants = new Invariants()
  for (const [index, write] of writes.entries()) tell(invariants, write, index + 1)
  return invariants
}

function tell(invariants: Invariants, [kind, object, atMs = 0, by]: Write, revision: number): void {
  invariants.see(entryOf(kind, object, 'MODIFIED', revision), atMs, by)
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

test('a watch that leaves something out, or goes back, is told of', async () => {
  const watched = (...revisions: number[]) => {
    const invariants = new Invariants()
    for (const revision of [1, 2, 3]) tell(invariants, ['Queue', { metadata: { name: 'q' } }], revision)
    const store: Pick<Store, 'watch'> = {
      watch: (_kind, _options, { event }) => {
        for (const revision of revisions) {
          const metadata = { name: 'q', resourceVersion: String(revision) }
          event({ type: 'MODIFIED', object: { metadata } as Parameters<typeof event>[0]['object'] })
        }
        return () => {}
      },
    }
    invariants.watching(store, () => 0)('Queue', { from: '1' }, { event: () => {}, ended: () => {} })
    return broken(invariants)
  }
  expect(watched(2, 3)).toEqual([])
  expect(watched(3)).toEqual(['watches: a watch of Queue from revision 1 tells of 3, and not of 2'])
  expect(watched(2, 2)).toEqual(['watches: a watch of Queue from revision 1 tells of 2, and not of 3'])
})

test('an accelerator that two gangs sit on is promised twice', () => {
  const invariants = told(
    ['Gang', gang('a', {}, { seats: seats('a-0') })],
    ['Gang', gang('b', {}, { seats: seats('b-0') })],
  )
  expect(broken(invariants)).toEqual([expect.stringMatching(/^seats: H100-0 of n is promised twice/)])
})

test('what is held for one is given to nobody else; who has it keeps it while others of its gang leave', () => {
  const [spec, [seat]] = [{ groups: [{ name: 'w', min: 1, max: 2, accelerators: [] }] }, seats('a-0').members]
  const other = { ...seat, pod: 'a-1', devices: [{ id: 'H100-1', milli: 1000 }] }
  const held: Write = ['Gang', gang('b', {}, { hold: { ...seats('b-0'), victims: [] } })]
  const both = { seats: { ...seats('a-0'), members: [seat, other] } }
  const sits: Write = ['Gang', gang('a', spec, both)]
  const goesOn: Write = ['Gang', gang('a', { ...spec, left: ['a-1'] }, both)]
  expect(broken(told(sits, held, goesOn))).toEqual([])
  expect(broken(told(held, sits))).toEqual([
    'seats: H100-0 of n is given to default/a (a-0), and was held for default/b-0',
  ])
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

test('what its loss shows to be wrong is followed by an older one, and by nothing newer', () => {
  const report = {
    metadata: { name: 'pod.a-0', namespace: 'default' },
    spec: { gang: 'a', attempt: 1, pod: { name: 'a-0', uid: 'a-0' } },
    status: { lossSpike: { step: 21, atMs: 0 } },
  }
  const newer = gang('a', {}, { checkpoint: checkpoint(20) })
  const older = gang('a', {}, { checkpoint: checkpoint(10) })
  expect(broken(told(['Gang', newer], ['Report', report], ['Gang', older, 90_000]))).toEqual([])
  expect(broken(told(['Gang', older], ['Report', report], ['Gang', newer, 50_000]))).toEqual([])
  expect(broken(told(['Gang', older], ['Report', report], ['Gang', newer, 90_000]))).toEqual([
    'checkpoints: step 20 of gang default/a was committed, 90 s after its loss had risen',
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

test('a rank starts from what was committed, wherever it was read', () => {
  const manifest = 'checkpoints/default/job/attempt-1/step-5/rank-0/manifest.json'
  const committed = (attempt: number, status: object) => {
    const { metadata, ...others } = gang('a', { attempt }, { ...status })
    return { ...others, metadata: { ...metadata, ownerReferences: [{ uid: 'job' }] } }
  }
  const place = { uid: 'u', namespace: 'default', name: 'a-0', node: 'n', rank: 0, worldSize: 1 }
  const part = (attempt: number, digest: string, of = manifest): RestoredPart => ({
    place: { ...place, attempt, work: { checkpointRanks: 'first' } },
    manifest: of,
    digest,
    from: 'peer',
  })
  const begun = () =>
    told(['Gang', committed(2, { checkpoint: { step: 5, attempt: 1, manifests: [manifest], digests: ['d5'] } })])
  const after = (...parts: RestoredPart[]) => {
    const invariants = begun()
    for (const one of parts) invariants.seeRestored(one, 0)
    return broken(invariants)
  }
  expect(after(part(2, 'd5'))).toEqual([])
  expect(after(part(2, 'd6'))).toEqual([
    `checkpoints: pod a-0 starts from ${manifest}, whose digest is d5, as d6 from peer`,
  ])
  const other = manifest.replace('step-5', 'step-4')
  expect(after(part(2, 'd4', other))).toEqual([
    `checkpoints: pod a-0 starts from ${other}, which was not committed, as d4 from peer`,
  ])
  // What an older attempt still reads has no effect.
  expect(after(part(1, 'd4', other))).toEqual([])
})

test('nobody is asked to leave for one that holds nothing of it', () => {
  const eviction = { attempt: 1, by: 'default/b', at: '2026-01-01T00:00:00Z' }
  expect(broken(told(['Gang', gang('a', {}, { eviction })]))).toEqual([
    'evictions: gang default/a was asked to leave for default/b, which holds nothing of it',
  ])
})

test('a ledger page accounts for all that there was', () => {
  const page = (throughMs: number, capacitySlotMs: number, slotMs: number) => {
    const status = { slots: 2, throughMs, capacitySlotMs, entries: [{ slotMs }], provisional: [{ slotMs: 3 }] }
    return { metadata: { name: 'p' }, spec: { node: 'n', accelerator: 'cpu', fromMs: 0 }, status }
  }
  expect(broken(told(['LedgerPage', page(5, 10, 6)]))).toEqual([
    'accounts: page p accounts for 9 of 10 slot-milliseconds',
  ])
  expect(broken(told(['LedgerPage', page(5, 10, 7)], ['LedgerPage', page(8, 12, 9)]))).toEqual([
    'accounts: page p accounts for 2 slot-milliseconds more, and its node had 6',
  ])
})

test('... and put together for what pages did apart', () => {
  const page = (name: string, fromMs: number, throughMs: number, capacitySlotMs: number): Write => {
    const status = { throughMs, slots: 2, capacitySlotMs, entries: [{ slotMs: capacitySlotMs }], provisional: [] }
    return ['LedgerPage', { metadata: { name }, spec: { node: 'n', accelerator: 'cpu', fromMs }, status }]
  }
  const apart = [page('a', 0, 100, 200), page('b', 100, 200, 196)]
  const lacks = 'accounts: page b accounts for 196 slot-milliseconds more, and its node had 200'
  expect(broken(told(...apart))).toEqual([lacks])
  expect(broken(told(...apart, page('a', 0, 200, 396)))).toEqual([lacks])
  const more = 'accounts: page a accounts for 199 slot-milliseconds more, and its node had 200'
  expect(broken(told(...apart, page('a', 0, 200, 399)))).toEqual([lacks, more])
})

test('nobody writes the same again and again', () => {
  const writes = Array.from({ length: 400 }, (): Write => ['Queue', { metadata: { name: 'q' } }])
  expect(broken(told(...writes))).toEqual(['calm: Queue /q was written 400 times within 10 s'])
})

const lease = (holderIdentity: string, leaseTransitions: number) => ({
  metadata: { name: 'l', namespace: 'm' },
  spec: { holderIdentity, leaseTransitions, leaseDurationSeconds: 15 },
})

test('a lease is taken from who was silent, and only its holder writes', () => {
  const first: Write = ['Lease', lease('control-0', 1)]
  expect(broken(told(first, ['Lease', lease('control-1', 2), 15_000]))).toEqual([])
  expect(broken(told(first, ['Lease', lease('control-1', 2), 14_999]))).toEqual([
    'leaders: control-1 took lease m/l 14999 ms after control-0 wrote it',
  ])
  expect(broken(told(first, ['Queue', { metadata: { name: 'q' } }, 0, 'control-1']))).toEqual([
    'leaders: control-1 writes a Queue, and control-0 leads',
  ])
  const invariants = told(first)
  invariants.seeSent('n0/0', 'Pod', 0)
  invariants.seeSent('control-0', 'Pod', 0)
  expect(broken(invariants)).toEqual([])
  invariants.seeSent('control-1', 'Pod', 0)
  expect(broken(invariants)).toEqual(['leaders: control-1 writes a Pod, and control-0 leads'])
})

test('a leader that seats somebody has its epoch on all that could still be seated', () => {
  const waits = gang('b', {}, { epoch: 1 })
  const taken: Write[] = [
    ['Lease', lease('control-0', 1)],
    ['Gang', waits],
    ['Gang', gang('a', {}, { epoch: 1 })],
    ['Lease', lease('control-1', 2), 15_000],
  ]
  const seated: Write = ['Gang', gang('a', {}, { epoch: 2, seats: seats('a-0', 2) }), 16_000]
  expect(broken(told(...taken, ['Gang', gang('b', {}, { epoch: 2 }), 15_500], seated))).toEqual([])
  expect(broken(told(...taken, seated))).toEqual([
    'leaders: epoch 2 seats gang default/a, and epoch 1 could still seat gang default/b',
  ])
})

test('seats lie on nodes that take work, and no pod is bound for a gang that wants none', () => {
  const cordoned = { metadata: { name: 'n' }, spec: { unschedulable: true } }
  expect(broken(told(['Node', cordoned], ['Gang', gang('a', {}, { seats: seats('a-0') }), 70_000]))).toEqual([
    'seats: gang default/a has a seat on n, which has taken no work for 70000 ms',
  ])
  const metadata = { name: 'a-0', namespace: 'default', labels: { 'millwright.dev/gang': 'a' } }
  const suspended = gang('a', { suspend: true }, { seats: seats('a-0') })
  expect(broken(told(['Gang', suspended], ['Pod', { metadata, spec: { nodeName: 'n' } }, 70_000]))).toEqual([
    'seats: pod default/a-0 is bound, and its gang wants no seats',
  ])
})

const recovery = (record: object) => ({ 'millwright.dev/recovery': JSON.stringify(record) })
function ofJob(spec: object, status: object, annotations: object = {}) {
  const { metadata, ...rest } = gang('a', { ...spec }, { ...status })
  return { ...rest, metadata: { ...metadata, labels: { 'millwright.dev/job': 'a' }, annotations } }
}

test('a failed attempt is one restart, and says what it failed of', () => {
  const sits = ofJob({}, { seats: seats('a-0') })
  const last = { attempt: 1, reason: 'Error', message: 'm', at: '2026-01-01T00:00:00Z' }
  const counted = recovery({ restarts: 1, last })
  const after = (before: Record<string, unknown>, now: Record<string, unknown>) =>
    broken(told(['Gang', before], ['Gang', now]))
  expect(after(sits, ofJob({ attempt: 2 }, {}, counted))).toEqual([])
  expect(after(sits, ofJob({ attempt: 2 }, {}))).toEqual([
    'attempts: gang default/a gave up attempt 1 and does not say why',
  ])
  expect(after(ofJob({}, {}), ofJob({ attempt: 2 }, {}, counted))).toEqual([
    'attempts: gang default/a counts a restart of attempt 1, which never sat',
  ])
  const stopping = ofJob({ checkpointRequest: { step: 1, stop: true } }, { seats: seats('a-0') })
  expect(after(stopping, ofJob({ attempt: 2 }, {}, counted))).toEqual([
    'attempts: gang default/a was asked to stop, and attempt 1 counts as a restart',
  ])
})

test('a pod has the time to stop that it was promised', () => {
  const pod = (metadata: object) => {
    const labels = { 'millwright.dev/gang': 'a', 'millwright.dev/attempt': '1' }
    const whole = { name: 'a-0', namespace: 'default', uid: 'p', labels, ownerReferences: [{ uid: 'a' }], ...metadata }
    return { metadata: whole, spec: { terminationGracePeriodSeconds: 30 }, status: { phase: 'Running' } }
  }
  const leaving = pod({ deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 5 })
  const writes: Write[] = [
    ['Gang', gang('a', {}, {})],
    ['Pod', pod({})],
  ]
  expect(broken(told(...writes, ['Pod', leaving, 90_000, 'n0/0']))).toEqual([
    'grace: pod default/a-0 was promised 30000 ms to stop, and has 5000',
  ])
})

test('a service counts no replica that was never ready', () => {
  const service = { metadata: { name: 's', namespace: 'default' }, spec: {}, status: { readyReplicas: 1 } }
  expect(broken(told(['InferenceService', service]))).toEqual([
    'services: service default/s says that 1 replicas are ready, and 0 ever were',
  ])
})

test('a pod that has ended stays so, where it was bound', () => {
  const pod = (phase: string, nodeName = 'n'): Write => [
    'Pod',
    { metadata: { name: 'a-0', namespace: 'default', uid: 'p' }, spec: { nodeName }, status: { phase } },
  ]
  const of = (...writes: Write[]) => broken(told(...writes)).filter((line) => line.startsWith('pods'))
  expect(of(pod('Running'), pod('Failed'))).toEqual([])
  expect(of(pod('Failed'), pod('Running'))).toEqual(['pods: pod default/a-0 was Failed and is Running'])
  expect(of(pod('Running'), pod('Running', 'm'))).toEqual(['pods: pod default/a-0 was bound to n and is on m'])
})

/** One leader that renews its lease every five seconds, from before to after. */
function led(forMs: number, ...writes: Write[]): string[] {
  const renewals = Array.from(
    { length: forMs / 5000 },
    (_, index): Write => ['Lease', lease('control-0', 1), index * 5000],
  )
  const all = told(['Lease', lease('control-0', 1)], ...writes, ...renewals)
  return broken(all).filter((line) => line.startsWith('prompt'))
}

test('what is due is done while a leader leads: victims are asked, what failed starts again, what is to stop is ended', () => {
  const victim = ofJob({}, { seats: seats('a-0') })
  const hold = { attempt: 1, members: [], victims: [{ gang: 'default/a', uid: 'a', attempt: 1 }] }
  const waits: Write = ['Gang', gang('b', {}, { hold })]
  const labels = { 'millwright.dev/gang': 'a', 'millwright.dev/attempt': '1' }
  const pod = (phase: string): Write => [
    'Pod',
    {
      metadata: { name: 'a-0', namespace: 'default', uid: 'p', labels, ownerReferences: [{ uid: 'a' }] },
      spec: { nodeName: 'n' },
      status: { phase },
    },
  ]
  const sits: Write[] = [['Gang', victim], pod('Running')]
  expect(led(300_000, ...sits)).toEqual([])
  expect(led(100_000, ...sits, waits)).toEqual([])
  expect(led(300_000, ...sits, waits)).toEqual(
    expect.arrayContaining(['prompt: for 120 s gang default/a is not asked to leave for gang default/b']),
  )
  const members = (replicas: number) => [{ name: 'w', replicas, template: { spec: { containers: [] } } }]
  const job = (spec: object): Write => [
    'TrainingJob',
    {
      metadata: { name: 'a', namespace: 'default' },
      spec: { checkpoint: {}, terminationGracePeriodSeconds: 30, groups: members(1), ...spec },
    },
  ]
  expect(led(300_000, ...sits, job({}))).toEqual([])
  expect(led(300_000, ...sits, job({ groups: members(2) }))[0]).toBe(
    'prompt: for 120 s gang default/a sits as w 1 to 1, and its job asks for w 2 to 2',
  )
  expect(led(300_000, ...sits, job({}), pod('Failed'))[0]).toBe(
    'prompt: for 120 s pod default/a-0 has failed, and attempt 1 goes on',
  )
  expect(led(300_000, ...sits, job({ suspend: true }))[0]).toBe(
    'prompt: for 120 s job default/a is suspended, and not asked to stop',
  )
  const stops = ofJob({ suspend: true }, { seats: seats('a-0') })
  expect(led(300_000, pod('Running'), job({}), ['Gang', stops])[0]).toBe(
    'prompt: for 120 s job default/a is to stop, and its pods are not told to end',
  )
  expect(led(300_000, ['Gang', ofJob({ attempt: 2 }, {})], pod('Running'))[0]).toBe(
    'prompt: for 120 s pod default/a-0 runs, and its gang is at attempt 2',
  )
  expect(led(300_000, ['Gang', victim])[0]).toBe(
    'prompt: for 120 s member a-0 of gang default/a has a seat and no pod on it',
  )
  // Who is to stop needs none.
  const leaves = ofJob({ checkpointRequest: { step: 0, stop: true } }, { seats: seats('a-0') })
  expect(led(300_000, ['Gang', leaves])).toEqual([])
})

test('who leads no more, or was silent, is not waited for', () => {
  const failed: Write[] = [
    ['Gang', ofJob({ attempt: 2 }, {})],
    [
      'Pod',
      {
        metadata: {
          name: 'a-0',
          namespace: 'default',
          labels: { 'millwright.dev/gang': 'a', 'millwright.dev/attempt': '1' },
          ownerReferences: [{ uid: 'a' }],
        },
        spec: { nodeName: 'n' },
      },
    ],
  ]
  const leads = (atMs: number, epoch: number): Write => ['Lease', lease(`control-${epoch}`, epoch), atMs]
  const terms = Array.from({ length: 60 }, (_, index) => leads(index * 10_000, 1 + Math.floor(index / 10)))
  expect(broken(told(...failed, ...terms)).filter((line) => line.startsWith('prompt'))).toEqual([])
})

test('a job that says that it runs counts all that sit', () => {
  const job = (workers: number): Write => [
    'TrainingJob',
    { metadata: { name: 'a', namespace: 'default' }, spec: {}, status: { phase: 'Running', attempt: 1, workers } },
    0,
    'control-0',
  ]
  const leads: Write = ['Lease', lease('control-0', 1)]
  const sits: Write = ['Gang', ofJob({}, { seats: seats('a-0') })]
  expect(broken(told(leads, sits, job(1)))).toEqual([])
  const [kind, object] = job(0)
  expect(broken(told(leads, sits, [kind, object]))).toEqual([])
  expect(broken(told(leads, sits, job(0)))).toEqual(['jobs: job default/a says that 0 workers run, and 1 sit'])
})

test('a gang has as many seats as it wants, or members that have all ended well', () => {
  const groups = [{ name: 'w', min: 2, max: 2, accelerators: [{ model: 'H100', count: 1 }] }]
  const sits = ['Gang', gang('a', { groups }, { seats: seats('a-0') })] satisfies Write
  const pod = (phase: string): Write => [
    'Pod',
    { metadata: { name: 'a-0', namespace: 'default' }, status: { phase }, spec: {} },
  ]
  const few = 'seats: gang default/a has 1 seats in group w, where it wants 2 to 2'
  expect(broken(told(pod('Succeeded'), sits))).toEqual([])
  expect(broken(told(pod('Failed'), sits))).toEqual([few])
  expect(broken(told(sits))).toEqual([few])
})

test('seats are given for the present attempt, to who wants some', () => {
  const given = (spec: object) =>
    broken(told(['Gang', gang('a', {}, {})], ['Gang', gang('a', { ...spec }, { seats: seats('a-0') })]))
  expect(given({})).toEqual([])
  expect(given({ suspend: true })).toEqual(['seats: gang default/a is given seats, and wants none'])
  expect(given({ attempt: 2 })).toEqual(['seats: gang default/a is given seats for attempt 1, and is at attempt 2'])
})

test('a restart has a cause, and who stopped stands in line again when all have ended', () => {
  const labels = { 'millwright.dev/gang': 'a', 'millwright.dev/attempt': '1' }
  const pod = (phase: string, more: object = {}): Write => [
    'Pod',
    {
      metadata: { name: 'a-0', namespace: 'default', uid: 'p', labels, ownerReferences: [{ uid: 'a' }], ...more },
      spec: { nodeName: 'n' },
      status: { phase },
    },
  ]
  const of = (...writes: Write[]) => broken(told(...writes)).filter((line) => line.startsWith('attempts'))
  const last = { attempt: 1, reason: 'Error', message: 'm', at: '2026-01-01T00:00:00Z' }
  const sits: Write = ['Gang', ofJob({}, { seats: seats('a-0') })]
  const counted: Write = ['Gang', ofJob({ attempt: 2 }, {}, recovery({ restarts: 1, last }))]
  expect(of(sits, pod('Running'), pod('Failed'), counted)).toEqual([])
  expect(of(sits, pod('Running'), counted)).toEqual([
    'attempts: gang default/a counts a restart of attempt 1, and nothing ails its members',
  ])
  const leads: Write[] = [0, 5, 10, 15, 20].map((second) => ['Lease', lease('control-0', 1), second * 1000])
  const evicted = pod('Running', { deletionTimestamp: '2026-01-01T00:00:00Z' })
  evicted[2] = 6_000
  counted[2] = 22_000
  expect(of(...leads.slice(0, 2), sits, pod('Running'), evicted, ...leads.slice(2), pod('Failed'), counted)).toEqual([
    'attempts: gang default/a gives up attempt 1, and default/a-0 was evicted',
  ])
  const stopped: Write = ['Gang', ofJob({ suspend: true }, { seats: seats('a-0') })]
  const again: Write = ['Gang', ofJob({ attempt: 2 }, {}), 1]
  expect(of(stopped, pod('Running'), pod('Failed'), again)).toEqual([])
  expect(of(stopped, pod('Running'), again)).toEqual([
    'attempts: gang default/a stands in line again, and default/a-0 still runs',
  ])
})

const silentNode = (name: string, ready = 'Unknown', annotations = {}) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, uid: name, annotations },
  spec: { unschedulable: Object.keys(annotations).length > 0 },
  status: { conditions: [{ type: 'Ready', status: ready }] },
})

test('nothing is given up while most of the fleet is silent', () => {
  const lost = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default', uid: 'p' },
    spec: { nodeName: 'a' },
    status: { phase: 'Failed', reason: 'NodeLost' },
  }
  const fleet = (ready: string): Write[] => [
    ['Node', silentNode('a')],
    ['Node', silentNode('b', ready)],
    ['Node', silentNode('c', 'True')],
  ]
  const fails = (afterMs: number): Write => ['Pod', { ...lost, spec: { nodeName: 'a' } }, afterMs]
  const given = (...writes: Write[]) => broken(told(...writes)).filter((text) => text.startsWith('budget'))
  const later: Write = ['Node', silentNode('c', 'True'), 45_000]
  expect(given(...fleet('Unknown'), fails(40_000), later)).toEqual([
    'budget: pod p was given up while 2 of 3 nodes were silent',
  ])
  expect(given(...fleet('Unknown'), fails(10_000))).toEqual([])
  expect(given(...fleet('True'), fails(40_000))).toEqual([])
  // That one of them was heard comes a moment after what follows from it.
  const heard: Write = ['Node', silentNode('b', 'True'), 40_500]
  expect(given(...fleet('Unknown'), fails(40_000), heard, later)).toEqual([])
})

test('of a small pool recovery closes one node', () => {
  const because = { 'millwright.dev/cordoned-because': 'x' }
  const closed = (name: string, by?: string): Write => ['Node', silentNode(name, 'True', because), 0, by]
  const open: Write[] = [
    ['Lease', lease('control-0', 1)],
    ['Node', silentNode('c', 'True')],
  ]
  expect(broken(told(...open, closed('a', 'control-0'), closed('b', 'control-0')))).toEqual([
    'budget: recovery closed node b, number 2 of 3 in its pool',
  ])
  expect(broken(told(...open, closed('a', 'control-0'), closed('b')))).toEqual([])
})

test('who fails again and again displaces nobody', () => {
  const hold = {
    attempt: 4,
    members: [],
    victims: [{ gang: 'default/b', uid: 'b', attempt: 1, reason: 'InQueue', lostSeconds: 0 }],
  }
  const failing = (restartsSinceProgress: number) => {
    const { metadata, ...rest } = gang('a', { attempt: 4 }, { hold })
    const record = JSON.stringify({ restarts: 3, restartsSinceProgress })
    return { ...rest, metadata: { ...metadata, annotations: { 'millwright.dev/recovery': record } } }
  }
  expect(broken(told(['Gang', failing(2)]))).toEqual([])
  expect(broken(told(['Gang', failing(3)]))).toEqual([
    'evictions: gang default/a fails again and again, and displaces others',
  ])
})

test('a node is closed for its slowness while it is slow', () => {
  const node = (name: string, because?: string) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      annotations:
        because === undefined ? {} : { 'millwright.dev/cordoned-because': because, 'millwright.dev/slow': '{}' },
    },
    spec: { unschedulable: because !== undefined },
  })
  const closedWhen = (slowness: (invariants: Invariants) => void, atMs: number) => {
    const invariants = told(['Node', node('a')], ['Node', node('b')])
    slowness(invariants)
    tell(invariants, ['Node', node('a', 'slow: rank 1'), atMs], 3)
    return broken(invariants)
  }
  expect(closedWhen((one) => one.seeSlowness('a', 2, 0), 200_000)).toEqual([])
  expect(closedWhen(() => {}, 0)).toEqual(['stragglers: node a was never slow, and recovery closed it: slow: rank 1'])
  expect(closedWhen((one) => one.seeSlowness('b', 2, 0), 0)).toHaveLength(1)
  // A little slow is not slow.
  expect(closedWhen((one) => one.seeSlowness('a', 1.3, 0), 0)).toHaveLength(1)
  const fastAgain = (one: Invariants) => {
    one.seeSlowness('a', 2, 0)
    one.seeSlowness('a', 1, 10_000)
  }
  expect(closedWhen(fastAgain, 60_000)).toEqual([])
  expect(closedWhen(fastAgain, 200_000)).toEqual([
    'stragglers: node a was fast again, and recovery closed it: slow: rank 1',
  ])
})

test('a job fails of its deadline once it was active so long, and no sooner', () => {
  const failed = { conditions: [{ type: 'Failed', status: 'True', reason: 'DeadlineExceeded' }] }
  const job = {
    metadata: { name: 'j', namespace: 'default', uid: 'job' },
    spec: { activeDeadlineSeconds: 200 },
    status: failed,
  }
  const sits = gang('j', {}, { seats: seats('j-w-0-1') })
  const until = (atMs: number): Write[] => [
    ['Gang', sits, 0],
    ['Gang', gang('j', { suspend: true }, {}), 40_000],
    ['Gang', sits, 100_000],
    ['TrainingJob', job, atMs],
  ]
  expect(broken(told(...until(260_000)))).toEqual([])
  expect(broken(told(...until(165_000)))).toEqual([
    'deadlines: job default/j fails after 105000 ms with seats, and may have them for 200000 ms',
  ])
})

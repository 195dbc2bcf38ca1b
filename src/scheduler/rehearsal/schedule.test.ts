import { expect, test } from 'vitest'
import { gangOfJob } from '../../model/gangs.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { trainingJob } from '../../model/kinds/training-job.ts'
import { label } from '../../model/names.ts'
import { poolNamed } from '../gang.fixture.ts'
import { createScheduler } from '../scheduler.ts'
import { type Scene, type Schedule, scheduleOf } from './schedule.ts'

const nowMs = Date.parse('2026-01-01T00:00:00Z')

const node = (name: string): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { [label.accelerator]: 'H100' } },
  status: { allocatable: { 'nvidia.com/gpu': 4 } },
})
const queue = (name: string, spec: Partial<Queue['spec']> = {}): Queue => ({
  apiVersion: 'millwright.dev/v1alpha1',
  kind: 'Queue',
  metadata: { name },
  spec: { namespaces: ['*'], weight: 1, stopPolicy: 'None', ...spec },
})
function gang(name: string, workers: number, spec: object = {}): Gang {
  const metadata = { name, namespace: 'default', creationTimestamp: '2025-12-31T00:00:00.000Z' }
  const whole = { command: ['x'], workers, resources: { accelerators: 'H100:4' }, ...spec }
  const made = gangOfJob(
    trainingJob.parse({ apiVersion: 'millwright.dev/v1alpha1', kind: 'TrainingJob', metadata, spec: whole }),
  )
  return { ...made, metadata: { ...made.metadata, uid: `uid-${name}`, creationTimestamp: metadata.creationTimestamp } }
}
/** With seats for one worker on `on` since an hour. */
function seated(one: Gang, on: string): Gang {
  const pod = `${one.metadata.name}-worker-0-1`
  const devices = [0, 1, 2, 3].map((index) => ({ id: `H100-${index}`, milli: 1000 }))
  const members = [{ pod, group: 'worker', rank: 0, localRank: 0, node: on, devices, ports: [] }]
  const seats = {
    attempt: 1,
    epoch: 1,
    at: '2025-12-31T23:00:00.000Z',
    masterAddr: '127.0.0.1',
    masterPort: 1,
    members,
  }
  return { ...one, status: { conditions: [{ type: 'Scheduled', status: 'True' }], checkpoints: [], seats } }
}

function schedule(scene: Partial<Scene>, untilSettled = false): Schedule {
  const whole = { nodes: [node('a'), node('b')], queues: [queue('default')], gangs: [], pods: [], ...scene }
  return scheduleOf(whole, createScheduler(), { nowMs, untilSettled })
}

const verdicts = ({ gangs }: Schedule) => Object.fromEntries(gangs.map(({ gang: key, verdict }) => [key, verdict]))

test('what a pool keeps as spares nobody gets who has lost no node', () => {
  const nodes = [node('a'), node('b')].map((one) => ({
    ...one,
    metadata: { ...one.metadata, labels: { ...one.metadata.labels, [label.pool]: 'p' } },
  }))
  const found = (spec: object) => {
    const waits = { ...gang('late', 1), spec: { ...gang('late', 1).spec, ...spec } }
    return verdicts(schedule({ nodes, pools: [poolNamed('p', 1)], gangs: [seated(gang('j', 1), 'a'), waits] }))
  }
  expect(found({})['default/late']).toMatchObject({ kind: 'wait', reason: 'KeptAsSpares' })
  expect(found({ attempt: 2, spareAttempt: 2 })['default/late']).toMatchObject({ kind: 'bind' })
})

test('an elastic gang that would grow is said to, with the numbers; nothing of it is played without time', () => {
  const small = seated(gang('small', 2, { minWorkers: 1 }), 'a')
  const checkpoint = { step: 1, attempt: 1, at: '2025-12-31T23:59:00.000Z', digest: '', bytes: 0, manifests: [] }
  const gangs = [{ ...small, status: { conditions: [], checkpoints: [], ...small.status, checkpoint } }]
  const found = schedule({ gangs })
  expect(found.gangs[0]?.verdict).toMatchObject({
    kind: 'resize',
    added: [{ node: 'b' }],
    message: expect.stringContaining('grows from 1 to 2 members'),
  })
  expect(found.fleet.accelerators).toEqual([{ model: 'H100', total: 8, free: 4, freeAfter: 0 }])
  expect(schedule({ gangs }, true).gangs[0]?.verdict.kind).toBe('sits')
})

test('each gang has a verdict: who sits, gets seats, waits or wants none, in the order of the line', () => {
  const gangs = [
    gang('new', 1),
    gang('huge', 9),
    seated(gang('old', 1), 'a'),
    gang('off', 1),
    gang('first', 1, { priority: 9 }),
  ]
  const off = gangs.map((one) => (one.metadata.name === 'off' ? { ...one, spec: { ...one.spec, suspend: true } } : one))
  const found = schedule({ gangs: off })
  expect(found.gangs.map(({ title, verdict }) => `${title} ${verdict.kind}`)).toEqual([
    'job/first bind',
    'job/huge wait',
    'job/new wait',
    'job/off suspended',
    'job/old sits',
  ])
  expect(found.fleet).toEqual({ nodes: 2, accelerators: [{ model: 'H100', total: 8, free: 4, freeAfter: 0 }] })
})

test('what a gang waits for is said whether it was told before or not, and as it is now', () => {
  const message = 'needs 9 × H100:4; there are 8 in all'
  const now = { 'default/w': { kind: 'wait', reason: 'NeverFits', message } }
  const told = (reason: string): Gang => {
    const condition = { type: 'Scheduled', status: 'False' as const, reason, message }
    return { ...gang('w', 9), status: { conditions: [condition], checkpoints: [] } }
  }
  for (const one of [gang('w', 9), told('NeverFits'), told('OverQuota')]) {
    expect(verdicts(schedule({ gangs: [one] }))).toEqual(now)
  }
})

test('a gang that restarts is counted once', () => {
  const before = seated(gang('g', 1), 'a')
  const again = { ...before, spec: { ...before.spec, attempt: 2 } }
  const found = schedule({ gangs: [again] })
  expect(verdicts(found)).toMatchObject({ 'default/g': { kind: 'bind', seats: { attempt: 2 } } })
  expect(found.queues[0]?.models).toMatchObject([{ used: 4, usedAfter: 4, waiting: 0 }])
})

test('a victim is named with its price, and says for whom it is asked to leave', () => {
  const gangs = [
    seated(gang('low', 1), 'a'),
    seated(gang('kept', 1, { preemptible: false }), 'b'),
    gang('high', 1, { priority: 1 }),
  ]
  const found = schedule({ gangs })
  expect(verdicts(found)).toMatchObject({
    'default/high': {
      kind: 'preempt',
      victims: [{ gang: 'default/low', reason: 'InQueue', lostSeconds: 4 * (3600 + 30) }],
    },
    'default/low': { kind: 'sits', leaves: { by: 'default/high', reason: 'InQueue' } },
    'default/kept': { kind: 'sits' },
  })
  expect(found.queues[0]?.models).toEqual([{ model: 'H100', used: 8, usedAfter: 8, waiting: 4, fairShare: 8 }])
})

test('what sits in a queue that drains is to leave', () => {
  const queues = [queue('default', { stopPolicy: 'HoldAndDrain' })]
  const found = schedule({ queues, gangs: [seated(gang('low', 1), 'a')] })
  expect(verdicts(found)).toMatchObject({ 'default/low': { kind: 'sits', leaves: { queue: 'default' } } })
  expect(found.fleet.accelerators).toEqual([{ model: 'H100', total: 8, free: 4, freeAfter: 8 }])
})

test('until settled, what follows is played and the verdicts are those of the end', () => {
  const gangs = [
    seated(gang('low', 1), 'a'),
    seated(gang('kept', 1, { preemptible: false }), 'b'),
    gang('high', 1, { priority: 1 }),
  ]
  const found = schedule({ gangs }, true)
  expect(found.course?.map((one) => (one.kind === 'decided' ? one.verdict.kind : one.kind))).toEqual([
    'preempt',
    'left',
    'release',
    'bind',
    'wait',
  ])
  expect(found.gangs).toMatchObject([
    { gang: 'default/high', verdict: { kind: 'bind' } },
    { gang: 'default/kept', verdict: { kind: 'sits' } },
    { gang: 'default/low', attempt: 2, verdict: { kind: 'wait' }, left: { by: 'default/high', reason: 'InQueue' } },
  ])
})

test('quota alone, where there are no nodes', () => {
  const queues = [
    queue('lab', { nominalQuota: { H100: 0 } }),
    queue('x', { parent: 'lab', nominalQuota: { H100: 8 } }),
    queue('y', { parent: 'lab' }),
  ]
  const found = schedule({ nodes: [], queues, gangs: [gang('a', 1, { queue: 'x' }), gang('b', 3, { queue: 'y' })] })
  expect(verdicts(found)).toEqual({ 'default/a': { kind: 'none' }, 'default/b': { kind: 'none' } })
  expect(found.queues).toMatchObject([
    { queue: 'lab', models: [{ model: 'H100', nominal: 0, waiting: 0 }] },
    {
      queue: 'x',
      parent: 'lab',
      models: [{ model: 'H100', nominal: 8, used: 0, waiting: 4, mayHold: 8, fairShare: 4 }],
    },
    { queue: 'y', parent: 'lab', models: [{ model: 'H100', used: 0, waiting: 12, mayHold: 8, fairShare: 4 }] },
  ])
})

test('the same state has the same schedule', () => {
  const gangs = Array.from({ length: 20 }, (_, index) => gang(`g${index}`, 1 + (index % 3)))
  expect(schedule({ gangs }, true)).toEqual(schedule({ gangs }, true))
})

test('who wants no seats any more gives them back, now or by the end', () => {
  const low = seated(gang('low', 1), 'a')
  const gangs = [{ ...low, spec: { ...low.spec, suspend: true } }]
  const free = [{ model: 'H100', total: 8, free: 4, freeAfter: 8 }]
  for (const untilSettled of [false, true]) {
    const found = schedule({ gangs }, untilSettled)
    expect(verdicts(found)).toEqual({ 'default/low': { kind: 'release' } })
    expect(found.fleet.accelerators).toEqual(free)
    expect(found.untilSettled).toBe(untilSettled)
    expect('course' in found).toBe(untilSettled)
  }
  const off = gang('off', 1)
  const none = { nodes: [], gangs: [{ ...off, spec: { ...off.spec, suspend: true } }] }
  expect(verdicts(schedule(none))).toEqual({ 'default/off': { kind: 'suspended' } })
  expect(schedule(none, true).course).toBeUndefined()
})

test('who is asked to leave already leaves, and what is kept for another is', () => {
  const at = '2025-12-31T23:59:00.000Z'
  const low = seated(gang('low', 1), 'a')
  const eviction = { attempt: 1, by: 'default/high', reason: 'InQueue' as const, message: '', at }
  const victims = [{ gang: 'default/low', uid: 'uid-low', attempt: 1, reason: 'InQueue' as const, lostSeconds: 7 }]
  const { members } = low.status?.seats ?? { members: [] }
  const mine = members.map((one) => ({ ...one, pod: 'high-worker-0-1' }))
  const gangs: Gang[] = [
    { ...low, status: { conditions: [], checkpoints: [], ...low.status, eviction } },
    {
      ...gang('high', 1, { priority: 1 }),
      status: { conditions: [], checkpoints: [], hold: { attempt: 1, epoch: 1, at, members: mine, victims } },
    },
    seated(gang('kept', 1), 'b'),
  ]
  const asked = { ...eviction, attempt: 9 }
  const notNow = gangs.map((one) =>
    one === gangs[0] ? { ...low, status: { conditions: [], checkpoints: [], ...low.status, eviction: asked } } : one,
  )
  const found = schedule({ gangs })
  expect(verdicts(found)).toMatchObject({
    'default/low': { kind: 'sits', leaves: { by: 'default/high', reason: 'InQueue' } },
    'default/kept': { kind: 'sits' },
  })
  expect(verdicts(found)['default/high']).toMatchObject({ kind: 'wait', reason: 'Preempting' })
  expect(verdicts(found)['default/kept']).not.toHaveProperty('leaves')
  expect(verdicts(schedule({ gangs: notNow }))['default/low']).not.toHaveProperty('leaves')
  const condition = { type: 'Scheduled', status: 'False' as const, reason: 'Preempting' }
  const message = 'it sits when default/low has left, which loses 7 accelerator-seconds of work'
  const told = gangs.map((one): Gang => {
    const { hold } = one.status ?? {}
    return hold === undefined
      ? one
      : { ...one, status: { checkpoints: [], hold, conditions: [{ ...condition, message }] } }
  })
  const again = schedule({ gangs: told })
  expect(verdicts(again)['default/high']).toEqual({ kind: 'holds', members: mine, victims })
  expect(again.fleet.accelerators).toEqual([{ model: 'H100', total: 8, free: 0, freeAfter: 0 }])
})

test('what is being deleted waits for nothing that was said', () => {
  const one = gang('g', 1)
  const gangs = [{ ...one, metadata: { ...one.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }]
  expect(verdicts(schedule({ gangs }))).toEqual({
    'default/g': { kind: 'wait', reason: 'Undecided', message: 'nothing is decided about it yet' },
  })
})

test('what live pods hold counts, whoever they are of, until they have ended', () => {
  const pod = (name: string, gpus: string, phase: 'Running' | 'Succeeded', labels: Record<string, string> = {}) => ({
    apiVersion: 'v1' as const,
    kind: 'Pod' as const,
    metadata: { name, namespace: 'default', labels, annotations: { 'millwright.dev/devices': gpus } },
    spec: { nodeName: 'a', containers: [{ name: 'main' }] },
    status: { phase },
  })
  const old = gang('old', 1)
  const pods = [
    pod('old-worker-0-1', 'H100-0', 'Running', { [label.gang]: 'old', [label.attempt]: '1' }),
    pod('stray', 'H100-1', 'Running'),
    pod('done', 'H100-2', 'Succeeded'),
  ]
  const found = schedule({ gangs: [{ ...old, spec: { ...old.spec, suspend: true } }], pods })
  expect(found.fleet.accelerators).toEqual([{ model: 'H100', total: 8, free: 6, freeAfter: 6 }])
  expect(found.queues[0]?.models).toMatchObject([{ model: 'H100', used: 1, usedAfter: 1 }])
  const settled = schedule({ gangs: [{ ...old, spec: { ...old.spec, suspend: true } }], pods }, true)
  expect(settled.fleet.accelerators).toEqual([{ model: 'H100', total: 8, free: 6, freeAfter: 7 }])
})

test('ill accelerators and closed nodes count, but are not free', () => {
  const ill = node('ill')
  const devices = [
    { id: 'x', model: 'H100', healthy: false },
    { id: 'y', model: 'A100', healthy: true },
    { id: 'z', model: 'A100', healthy: true },
  ]
  const annotations = { 'millwright.dev/node-devices': JSON.stringify(devices) }
  const nodes = [
    { ...ill, metadata: { ...ill.metadata, annotations }, status: {} },
    { ...node('c'), spec: { unschedulable: true } },
  ]
  expect(schedule({ nodes }).fleet).toEqual({
    nodes: 2,
    accelerators: [
      { model: 'A100', total: 2, free: 2, freeAfter: 2 },
      { model: 'H100', total: 5, free: 0, freeAfter: 0 },
    ],
  })
})

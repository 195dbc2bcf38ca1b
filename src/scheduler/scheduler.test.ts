import { describe, expect, test } from 'vitest'
import { createScheduler } from './scheduler.ts'
import { Story } from './story.fixture.ts'

function story(): Story {
  const told = new Story(createScheduler())
  told.queue('default')
  return told
}

test('all members sit, ranks by node then device, each with ports of its node', () => {
  const told = story()
  told.node('b', 'H100:2')
  told.node('a', 'H100:2')
  told.gang('big', '2xH100:2')
  expect(told.decide()).toEqual(['big#1 sits 0@a/H100-0+H100-1:20000 1@b/H100-0+H100-1:20000'])
  const seats = told.gangs.get('default/big')?.status?.seats
  expect(seats).toMatchObject({ masterAddr: '127.0.0.1', masterPort: 20000 })
  expect(seats?.members.map((member) => member.pod)).toEqual(['big-worker-0-1', 'big-worker-1-1'])
})

test('a gang that does not fit is told what it lacks; why says how much, and who holds it', () => {
  const told = story()
  told.node('a', 'cpu:4')
  told.queue('research')
  told.gang('big', '3xcpu:1', { queue: 'research', priority: 10, preemptible: false })
  told.gang('small', '2xcpu:1')
  expect(told.decide()).toEqual([
    'big#1 sits 0@a/cpu-0:20000 1@a/cpu-1:20001 2@a/cpu-2:20002',
    'small waits: InsufficientAccelerators: needs 2 × cpu:1 at once; fewer are free',
  ])
  expect(told.why('small')).toBe('needs 2 × cpu:1, 1 free of 4; job/big (queue research, priority 10) holds 3')
})

test('priority goes first, then age', () => {
  const told = story()
  told.node('a', 'cpu:1')
  told.gang('old', '1xcpu:1')
  told.gang('young', '1xcpu:1')
  told.gang('urgent', '1xcpu:1', { priority: 5 })
  expect(told.decide().map((line) => line.split(':')[0])).toEqual([
    'urgent#1 sits 0@a/cpu-0',
    'old waits',
    'young waits',
  ])
})

test('a waiting gang keeps its nodes from those behind it, but only for its own accelerator', () => {
  const told = story()
  told.node('a', 'H100:2')
  told.node('b', 'cpu:2')
  told.gang('first', '1xH100:1', { preemptible: false })
  told.decide()
  told.gang('wide', '2xH100:1', { priority: 1 })
  told.gang('narrow', '1xH100:1')
  told.gang('slots', '2xcpu:1')
  expect(told.decide()).toEqual([
    'wide waits: InsufficientAccelerators: needs 2 × H100:1 at once; fewer are free',
    'narrow waits: BehindOthers: needs 1 × H100:1; job/wide (queue default, priority 1) is ahead in line for H100',
    'slots#1 sits 0@b/cpu-0:20000 1@b/cpu-1:20001',
  ])
  told.change('wide', { suspend: true })
  expect(told.decide()).toEqual(['narrow#1 sits 0@a/H100-1:20001'])
})

test('what could never fit blocks nobody', () => {
  const told = story()
  told.node('a', 'cpu:2')
  told.gang('huge', '3xcpu:1', { priority: 9 })
  told.gang('alien', '1xB200:8', { priority: 9 })
  told.gang('small', '2xcpu:1')
  expect(told.decide()).toEqual([
    'huge waits: NeverFits: needs 3 × cpu:1; there are 2 in all',
    'alien waits: NeverFits: needs 1 × B200:8; no node has B200; there is 2 × cpu',
    'small#1 sits 0@a/cpu-0:20000 1@a/cpu-1:20001',
  ])
})

test('free accelerators on several nodes are not room for one member', () => {
  const told = story()
  told.node('a', 'H100:4')
  told.node('b', 'H100:4')
  told.gang('x', '2xH100:3')
  told.decide()
  told.gang('y', '1xH100:2')
  expect(told.decide()).toEqual(['y waits: InsufficientAccelerators: needs 1 × H100:2 at once; fewer are free'])
  expect(told.why('y')).toBe(
    'needs 1 × H100:2, 2 free of 8, but on single nodes there is room for 0; job/x (queue default, priority 0) holds 6',
  )
})

test('alternatives are taken in order of preference, one for the whole group', () => {
  const told = story()
  told.node('a', 'H100:1')
  told.node('b', 'A100:2')
  const either = {
    accelerators: [
      { model: 'H100', count: 1 },
      { model: 'A100', count: 1 },
    ],
  }
  told.gang('one', '1x', {}, either)
  told.gang('two', '2x', {}, either)
  expect(told.decide()).toEqual(['one#1 sits 0@a/H100-0:20000', 'two#1 sits 0@b/A100-0:20000 1@b/A100-1:20001'])
})

test('shares fill one device before the next', () => {
  const told = story()
  told.node('a', 'H100:2')
  told.gang('s', '3xH100:0.4')
  expect(told.decide()).toEqual(['s#1 sits 0@a/H100-0*400:20000 1@a/H100-0*400:20001 2@a/H100-1*400:20002'])
})

test('cpu, memory, cordons, taints and selectors are stated', () => {
  const told = story()
  told.node('a', 'cpu:4', { cpu: '2', memory: '4Gi' })
  told.gang('c', '3x', {}, { cpuMilli: 700 })
  told.gang('m', '3x', {}, { memoryBytes: 3 * 2 ** 30 })
  told.gang('s', '1x', {}, { nodeSelector: { disk: 'nvme' } })
  told.node('t', 'H100:1', { taints: [{ key: 'gpu', effect: 'NoSchedule' }] })
  told.node('u', 'A100:1', { unschedulable: true })
  told.gang('taint', '1xH100:1')
  told.gang('tolerant', '1xH100:1', {}, { tolerations: [{ key: 'gpu', operator: 'Exists' }] })
  told.gang('cordon', '1xA100:1')
  expect(told.decide()).toEqual([
    'c waits: NeverFits: needs 3 × cpu:1; no nodes are large enough for that with 700m CPU and 0 memory each',
    'm waits: NeverFits: needs 3 × cpu:1; no nodes are large enough for that with 0 CPU and 3Gi memory each',
    's waits: NodesUnavailable: needs 1 × cpu:1; node a does not match its nodeSelector disk=nvme',
    'taint waits: NodesUnavailable: needs 1 × H100:1; node t has a taint that it does not tolerate',
    'tolerant#1 sits 0@t/H100-0:20000',
    'cordon waits: NodesUnavailable: needs 1 × A100:1; node u is cordoned',
  ])
})

test('what its affinity requires of nodes is kept, and said when no node has it', () => {
  const told = story()
  told.node('a', 'A100:2', { labels: { disk: 'ssd' } })
  told.node('b', 'H100:2', { labels: { disk: 'nvme', slots: '8' } })
  const required = (...matchExpressions: object[]) => ({
    affinity: {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions }] } },
    },
  })
  told.gang('in', '1xgpu:1', {}, required({ key: 'disk', operator: 'In', values: ['nvme', 'optane'] }))
  told.gang('not', '1xgpu:1', {}, required({ key: 'disk', operator: 'NotIn', values: ['nvme'] }))
  told.gang('more', '1xgpu:1', {}, required({ key: 'slots', operator: 'Gt', values: ['7'] }))
  told.gang('none', '1xH100:1', {}, required({ key: 'disk', operator: 'DoesNotExist' }))
  expect(told.decide()).toEqual([
    'in#1 sits 0@b/H100-0:20000',
    'not#1 sits 0@a/A100-0:20000',
    'more#1 sits 0@b/H100-1:20001',
    'none waits: NodesUnavailable: needs 1 × H100:1; node b does not match its node affinity',
  ])
})

test('the queue is missing, stopped, closed to the namespace or over its quota', () => {
  const told = story()
  told.node('a', 'cpu:4')
  told.queue('held', { stopPolicy: 'Hold' })
  told.queue('theirs', { namespaces: ['other'] })
  told.queue('tight', { nominalQuota: { cpu: 2 } })
  told.gang('a', '1x', { queue: 'none' })
  told.gang('b', '1x', { queue: 'held' })
  told.gang('c', '1x', { queue: 'theirs' })
  told.gang('d', '2x', { queue: 'tight' })
  told.gang('e', '1x', { queue: 'tight' })
  expect(told.decide()).toEqual([
    'd#1 sits 0@a/cpu-0:20000 1@a/cpu-1:20001',
    'e waits: OverQuota: needs 1 × cpu:1; queue tight may hold 2 × cpu',
    'a waits: QueueMissing: queue none does not exist; create it or name another',
    'b waits: QueueStopped: queue held is stopped (spec.stopPolicy: Hold)',
    'c waits: NamespaceNotAllowed: queue theirs does not list namespace default in spec.namespaces',
  ])
  expect(told.why('e')).toBe(
    'queue tight may hold 2 × cpu and holds 2; needs 1 more; job/d (queue tight, priority 0) holds 2',
  )
  told.queue('tight', { nominalQuota: { cpu: 3 } })
  expect(told.decide()).toEqual(['e#1 sits 0@a/cpu-2:20002'])
})

test('a restart waits for its own pods, keeps its place meanwhile, and gets fresh ports', () => {
  const told = story()
  told.node('a', 'cpu:2')
  told.gang('g', '2x', { preemptible: false })
  told.gang('next', '1x', { priority: 5 })
  told.change('next', { suspend: true })
  told.decide()
  told.run('g')
  told.change('next', { suspend: false })
  expect(told.decide()).toEqual(['next waits: InsufficientAccelerators: needs 1 × cpu:1 at once; fewer are free'])
  told.end('g-worker-0-1')
  told.change('g', { attempt: 2 })
  expect(told.decide()).toEqual([])
  told.end('g-worker-1-1')
  expect(told.decide()).toEqual(['g#2 sits 0@a/cpu-0:20002 1@a/cpu-1:20003'])
})

test('a suspended gang gives its seats back, and its live pods still count', () => {
  const told = story()
  told.node('a', 'cpu:1')
  told.gang('g', '1x')
  told.decide()
  told.run('g')
  told.change('g', { suspend: true })
  told.gang('next', '1x')
  expect(told.decide()).toEqual([
    'g gives its seats back',
    'next waits: InsufficientAccelerators: needs 1 × cpu:1 at once; fewer are free',
  ])
  told.end('g-worker-0-1')
  expect(told.decide()).toEqual(['next#1 sits 0@a/cpu-0:20001'])
})

test('a stale verdict is undone and decided again on the newer state', () => {
  const told = story()
  told.node('a', 'cpu:1')
  told.gang('g', '1x')
  const [verdict] = told.scheduler.decide(0)
  told.change('g', { priority: 3 })
  expect(told.scheduler.decide(0)).toEqual([])
  if (verdict !== undefined) told.scheduler.settle(verdict, 'stale')
  expect(told.decide()).toEqual(['g#1 sits 0@a/cpu-0:20001'])
})

test('a thousand alike gangs cost one try, and each is told once', () => {
  const told = story()
  told.node('a', 'cpu:4')
  for (let index = 0; index < 1000; index++) told.gang(`job-${index}`, '1x')
  expect(told.decide().length).toBe(1000)
  for (let index = 0; index < 100; index++) {
    told.change(`job-${index}`, { suspend: true })
    const lines = told.decide()
    expect(lines[0]).toBe(`job-${index} gives its seats back`)
    expect(lines.length).toBe(2)
  }
})

test('why names place, holders and only fixes that were tried', () => {
  const told = story()
  told.node('a', 'cpu:4')
  told.node('b', 'cpu:1', { unschedulable: true })
  told.gang('big', '3x', { priority: 1 })
  told.decide()
  told.run('big')
  told.gang('mine', '2x')
  told.decide()
  const why = told.scheduler.why('default/mine', 0)
  expect(why).toMatchObject({ state: 'waiting', reason: 'InsufficientAccelerators', placeInLine: 1 })
  expect(why.free).toEqual([{ model: 'cpu', count: 1, total: 5 }])
  const [holder] = why.holders
  expect(holder).toEqual({
    gang: 'default/big',
    queue: 'default',
    model: 'cpu',
    priority: 1,
    accelerators: 3,
    share: 0.6,
  })
  expect(why.fixes).toEqual([
    'ask for 1 worker instead of 2',
    'set its priority to 2 (displaces job/big: 90 accelerator-seconds of work)',
    'uncordon node b',
    'suspend job/big',
  ])
  expect(told.scheduler.why('default/big', 0)).toMatchObject({ state: 'seated', message: '3 members sit on a' })
  expect(told.scheduler.why('default/no', 0).state).toBe('unknown')
})

describe('fabric', () => {
  /** Two blocks of two racks of two nodes: b0r0a, b0r0b, b0r1a … */
  function fabric(told: Story, devices = 'H100:8'): void {
    for (const block of ['b0', 'b1'])
      for (const rack of ['r0', 'r1'])
        for (const node of ['a', 'b'])
          told.node(`${block}${rack}${node}`, devices, {
            labels: { 'millwright.dev/block': block, 'millwright.dev/rack': rack },
          })
  }
  const nodesOf = (told: Story, gang: string) =>
    told.gangs.get(`default/${gang}`)?.status?.seats?.members.map((member) => member.node)

  test('a gang sits on the fewest racks and blocks, its ranks in their order', () => {
    const told = story()
    fabric(told)
    told.gang('one', '1xH100:1')
    told.gang('three', '3xH100:8')
    told.gang('four', '4xH100:8')
    told.decide()
    expect(nodesOf(told, 'one')).toEqual(['b0r0a'])
    expect(nodesOf(told, 'four')).toEqual(['b1r0a', 'b1r0b', 'b1r1a', 'b1r1b'])
    expect(nodesOf(told, 'three')).toEqual(['b0r0b', 'b0r1a', 'b0r1b'])
  })

  test('a small job breaks open no rack while another place serves it as well', () => {
    const told = story()
    fabric(told)
    told.gang('first', '1xH100:8')
    told.gang('second', '1xH100:8')
    told.gang('third', '2xH100:4')
    told.gang('fourth', '2xH100:8')
    told.decide()
    expect(nodesOf(told, 'second')).toEqual(['b0r0b'])
    expect(nodesOf(told, 'third')).toEqual(['b0r1a', 'b0r1a'])
    expect(nodesOf(told, 'fourth')).toEqual(['b1r0a', 'b1r0b'])
  })

  test('a required rack is the tightest that holds all; a level has its own name and its label', () => {
    const told = story()
    fabric(told)
    told.gang('one', '1xH100:8')
    told.gang('half', '2xH100:4', { topology: { required: 'rack' } })
    told.gang('pair', '2xH100:8', { topology: { required: 'millwright.dev/rack' } })
    told.gang('wide', '4xH100:8', { topology: { required: 'block' } })
    told.decide()
    expect(nodesOf(told, 'half')).toEqual(['b0r0b', 'b0r0b'])
    expect(nodesOf(told, 'pair')).toEqual(['b0r1a', 'b0r1b'])
    expect(nodesOf(told, 'wide')).toEqual(['b1r0a', 'b1r0b', 'b1r1a', 'b1r1b'])
  })

  test('a rack that no rack is large enough for is said, and so is one that is not free', () => {
    const told = story()
    fabric(told)
    told.gang('a', '1xH100:1', {}, { nodeSelector: { 'millwright.dev/block': 'b0' } })
    told.decide()
    for (const rack of ['b0r0', 'b0r1', 'b1r0', 'b1r1'])
      told.gang(`in-${rack}`, '1xH100:5', {}, { nodeSelector: { at: rack } })
    told.gang('three', '3xH100:8', { topology: { required: 'rack' } })
    expect(told.decide().at(-1)).toBe(
      'three waits: TopologyTooNarrow: needs 3 × H100:8 in one rack; no rack has so many free',
    )
    expect(told.why('three')).toBe(
      'needs 3 × H100:8 in one rack; the roomiest has room for 2; job/a (queue default, priority 0) holds 1',
    )
  })

  test('a preferred rack gives way, to the same block first', () => {
    const told = story()
    fabric(told)
    told.gang('a', '1xH100:1', {}, {})
    told.gang('three', '3xH100:8', { topology: { preferred: 'rack' } })
    told.gang('strict', '3xH100:8', { topology: { preferred: 'rack', required: 'block' } })
    told.decide()
    expect(nodesOf(told, 'three')).toEqual(['b0r0b', 'b0r1a', 'b0r1b'])
    expect(nodesOf(told, 'strict')).toEqual(['b1r0a', 'b1r0b', 'b1r1a'])
  })

  test('a label that is no level of the fabric serves as well', () => {
    const told = story()
    for (const [name, row] of [
      ['a', 'x'],
      ['b', 'y'],
      ['c', 'x'],
      ['d', 'y'],
    ] as const)
      told.node(name, 'H100:8', { labels: { row } })
    told.gang('one', '1xH100:8')
    told.gang('pair', '2xH100:8', { topology: { required: 'row' } })
    told.decide()
    expect(nodesOf(told, 'pair')).toEqual(['b', 'd'])
  })

  test('several groups share the domain', () => {
    const told = story()
    fabric(told)
    told.gang('one', '1xH100:1')
    const [group] = told.gangs.get('default/one')?.spec.groups ?? []
    if (group === undefined) throw new Error('no group')
    const groups = [
      { ...group, name: 'learner', min: 1, max: 1, accelerators: [{ model: 'H100', count: 8 }] },
      { ...group, name: 'actor', min: 2, max: 2, accelerators: [{ model: 'H100', count: 4 }] },
    ]
    told.gang('two', '1x', { groups, topology: { required: 'rack' } })
    told.decide()
    expect(nodesOf(told, 'two')).toEqual(['b0r1a', 'b0r1b', 'b0r1b'])
  })

  test('the first in line keeps no more nodes than it needs', () => {
    const told = story()
    fabric(told)
    for (let index = 0; index < 8; index++) told.gang(`one-${index}`, '1xH100:5')
    told.gang('wide', '2xH100:8', { priority: 1 })
    told.decide()
    told.gang('small', '1xH100:3')
    expect(told.decide()).toEqual(['small#1 sits 0@b0r1b/H100-5+H100-6+H100-7:20001'])
  })
})

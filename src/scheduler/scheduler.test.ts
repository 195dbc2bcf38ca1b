import { expect, test } from 'vitest'
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

test('a gang that does not fit is told what is missing and who holds it', () => {
  const told = story()
  told.node('a', 'cpu:4')
  told.queue('research')
  told.gang('big', '3xcpu:1', { queue: 'research', priority: 10 })
  told.gang('small', '2xcpu:1')
  expect(told.decide()).toEqual([
    'big#1 sits 0@a/cpu-0:20000 1@a/cpu-1:20001 2@a/cpu-2:20002',
    'small waits: InsufficientAccelerators: needs 2 × cpu:1, 1 free of 4; job/big (queue research, priority 10) holds 3',
  ])
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
  told.gang('first', '1xH100:1')
  told.decide()
  told.gang('wide', '2xH100:1', { priority: 1 })
  told.gang('narrow', '1xH100:1')
  told.gang('slots', '2xcpu:1')
  expect(told.decide()).toEqual([
    'wide waits: InsufficientAccelerators: needs 2 × H100:1, 1 free of 2; job/first (queue default, priority 0) holds 1',
    'narrow waits: BehindOthers: needs 1 × H100:1, 1 free of 2; job/wide (queue default, priority 1) is ahead in line for H100',
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
  expect(told.decide()).toEqual([
    'y waits: InsufficientAccelerators: needs 1 × H100:2, 2 free of 8, but on single nodes there is room for 0; job/x (queue default, priority 0) holds 6',
  ])
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
    'a waits: QueueMissing: queue none does not exist; create it or name another',
    'b waits: QueueStopped: queue held is stopped (spec.stopPolicy: Hold)',
    'c waits: NamespaceNotAllowed: queue theirs does not list namespace default in spec.namespaces',
    'd#1 sits 0@a/cpu-0:20000 1@a/cpu-1:20001',
    'e waits: OverQuota: queue tight may hold 2 × cpu and holds 2; needs 1 more; job/d (queue tight, priority 0) holds 2',
  ])
  told.queue('tight', { nominalQuota: { cpu: 3 } })
  expect(told.decide()).toEqual(['e#1 sits 0@a/cpu-2:20002'])
})

test('a restart waits for its own pods, keeps its place meanwhile, and gets fresh ports', () => {
  const told = story()
  told.node('a', 'cpu:2')
  told.gang('g', '2x')
  told.gang('next', '1x', { priority: 5 })
  told.change('next', { suspend: true })
  told.decide()
  told.run('g')
  told.change('next', { suspend: false })
  expect(told.decide()).toEqual([
    'next waits: InsufficientAccelerators: needs 1 × cpu:1, 0 free of 2; job/g (queue default, priority 0) holds 2',
  ])
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
    'next waits: InsufficientAccelerators: needs 1 × cpu:1, 0 free of 1; job/g (queue default, priority 0) holds 1',
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
  expect(why.holders).toEqual([{ gang: 'default/big', queue: 'default', priority: 1, accelerators: 3 }])
  expect(why.fixes).toEqual(['ask for 1 worker instead of 2', 'uncordon node b', 'suspend job/big'])
  expect(told.scheduler.why('default/big', 0)).toMatchObject({ state: 'seated', message: '3 members sit on a' })
  expect(told.scheduler.why('default/no', 0).state).toBe('unknown')
})

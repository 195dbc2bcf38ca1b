import { expect, test } from 'vitest'
import { annotation } from '../model/names.ts'
import { createScheduler } from './scheduler.ts'
import { Story } from './story.fixture.ts'

function begun() {
  const scheduler = createScheduler()
  const told = new Story(scheduler)
  told.queue('default')
  return { scheduler, told }
}

/** The same objects, told to another scheduler in the order of `kinds`. */
function toldAnew({ world }: Story, kinds: readonly ('Node' | 'Queue' | 'Gang' | 'Pod')[]) {
  const scheduler = createScheduler()
  for (const kind of kinds) {
    if (kind === 'Node') for (const object of world.nodes.values()) scheduler.apply({ kind, object })
    if (kind === 'Queue') for (const object of world.queues.values()) scheduler.apply({ kind, object })
    if (kind === 'Gang') for (const object of world.gangs.values()) scheduler.apply({ kind, object })
    if (kind === 'Pod') for (const object of world.pods.values()) scheduler.apply({ kind, object })
  }
  scheduler.decide(world.nowMs)
  return scheduler
}

test('who is told of gangs before he is told of their nodes charges them for what they hold there', () => {
  const told = new Story(createScheduler())
  told.queue('default', { nominalQuota: { H100: 2, A100: 2 } })
  told.node('a', 'A100:2')
  const accelerators = [
    { model: 'H100', count: 1 },
    { model: 'A100', count: 1 },
  ]
  told.gang('either', '2x', {}, { accelerators })
  told.decide()
  told.node('b', 'H100:2')
  told.gang('more', '1xA100:1', { preemptible: false })
  told.gang('other', '2xH100:1')
  const messages = (kinds: readonly ('Node' | 'Queue' | 'Gang' | 'Pod')[]) => {
    const scheduler = toldAnew(told, kinds)
    return ['more', 'other'].map((name) => scheduler.why(`default/${name}`, 0).message)
  }
  const late = messages(['Gang', 'Pod', 'Queue', 'Node'])
  expect(late).toEqual([
    'queue default may hold 2 × A100 and holds 2; needs 1 more; job/either (queue default, priority 0) holds 2',
    'there is room: it is being seated now',
  ])
  expect(messages(['Queue', 'Node', 'Gang', 'Pod'])).toEqual(late)
})

test('a pod that is gone from the store holds nothing', () => {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('a', 'cpu:1')
  told.gang('g', '1x')
  told.decide()
  told.run('g')
  told.change('g', { suspend: true })
  told.gang('next', '1x')
  expect(told.decide().at(-1)).toMatch('next waits')
  told.apply({ kind: 'Pod', deleted: 'default/g-worker-0-1' })
  expect(told.decide()).toEqual(['next#1 sits 0@a/cpu-0:20001'])
  told.apply({ kind: 'Pod', deleted: 'default/never-there' })
  expect(told.decide()).toEqual([])
})

test('a queue that is gone is missing, and who waits for it is told', () => {
  const told = new Story(createScheduler())
  told.queue('q', { nominalQuota: { cpu: 1 } })
  told.node('a', 'cpu:4')
  told.gang('first', '1x', { queue: 'q' })
  told.gang('second', '1x', { queue: 'q' })
  expect(told.decide().at(-1)).toBe('second waits: OverQuota: needs 1 × cpu:1; queue q may hold 1 × cpu')
  told.apply({ kind: 'Queue', deleted: 'q' })
  expect(told.decide()).toEqual(['second waits: QueueMissing: queue q does not exist; create it or name another'])
  told.queue('q', { nominalQuota: { cpu: 2 } })
  expect(told.decide()).toEqual(['second#1 sits 0@a/cpu-1:20001'])
})

test('a gang that is gone is forgotten: its seats are free, and whoever waited behind it goes on', () => {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('a', 'cpu:2')
  told.gang('sits', '2x')
  told.decide()
  told.gang('wide', '2x', { priority: -1 })
  told.gang('small', '1x', { priority: -2 })
  expect(told.decide().length).toBe(2)
  told.apply({ kind: 'Gang', deleted: 'default/wide' })
  told.apply({ kind: 'Gang', deleted: 'default/sits' })
  told.apply({ kind: 'Gang', deleted: 'default/never-there' })
  expect(told.decide()).toEqual(['small#1 sits 0@a/cpu-0:20002'])
  expect(told.scheduler.why('default/sits', 0).state).toBe('unknown')
})

test('pods of another attempt keep what they hold from others, and from their own gang, until they end', () => {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('a', 'cpu:2')
  told.gang('g', '2x')
  told.decide()
  told.run('g')
  told.change('g', { suspend: true })
  expect(told.decide()).toEqual(['g gives its seats back'])
  told.gang('urgent', '1x', { priority: 5 })
  expect(told.decide()).toEqual(['urgent waits: InsufficientAccelerators: needs 1 × cpu:1 at once; fewer are free'])
  told.change('g', { suspend: false, attempt: 2 })
  told.nowMs += 2000
  told.decide()
  told.nowMs += 2000
  expect(told.decide()).toEqual(['g waits: Ending: pods of an earlier attempt of gang g have not ended yet'])
  told.end('g-worker-0-1')
  expect(told.decide()).toEqual(['urgent#1 sits 0@a/cpu-0:20002'])
  told.end('g-worker-1-1')
  expect(told.decide()).toEqual(['g waits: InsufficientAccelerators: needs 2 × cpu:1 at once; fewer are free'])
})

/** `x` had both slots of a node, left one for `urgent`, and is about to go on with the other; others hold these ports. */
function restOfX(portsOfOthers: readonly number[]) {
  const { scheduler, told } = begun()
  told.node('a', 'cpu:2')
  told.gang('x', '1x', {}, { max: 2 })
  told.decide()
  told.gang('urgent', '1x', { priority: 5 })
  told.decide()
  const eviction = {
    attempt: 1,
    by: 'default/urgent',
    reason: 'InQueue' as const,
    message: 'm',
    at: '1970-01-01T00:00:00Z',
  }
  told.world.edit('default/x', { attempt: 2 }, { eviction: { ...eviction, shrinks: true } })
  const metadata = { name: 'other', namespace: 'default', annotations: { [annotation.ports]: portsOfOthers.join() } }
  told.pod({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName: 'a', containers: [{ name: 'c' }] } })
  scheduler.keepRest()
  const members = scheduler.gangs.get('default/x')?.seats?.members ?? []
  const used = [...(scheduler.fleet.nodes.get('a')?.portsUsed.values() ?? [])]
  return {
    kept: members.map(({ devices, ports }) => [devices[0]?.id, ...ports]),
    isShared: used.some((count) => count > 1),
  }
}

test('what is left to a gang that shrinks is kept on ports that nobody else holds', () => {
  expect(restOfX([])).toEqual({ kept: [['cpu-1', 20_001]], isShared: false })
  expect(restOfX([20_001])).toEqual({ kept: [['cpu-1', 20_003]], isShared: false })
  expect(restOfX([20_001, 20_003])).toEqual({ kept: [['cpu-1', 20_004]], isShared: false })
})

test('where all ports of the node are in use nothing is left to it', () => {
  const all = Array.from({ length: 10 }, (_, index) => 20_000 + index).filter((port) => port !== 20_002)
  expect(restOfX(all).kept).toEqual([])
})

test('who is told of seats on a node that is gone charges them as who gave them did', () => {
  const told = new Story(createScheduler())
  told.queue('default', { nominalQuota: { H100: 2, A100: 3 } })
  told.node('a', 'A100:3')
  const models = ['H100', 'A100'].map((model) => ({ model, count: 1 }))
  told.gang('either', '2x', {}, { accelerators: models })
  told.gang('any', '1xgpu:0.5')
  told.decide()
  told.apply({ kind: 'Node', deleted: 'a' })
  told.node('b', 'H100:2')
  told.gang('other', '2xH100:1')
  const successor = toldAnew(told, ['Node', 'Queue', 'Gang', 'Pod'])
  told.scheduler.decide(0)
  for (const scheduler of [told.scheduler, successor])
    expect(scheduler.why('default/other', 0).message).toBe('there is room: it is being seated now')
})

test('a model all of whose nodes have gone is nothing that shares are measured against', () => {
  const { scheduler, told } = begun()
  told.node('a', 'A100:4')
  told.node('b', 'H100:8')
  told.decide()
  const capacities = () => ['A100', 'H100'].map((model) => scheduler.quota.fleet.quota(model) / 1000)
  expect(capacities()).toEqual([4, 8])
  told.apply({ kind: 'Node', deleted: 'b' })
  told.decide()
  expect(capacities()).toEqual([4, 0])
})

test('who displaced whom is forgotten when there are more or fewer accelerators, not when a node is closed or labelled', () => {
  const { scheduler, told } = begun()
  told.node('a', 'H100:2')
  told.gang('low', '1xH100:2')
  told.decide()
  told.gang('urgent', '1xH100:2', { priority: 1 })
  told.decide()
  const displacers = () => {
    told.decide()
    return [...scheduler.displaced.displacersOf('default/low')]
  }
  expect(displacers()).toEqual(['default/urgent'])
  told.node('a', 'H100:2', { unschedulable: true })
  told.node('a', 'H100:2', { labels: { at: 'here' } })
  expect(displacers()).toEqual(['default/urgent'])
  told.node('b', 'H100:2')
  expect(displacers()).toEqual([])
})

import { expect, test } from 'vitest'
import { annotation } from '../../model/names.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'

/** `old` holds all that queue `q` may hold, on one of two nodes. */
function full(): Story {
  const told = new Story(createScheduler())
  told.node('a', 'H100:4')
  told.node('b', 'H100:4')
  told.queue('q', { nominalQuota: { H100: 4 } })
  told.gang('old', '1xH100:4', { queue: 'q' })
  told.decide()
  return told
}

const overQuota = 'OverQuota: needs 1 × H100:4; queue q may hold 4 × H100'

test('who was to leave for a gang that is gone before it asked stays, and counts for its queue', () => {
  const told = full()
  told.gang('urgent', '1xH100:4', { queue: 'q', priority: 1 })
  expect(told.decide()).toEqual([expect.stringMatching(/^urgent#1 will sit .* when these have left: old \(InQueue\)$/)])
  told.apply({ kind: 'Gang', deleted: 'default/urgent' })
  told.gang('next', '1xH100:4', { queue: 'q' })
  expect(told.decide()).toEqual([`next waits: ${overQuota}`])
})

test('nobody sits on the quota of one who has not left yet, though there is room', () => {
  const told = full()
  told.gang('urgent', '1xH100:4', { queue: 'q', priority: 1 })
  told.decide()
  expect(told.decide()).toEqual([])
  const course = told.world.play().map((one) => (one.kind === 'decided' ? one.verdict.kind : one.kind))
  expect(course.slice(0, 3)).toEqual(['left', 'release', 'bind'])
  expect(told.gangs.get('default/old')?.status?.seats).toBeUndefined()
})

test('who starts anew sees the same ones leave, whichever gang is told first', () => {
  const told = full()
  told.gang('urgent', '1xH100:4', { queue: 'q', priority: 1 })
  told.decide()
  const gangs = [...told.gangs.values()]
  for (const inOrder of [gangs, gangs.toReversed()]) {
    const again = new Story(createScheduler())
    again.node('c', 'H100:4')
    again.queue('q', { nominalQuota: { H100: 8 } })
    for (const object of [...told.world.nodes.values(), ...inOrder]) again.world.put(object)
    again.gang('more', '1xH100:4', { queue: 'q' })
    expect(again.decide()).toEqual(['more#1 sits 0@b/H100-0+H100-1+H100-2+H100-3:20000'])
  }
})

test('of two that share a device half of which was taken, one goes on there, and who took it sits', () => {
  const told = new Story(createScheduler())
  told.node('a', 'H100:2')
  told.queue('q')
  told.gang('old', '4xH100:0.5', { queue: 'q' }, { min: 1, max: 4, ports: 0 })
  told.decide()
  told.gang('urgent', '1xH100:0.5', { queue: 'q', priority: 1 }, { ports: 0 })
  const said = told.world
    .play()
    .flatMap((one) => (one.kind === 'decided' ? `${one.verdict.kind} ${one.verdict.gang}` : []))
  expect(said).toEqual(['preempt default/urgent', 'bind default/urgent', 'bind default/old'])
  const seated = told.gangs.get('default/old')?.status?.seats?.members ?? []
  expect(seated.length).toBe(3)
})

test('who shrinks goes on only with devices that are well', () => {
  const told = new Story(createScheduler())
  told.node('a', 'H100:5')
  told.queue('default')
  told.gang('old', '5xH100:1', {}, { min: 2, max: 5, ports: 0 })
  told.decide()
  told.gang('urgent', '2xH100:1', { priority: 1 }, { ports: 0 })
  told.decide()
  const node = told.world.nodes.get('a')
  if (node === undefined) throw new Error('no node')
  const devices = [0, 1, 2, 3, 4].map((at) => ({ id: `H100-${at}`, model: 'H100', healthy: at !== 3 }))
  const annotations = { ...node.metadata.annotations, [annotation.nodeDevices]: JSON.stringify(devices) }
  told.world.put({ ...node, metadata: { ...node.metadata, annotations } })
  told.world.play()
  const seated = told.gangs.get('default/old')?.status?.seats?.members ?? []
  expect(seated.flatMap((member) => member.devices.map(({ id }) => id))).toEqual(['H100-2', 'H100-4'])
})

test('who was to leave and sits elsewhere by now counts for its queue again', () => {
  const told = new Story(createScheduler())
  told.queue('q', { nominalQuota: { cpu: 6 } })
  told.queue('default')
  for (const name of ['a', 'b']) told.node(name, 'cpu:2', { labels: { at: 'here' } })
  for (const name of ['low1', 'low2']) told.gang(name, '2x', { queue: 'q' })
  told.decide()
  for (const name of ['low1', 'low2']) told.run(name)
  told.gang('urgent', '4x', { queue: 'q', priority: 5 }, { nodeSelector: { at: 'here' } })
  expect(told.decide().length).toBe(1)
  for (const rank of [0, 1]) told.end(`low1-worker-${rank}-1`)
  told.change('low1', { suspend: true })
  told.decide()
  told.node('c', 'cpu:4')
  told.change('low1', { suspend: false, attempt: 2 })
  expect(told.decide()).toEqual([expect.stringMatching(/^low1#2 sits 0@c/)])
  told.gang('more', '1x', { queue: 'q' })
  expect(told.decide()).toEqual([expect.stringMatching(/^more waits: OverQuota: /)])
})

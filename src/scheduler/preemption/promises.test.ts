import { expect, test } from 'vitest'
import { createScheduler } from '../scheduler.ts'
import { Story, said } from '../story.fixture.ts'

/** `low` holds both slots, `urgent` has just been decided about, and nothing of that is written yet. */
function decided(quota?: number) {
  const told = new Story(createScheduler())
  told.queue('default', quota === undefined ? {} : { nominalQuota: { cpu: quota } })
  told.node('a', 'cpu:4')
  told.gang('fixed', '2x', { preemptible: false, queue: 'other' })
  told.queue('other')
  told.gang('low', '2x')
  told.decide()
  told.gang('urgent', '2x', { priority: 5 })
  const verdicts = told.scheduler.decide(told.nowMs)
  expect(verdicts.map(said)).toEqual([
    expect.stringMatching(/^urgent#1 will sit .* when these have left: low \(InQueue\)$/),
  ])
  return { told, verdicts }
}

test('what was decided on an older gang is undone: whoever was to leave stays, until it is decided again', () => {
  const { told, verdicts } = decided()
  told.change('urgent', { priority: 0 })
  for (const verdict of verdicts) told.commit(verdict)
  expect(told.gangs.get('default/urgent')?.status?.hold).toBeUndefined()
  expect(told.decide()).toEqual(['urgent waits: InsufficientAccelerators: needs 2 × cpu:1 at once; fewer are free'])
  told.change('urgent', { priority: 5 })
  expect(told.decide()).toEqual([
    'urgent#1 will sit 0@a/cpu-2:20006 1@a/cpu-3:20007 when these have left: low (InQueue)',
  ])
})

test('who was to leave for what was never written is charged again for what it holds', () => {
  const { told, verdicts } = decided(2)
  told.change('urgent', { suspend: true })
  for (const verdict of verdicts) told.commit(verdict)
  told.change('fixed', { suspend: true })
  told.gang('more', '1x')
  expect(told.decide()).toEqual([
    'fixed gives its seats back',
    'more waits: OverQuota: needs 1 × cpu:1; queue default may hold 2 × cpu',
  ])
})

test('who is asked to leave for two stays for neither of them alone', () => {
  const { told, verdicts } = decided()
  for (const verdict of verdicts) told.commit(verdict)
  told.gang('next', '1x', { priority: 4 })
  expect(told.decide()).toEqual(['next waits: InsufficientAccelerators: needs 1 × cpu:1 at once; fewer are free'])
  told.change('urgent', { suspend: true })
  expect(told.decide()).toEqual([
    'urgent gives its seats back',
    'next#1 will sit 0@a/cpu-2:20006 when these have left: low (InQueue)',
  ])
  expect(told.gangs.get('default/low')?.status?.seats?.members.length).toBe(2)
})

test('whoever a place is kept for sits on it when the last that was there has left, not before', () => {
  const { told, verdicts } = decided()
  for (const verdict of verdicts) told.commit(verdict)
  told.run('low')
  told.change('low', { suspend: true })
  expect(told.decide()).toEqual(['low gives its seats back'])
  told.end('low-worker-0-1')
  expect(told.decide()).toEqual([])
  told.end('low-worker-1-1')
  expect(told.decide()).toEqual(['urgent#1 sits 0@a/cpu-2:20006 1@a/cpu-3:20007'])
})

test('what is kept for a gang is given back when its queue is stopped, and it waits for that', () => {
  const { told, verdicts } = decided()
  for (const verdict of verdicts) told.commit(verdict)
  told.queue('default', { stopPolicy: 'Hold' })
  expect(told.decide()).toEqual([
    'urgent gives its seats back',
    'urgent waits: QueueStopped: queue default is stopped (spec.stopPolicy: Hold)',
  ])
  told.queue('default')
  expect(told.decide().length).toBe(1)
})

test('a victim that is another gang by now is not waited for', () => {
  const { told, verdicts } = decided()
  for (const verdict of verdicts) told.commit(verdict)
  const low = told.gangs.get('default/low')
  told.apply({ kind: 'Gang', deleted: 'default/low' })
  expect(told.decide()).toEqual(['urgent#1 sits 0@a/cpu-2:20006 1@a/cpu-3:20007'])
  told.gang('low', '2x')
  expect(told.gangs.get('default/low')?.metadata.uid).not.toBe(low?.metadata.uid)
  expect(told.decide()).toEqual(['low waits: InsufficientAccelerators: needs 2 × cpu:1 at once; fewer are free'])
})

test('what one of several has left behind is kept too, cores and memory and all', () => {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('a', 'H100:2', { cpu: '2', memory: '2Gi' })
  const each = { cpuMilli: 1000, memoryBytes: 2 ** 30 }
  told.gang('low1', '1xH100:1', {}, each)
  told.gang('low2', '1xH100:1', {}, each)
  told.decide()
  told.gang('urgent', '2xH100:1', { priority: 5 }, each)
  expect(told.decide()).toEqual([
    expect.stringMatching(/^urgent#1 will sit .* when these have left: low1 \(InQueue\), low2 \(InQueue\)$/),
  ])
  told.change('low1', { suspend: true })
  const none = [{ model: 'H100', count: 0 }]
  told.gang('cores', '1x', {}, { accelerators: none, cpuMilli: 1000 })
  told.gang('memory', '1x', {}, { accelerators: none, memoryBytes: 2 ** 30 })
  expect(told.decide().map((line) => line.split(':').slice(0, 2).join(':'))).toEqual([
    'low1 gives its seats back',
    'urgent waits: Preempting',
    'cores waits: InsufficientCpu',
    'memory waits: InsufficientMemory',
  ])
  told.change('low2', { suspend: true })
  expect(told.decide()[1]).toMatch(/^urgent#1 sits/)
})

test('a victim that sits again elsewhere has left, whatever its new pods do', () => {
  const told = new Story(createScheduler())
  told.queue('default')
  for (const name of ['a', 'b']) told.node(name, 'cpu:2', { labels: { at: 'here' } })
  for (const name of ['low1', 'low2']) told.gang(name, '2x')
  told.decide()
  for (const name of ['low1', 'low2']) told.run(name)
  told.gang('urgent', '4x', { priority: 5 }, { nodeSelector: { at: 'here' } })
  expect(told.decide().length).toBe(1)
  for (const rank of [0, 1]) told.end(`low1-worker-${rank}-1`)
  told.change('low1', { suspend: true })
  expect(told.decide()).toContain('low1 gives its seats back')
  told.node('c', 'cpu:2')
  told.change('low1', { suspend: false, attempt: 2 })
  expect(told.decide()).toEqual([expect.stringMatching(/^low1#2 sits 0@c/)])
  told.run('low1')
  for (const rank of [0, 1]) told.end(`low2-worker-${rank}-1`)
  told.change('low2', { suspend: true })
  expect(told.decide()).toEqual(['low2 gives its seats back', expect.stringMatching(/^urgent#1 sits 0@a/)])
})

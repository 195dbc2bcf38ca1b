import { expect, test } from 'vitest'
import { label } from '../model/names.ts'
import { occupantOf } from './fleet/pod-terms.ts'
import { gangNamed, groupOf } from './gang.fixture.ts'
import { createScheduler } from './scheduler.ts'
import { Story } from './story.fixture.ts'

/** Looking for room is dear: how often that is done is counted. */
function counting() {
  const scheduler = createScheduler()
  const told = new Story(scheduler)
  told.queue('default')
  told.node('a', 'H100:4')
  told.node('b', 'A100:4')
  const { fleet } = scheduler
  const attempt = fleet.attempt.bind(fleet)
  let count = 0
  fleet.attempt = <T>(work: () => T): T => {
    count++
    return attempt(work)
  }
  /** How often while it decides once. */
  const tries = () => {
    const before = count
    for (const verdict of scheduler.decide(told.nowMs)) told.commit(verdict)
    return count - before
  }
  /** Somebody who does not move takes one of the others. */
  const takeElsewhere = (name: string) => {
    told.gang(name, '1xA100:1', { preemptible: false, priority: 9 })
    return tries()
  }
  return { told, scheduler, tries, takeElsewhere }
}

test('while nothing changes, nobody is looked at', () => {
  const { told, tries } = counting()
  told.gang('holds', '1xH100:4', { preemptible: false })
  tries()
  for (const name of ['x', 'y', 'z']) told.gang(name, '1xH100:2')
  expect(tries()).toBeGreaterThan(0)
  told.gang('late', '1xH100:2')
  tries()
  expect([tries(), tries()]).toEqual([0, 0])
})

test('of many that are alike one is looked at when something is freed', () => {
  const { told, tries } = counting()
  for (const name of ['one', 'two']) told.gang(name, '1xH100:2', { preemptible: false })
  tries()
  told.gang('x0', '1xH100:3')
  tries()
  const free = () => {
    told.change('one', { suspend: true })
    tries()
    const looked = tries()
    told.change('one', { suspend: false, attempt: told.world.gangOf('default/one').spec.attempt + 1 })
    tries()
    tries()
    return looked
  }
  const alone = free()
  for (let at = 1; at < 50; at++) told.gang(`x${at}`, '1xH100:3')
  tries()
  tries()
  expect(alone).toBeGreaterThan(0)
  expect(free()).toBe(alone)
})

test('whoever waits for its queue’s quota, or for more than there is, is not looked at when others take something', () => {
  const { told, takeElsewhere, tries } = counting()
  const alone = takeElsewhere('first')
  told.queue('q', { nominalQuota: { H100: 1 } })
  told.gang('over', '1xH100:2', { queue: 'q' })
  told.gang('never', '1xH100:8')
  tries()
  tries()
  expect(takeElsewhere('second')).toBe(alone)
})

test('nor is whoever waits for others to leave', () => {
  const { told, takeElsewhere, tries } = counting()
  const alone = takeElsewhere('first')
  told.gang('low', '1xH100:4')
  tries()
  told.gang('urgent', '1xH100:4', { priority: 5 })
  tries()
  tries()
  expect(told.gangs.get('default/urgent')?.status?.hold).toBeDefined()
  expect([tries(), takeElsewhere('second'), tries()]).toEqual([0, alone, 0])
  told.change('low', { suspend: true })
  expect(tries()).toBeGreaterThan(0)
})

test('when a queue’s numbers are written nobody is looked at, and all are when it may hold more', () => {
  const { told, tries } = counting()
  told.queue('q', { nominalQuota: { H100: 1 } })
  told.gang('holds', '1xH100:4', { preemptible: false })
  tries()
  told.gang('over', '1xH100:2', { queue: 'q' })
  told.gang('x', '1xH100:2')
  tries()
  tries()
  const queue = told.world.queues.get('q')
  if (queue === undefined) throw new Error('no queue')
  told.world.put({ ...queue, status: { conditions: [], running: 1, waiting: 2, usage: { H100: 4 } } })
  expect(tries()).toBe(0)
  told.queue('q', { nominalQuota: { H100: 2 } })
  expect(tries()).toBeGreaterThan(0)
})

test('whoever is gone, or sits and will not grow, is no reason to look again when one comes whom it was to be beside', () => {
  const { told, scheduler, tries } = counting()
  const required = { topologyKey: label.hostname, labelSelector: { matchLabels: { app: 'db' } } }
  const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [required] } }
  const db = { occupant: occupantOf(gangNamed('db', [groupOf(1)]), groupOf(1, { labels: { app: 'db' } })) }
  const letsIn = () => scheduler.fleet.neighbours.letsIn(db)
  told.gang('gone', '1xH100:1', {}, { affinity })
  tries()
  expect(letsIn()).toBe(true)
  told.apply({ kind: 'Gang', deleted: 'default/gone' })
  expect(letsIn()).toBe(false)
  told.gang('sits', '1xH100:1', {}, { affinity })
  tries()
  expect(letsIn()).toBe(true)
  told.gang('db', '1xH100:1', {}, { labels: { app: 'db' } })
  told.decide()
  expect(told.gangs.get('default/sits')?.status?.seats).toBeDefined()
  expect(letsIn()).toBe(false)
  told.gang('grows', '1xH100:1', {}, { affinity, max: 4 })
  told.decide()
  expect(told.gangs.get('default/grows')?.status?.seats).toBeDefined()
  expect(letsIn()).toBe(true)
})

import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { nothingReserved } from '../line/reservations.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'
import { displace, limitsOn } from './preemption.ts'
import { Sparing } from './sparing.ts'

/** A fleet that tells whom a gang would displace. */
function scene() {
  const scheduler = createScheduler()
  const told = new Story(scheduler, { runsPods: true })
  told.queue('default')
  const incoming = (name: string, without?: readonly string[]) => {
    const object = told.gangs.get(`default/${name}`)
    if (object === undefined) throw new Error(`no gang ${name}`)
    return { key: `default/${name}`, object, reserved: nothingReserved, without }
  }
  const victims = (name: string, without?: readonly string[]) =>
    displace(scheduler, incoming(name, without), told.nowMs)?.victims
  const names = (name: string, without?: readonly string[]) =>
    victims(name, without)?.map(({ gang }) => gang.replace('default/', ''))
  return { told, scheduler, incoming, victims, names }
}

const minute = 60_000

function alternatives(...models: string[]): Partial<Gang['spec']['groups'][number]> {
  return { accelerators: models.map((model) => ({ model, count: 2 })) }
}

test('a victim is named with its attempt, and with what it loses at full speed', () => {
  const { told, victims } = scene()
  told.node('a', 'H100:2')
  told.gang('low', '1xH100:2')
  told.decide()
  told.nowMs += minute
  told.gang('urgent', '1xH100:1', { priority: 1, suspend: true })
  const uid = told.gangs.get('default/low')?.metadata.uid
  expect(victims('urgent')).toEqual([
    { gang: 'default/low', uid, attempt: 1, reason: 'InQueue', lostSeconds: (60 + 30) * 2 },
  ])
})

test('who fails again and again displaces nobody, and it says whom it would', () => {
  const { told, names, scheduler, incoming } = scene()
  told.node('a', 'H100:2')
  told.gang('low', '1xH100:2')
  told.decide()
  told.gang('urgent', '1xH100:1', { priority: 1, preemptionPolicy: 'Never' })
  told.gang('large', '1xH100:4', { priority: 1, preemptionPolicy: 'Never' })
  expect(names('urgent')).toBeUndefined()
  const limits = (name: string) => limitsOn(scheduler, incoming(name), told.nowMs, new Sparing(scheduler, 'default', 0))
  expect(limits('urgent')).toMatchObject({ wouldLeave: [{ gang: 'default/low' }] })
  expect(limits('large')).toEqual({ wouldLeave: [] })
  told.decide()
  const why = scheduler.why('default/urgent', told.nowMs)
  expect(why).toMatchObject({ reason: 'FailsRepeatedly' })
  expect(why.message).toContain('job/low would have to leave, and it displaces nobody as long as it fails')
  told.gang('urgent', '1xH100:1', { priority: 1 })
  told.decide()
  expect(told.gangs.get('default/urgent')?.status?.hold?.victims).toMatchObject([{ gang: 'default/low' }])
})

test('of several models that would do, those lose their seats who lose least', () => {
  const { told, names } = scene()
  told.node('h', 'H100:2')
  told.node('a', 'A100:2')
  told.gang('old', '1xH100:2')
  told.decide()
  told.nowMs += minute
  told.gang('young', '1xA100:2')
  told.decide()
  told.gang('either', '1x', { priority: 1, suspend: true }, alternatives('H100', 'A100'))
  expect(names('either')).toEqual(['young'])
  told.gang('other', '1x', { priority: 1, suspend: true }, alternatives('A100', 'H100'))
  expect(names('other')).toEqual(['young'])
  told.gang('one', '1x', { priority: 1, suspend: true }, alternatives('H100'))
  expect(names('one')).toEqual(['old'])
})

test('an elastic gang that keeps its fewest members only shrinks', () => {
  const { told, victims } = scene()
  told.node('a', 'H100:4')
  told.gang('train', '1xH100:1', {}, { min: 2, max: 4 })
  told.decide()
  told.gang('two', '2xH100:1', { priority: 1, suspend: true })
  told.gang('three', '3xH100:1', { priority: 1, suspend: true })
  expect(victims('two')?.map(({ shrinks }) => shrinks)).toEqual([true])
  expect(victims('three')?.map(({ shrinks }) => shrinks)).toEqual([undefined])
})

test('each group of an elastic gang has to keep its fewest, wherever they sit', () => {
  const { told, scheduler, victims } = scene()
  told.node('a', 'H100:2')
  told.node('b', 'H100:2')
  told.gang('train', '1xH100:1', {}, { min: 2, max: 4, ports: 0 })
  told.decide()
  expect(scheduler.gangs.get('default/train')?.seats?.members.map(({ node }) => node)).toEqual(['a', 'a', 'b', 'b'])
  told.gang('urgent', '1xH100:2', { priority: 1, suspend: true })
  expect(victims('urgent')?.[0]?.shrinks, 'devices of two nodes have the same names').toBe(true)
})

test('who leaves already loses nothing by it, and nobody else leaves while that is enough', () => {
  const { told, victims } = scene()
  told.node('a', 'H100:4')
  told.gang('large', '1xH100:3')
  told.gang('small', '1xH100:1')
  told.decide()
  told.nowMs += minute
  told.gang('urgent', '1xH100:1', { priority: 1 }, { nodeSelector: {} })
  expect(told.decide().length).toBe(1)
  told.gang('more', '1xH100:3', { priority: 1, suspend: true })
  expect(victims('more')?.map(({ gang, lostSeconds }) => [gang, lostSeconds])).toEqual([['default/large', 270]])
  told.gang('large-too', '1xH100:2', { priority: 1 })
  told.decide()
  told.gang('rest', '1xH100:1', { priority: 1, suspend: true })
  expect(victims('rest')?.map(({ gang, lostSeconds }) => [gang, lostSeconds])).toEqual([['default/large', 0]])
})

test('whoever is gone in what is tried is not asked', () => {
  const { told, names } = scene()
  told.node('a', 'H100:2')
  told.gang('one', '1xH100:1')
  told.gang('two', '1xH100:1')
  told.decide()
  told.gang('urgent', '1xH100:1', { priority: 1, suspend: true })
  expect(names('urgent')).toEqual(['one'])
  expect(names('urgent', ['default/one'])).toEqual(['two'])
  expect(names('urgent', ['default/one', 'default/two'])).toBeUndefined()
})

test('what is not preemptible displaces nobody for what only borrowing would give it', () => {
  const { told, names } = scene()
  told.node('a', 'H100:4')
  told.queue('all')
  told.queue('lender', { parent: 'all', nominalQuota: { H100: 2 } })
  told.queue('owner', { parent: 'all', nominalQuota: { H100: 2 } })
  told.gang('low', '2xH100:2', { queue: 'owner' })
  told.decide()
  told.gang('fits', '1xH100:2', { queue: 'owner', priority: 1, preemptible: false, suspend: true })
  told.gang('borrows', '1xH100:3', { queue: 'owner', priority: 1, preemptible: false, suspend: true })
  told.gang('soft', '1xH100:3', { queue: 'owner', priority: 1, suspend: true })
  expect([names('fits'), names('borrows'), names('soft')]).toEqual([['low'], undefined, ['low']])
})

test('budgets that alone are in the way are named, each once', () => {
  const { told, scheduler, incoming } = scene()
  told.node('a', 'H100:3')
  for (const name of ['r0', 'r1']) told.gang(name, '1xH100:1', { disruptionBudget: { of: 'chat', minAvailable: 2 } })
  told.gang('s0', '1xH100:1', { disruptionBudget: { of: 'search', minAvailable: 1 } })
  told.decide()
  const limits = (name: string) => {
    const sparing = new Sparing(scheduler, 'default', told.nowMs)
    expect(displace(scheduler, incoming(name), told.nowMs, sparing)).toBeUndefined()
    return limitsOn(scheduler, incoming(name), told.nowMs, sparing)
  }
  told.gang('two', '2xH100:1', { priority: 1, suspend: true }, { ports: 0 })
  expect(limits('two')).toEqual({ budgets: ['chat'] })
  told.gang('three', '3xH100:1', { priority: 1, suspend: true }, { ports: 0 })
  expect(limits('three')).toEqual({ budgets: ['chat', 'search'] })
  told.gang('four', '4xH100:1', { priority: 1, suspend: true }, { ports: 0 })
  expect(limits('four'), 'more than there is').toEqual({})
  told.gang('low', '1xH100:1', { priority: -1, suspend: true })
  expect(limits('low'), 'nobody is below it').toEqual({})
})

test('whoever was asked to leave for another was displaced by that one alone', () => {
  const { told, scheduler } = scene()
  told.node('a', 'H100:2')
  told.gang('low', '1xH100:2')
  told.decide()
  told.gang('first', '1xH100:1', { priority: 1 })
  told.decide()
  const at = new Date(told.nowMs).toISOString()
  const eviction = { attempt: 1, by: 'default/first', reason: 'InQueue', message: '', at } as const
  told.world.edit('default/low', {}, { eviction })
  told.gang('second', '1xH100:1', { priority: 1 })
  expect(told.decide()).toEqual([expect.stringMatching(/^second#1 will sit .* when these have left: low /)])
  expect([...scheduler.displaced.displacersOf('default/low')]).toEqual(['default/first'])
})

test('whoever goes on without having been asked for another was displaced by all for whom it leaves', () => {
  const { told, scheduler } = scene()
  told.node('a', 'H100:2')
  told.gang('low', '1xH100:2')
  told.decide()
  for (const name of ['first', 'second']) told.gang(name, '1xH100:1', { priority: 1 })
  told.decide()
  expect([...scheduler.displaced.displacersOf('default/low')].toSorted()).toEqual(['default/first', 'default/second'])
})

test('whom a gang has to spare it did not displace, where that one leaves for another anyway', () => {
  const { told, scheduler } = scene()
  told.node('a', 'H100:2')
  told.gang('low', '1xH100:1', { priority: 1 })
  told.decide()
  told.gang('was-high', '1xH100:2', { priority: 2 })
  told.decide()
  told.change('low', { suspend: true })
  told.end('low-worker-0-1')
  expect(told.decide()).toContainEqual(expect.stringMatching(/^was-high#1 sits/))
  told.change('low', { suspend: false, attempt: 2 })
  told.world.edit('default/was-high', { priority: 0 })
  told.gang('second', '1xH100:1', { priority: 3 })
  expect(told.decide()).toHaveLength(2)
  expect([...scheduler.displaced.displacersOf('default/was-high')]).toEqual(['default/second'])
  expect([...scheduler.displaced.displacersOf('default/low')].toSorted()).toEqual([
    'default/second',
    'default/was-high',
  ])
})

test('who may take nobody of other queues as shares are looks again a minute later; where nobody else borrows, not', () => {
  const { told, scheduler, incoming } = scene()
  for (const name of ['mine', 'theirs']) told.queue(name)
  told.node('a', 'H100:2')
  told.gang('one', '1xH100:1', { queue: 'theirs' })
  told.decide()
  told.gang('other', '1xH100:1', { queue: 'mine' })
  told.decide()
  told.gang('more', '1xH100:1', { queue: 'mine' })
  const limits = () => {
    const sparing = new Sparing(scheduler, 'mine', told.nowMs)
    expect(displace(scheduler, incoming('more'), told.nowMs, sparing)).toBeUndefined()
    return limitsOn(scheduler, incoming('more'), told.nowMs, sparing)
  }
  expect(limits()).toEqual({ lookAtMs: told.nowMs + minute })
  told.queue('theirs', { nominalQuota: { H100: 1 } })
  expect(limits()).toEqual({})
})

import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'

/** `low` runs on `a`, which is kept for `urgent`; nobody was asked for anything yet, and there is room on `b` by now. */
function decided() {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('a', 'H100:2')
  told.gang('low', '2xH100:1')
  told.decide()
  told.run('low')
  told.gang('urgent', '2xH100:1', { priority: 5 })
  expect(told.decide()).toEqual([expect.stringMatching(/^urgent#1 will sit .*@a.* when these have left: low /)])
  told.node('b', 'H100:2')
  return told
}

function tell(told: Story, gang: string, change: Partial<Gang['spec']>, status: Partial<NonNullable<Gang['status']>>) {
  told.world.edit(`default/${gang}`, change, status)
}

const sitsOnB = expect.stringMatching(/^urgent#1 sits 0@b.* 1@b/)
const at = new Date(0).toISOString()
const eviction = { attempt: 1, by: 'default/urgent', reason: 'InQueue', message: '', at } as const

test('while somebody has not been asked who is to leave, nobody sits elsewhere: others may count on his leaving', () => {
  const told = decided()
  tell(told, 'low', {}, { restartSeconds: 1 })
  expect(told.decide()).toEqual([])
  expect(told.why('urgent')).toMatch(/default\/low has left/)
})

test('once he was asked, or leaves of himself, whoever waits for him may sit elsewhere', () => {
  const asked = decided()
  tell(asked, 'low', {}, { eviction })
  expect(asked.decide()).toEqual([sitsOnB])
  const suspended = decided()
  tell(suspended, 'low', { suspend: true }, {})
  expect(suspended.decide()).toContainEqual(sitsOnB)
  const restarted = decided()
  tell(restarted, 'low', { attempt: 2 }, {})
  expect(restarted.decide()).toContainEqual(sitsOnB)
})

test('one of several has not been asked: that one is waited for', () => {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('a', 'H100:2')
  for (const name of ['one', 'two']) told.gang(name, '1xH100:1')
  told.decide()
  told.gang('urgent', '2xH100:1', { priority: 5 })
  told.decide()
  told.node('b', 'H100:2')
  tell(told, 'one', {}, { eviction })
  expect(told.decide()).toEqual([
    expect.stringMatching(/^urgent waits: Preempting: it sits when default\/two has left/),
  ])
  tell(told, 'two', {}, { eviction })
  expect(told.decide()).toEqual([sitsOnB])
})

test('who was asked leaves even if nobody needs that any more; another attempt of it does not', () => {
  const told = decided()
  tell(told, 'low', {}, { eviction })
  told.apply({ kind: 'Gang', deleted: 'default/urgent' })
  told.gang('next', '1xH100:2', { priority: 1 })
  told.gang('more', '1xH100:2', { priority: 1 })
  expect(told.decide()).toEqual([
    'next#1 sits 0@b/H100-0+H100-1:20000',
    expect.stringMatching(/^more#1 will sit 0@a.* when these have left: low \(/),
  ])
})

test('who has just been decided to grow is not asked before that is written', () => {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('a', 'H100:4')
  told.gang('other', '1xH100:2')
  told.gang('train', '1xH100:1', {}, { min: 1, max: 4 })
  told.decide()
  told.change('other', { suspend: true })
  expect(told.decide()).toEqual(['other gives its seats back'])
  told.nowMs += 3_600_000
  const status = told.gangs.get('default/train')?.status
  const checkpoint = {
    step: 1,
    attempt: 1,
    at: new Date(told.nowMs).toISOString(),
    digest: '',
    bytes: 0,
    manifests: [],
  }
  tell(told, 'train', {}, { ...status, checkpoint })
  const [grows] = told.scheduler.decide(told.nowMs)
  expect(grows?.kind).toBe('resize')
  told.gang('urgent', '4xH100:1', { priority: 5 })
  const verdicts = told.scheduler.decide(told.nowMs)
  expect(verdicts.map(({ kind, gang }) => `${kind} ${gang}`)).toEqual(['wait default/urgent'])
  if (grows !== undefined) told.commit(grows)
  for (const verdict of verdicts) told.commit(verdict)
  expect(told.decide()).toEqual([expect.stringMatching(/^urgent#1 will sit .* when these have left: train \(/)])
})

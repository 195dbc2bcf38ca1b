import { expect, test } from 'vitest'
import { createScheduler } from './scheduler.ts'
import { Story } from './story.fixture.ts'

/** `low` and `other` hold all that queue `q` may; `urgent` is to sit where `low` does, which is deleted before its pods end. */
function deletedWhileItLeaves() {
  const scheduler = createScheduler()
  const told = new Story(scheduler)
  told.node('a', 'H100:2')
  told.node('b', 'H100:2')
  told.queue('q', { nominalQuota: { H100: 4 } })
  told.gang('other', '1xH100:2', { queue: 'q' })
  told.gang('low', '1xH100:2', { queue: 'q', priority: -1, attempt: 2 })
  told.decide()
  for (const name of ['other', 'low']) told.run(name)
  told.gang('urgent', '1xH100:2', { queue: 'q', priority: 5 })
  expect(told.decide()).toEqual([expect.stringMatching(/^urgent#1 will sit .* when these have left: low \(InQueue\)$/)])
  told.apply({ kind: 'Gang', deleted: 'default/low' })
  const usage = () => scheduler.quota.usage('q', 'H100') / 1000
  return { told, usage }
}

test('what a gang held that was leaving when it was deleted is given back to its queue once', () => {
  const { told, usage } = deletedWhileItLeaves()
  expect(usage()).toBe(4)
  told.end('low-worker-0-2')
  told.decide()
  expect(usage()).toBe(4)
})

test('what its pods still hold is waited for; nobody else is asked to leave instead', () => {
  const { told } = deletedWhileItLeaves()
  expect(told.decide()).toEqual([])
  told.end('low-worker-0-2')
  expect(told.decide()).toEqual([expect.stringMatching(/^urgent#1 sits 0@b/)])
})

test('so they are where another of its name has come meanwhile, whose own pods are not waited for', () => {
  const { told } = deletedWhileItLeaves()
  told.node('c', 'H100:2', { labels: { at: 'c' } })
  told.queue('apart')
  told.gang('low', '1xH100:2', { queue: 'apart', priority: 9 }, { nodeSelector: { at: 'c' } })
  expect(told.decide()).toEqual(['low#1 sits 0@c/H100-0+H100-1:20000'])
  told.run('low')
  expect(told.decide()).toEqual([])
  told.end('low-worker-0-2')
  expect(told.decide()).toEqual([expect.stringMatching(/^urgent#1 sits 0@b/)])
})

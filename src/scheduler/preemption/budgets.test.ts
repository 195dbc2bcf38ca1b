import { expect, test } from 'vitest'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'

/** Three replicas of which two have to be ready, on all that there is; `second` and `third` are of higher priority. */
function served(): Story {
  const told = new Story(createScheduler(), { runsPods: true })
  told.queue('default')
  told.node('a', 'H100:3')
  for (const name of ['r0', 'r1', 'r2']) {
    told.gang(name, '1xH100:1', { disruptionBudget: { of: 'chat', minAvailable: 2 } })
  }
  told.decide()
  return told
}

function setReady(told: Story, gang: string, isReady: boolean): void {
  const pod = [...told.pods.values()].find(({ metadata }) => metadata.name.startsWith(gang))
  if (pod === undefined) throw new Error(`${gang} has no pod`)
  told.pod({ ...pod, status: { ...pod.status, conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] } })
}

test('a replica that is not ready lets no other go, and may go itself as long as enough are', () => {
  const told = served()
  setReady(told, 'r1', false)
  told.gang('urgent', '1xH100:1', { priority: 1 })
  expect(told.decide()).toEqual(['urgent#1 will sit 0@a/H100-1:20003 when these have left: r1 (InQueue)'])
})

test('when fewer are ready than have to be, none goes; as soon as enough are, one does', () => {
  const told = served()
  setReady(told, 'r0', false)
  setReady(told, 'r1', false)
  told.gang('urgent', '1xH100:1', { priority: 1 })
  expect(told.decide()).toEqual([
    'urgent waits: DisruptionBudget: needs 1 × H100:1 at once; service/chat can spare no more replicas (disruptionBudget)',
  ])
  setReady(told, 'r0', true)
  expect(told.decide()).toEqual(['urgent#1 will sit 0@a/H100-1:20003 when these have left: r1 (InQueue)'])
})

test('whoever leaves already counts as gone', () => {
  const told = served()
  told.gang('urgent', '1xH100:1', { priority: 1 })
  told.decide()
  told.gang('second', '1xH100:1', { priority: 1 })
  expect(told.decide()).toEqual([
    'second waits: DisruptionBudget: needs 1 × H100:1 at once; service/chat can spare no more replicas (disruptionBudget)',
  ])
})

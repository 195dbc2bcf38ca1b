import { describe, expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { type GangState, newState } from '../gangs.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'
import { Budgets } from './budgets.ts'

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

describe('what is known of those that share a budget', () => {
  function known() {
    const [gangs, pods] = [new Map<string, GangState>(), new Map<string, Pod>()]
    const budgets = new Budgets(gangs, pods)
    const tell = (state: GangState, spec: Partial<Gang['spec']> = {}, metadata: Partial<Gang['metadata']> = {}) => {
      const { object } = state
      state.object = { ...object, metadata: { ...object.metadata, ...metadata }, spec: { ...object.spec, ...spec } }
      return budgets.follow(state)
    }
    /** A replica that sits, of a service of which so many have to be ready. */
    const replica = (key: string, of = 'chat', minAvailable: number | string = 1) => {
      const gang = gangNamed(key.slice(key.indexOf('/') + 1), [groupOf(1)], { disruptionBudget: { of, minAvailable } })
      const member = { pod: 'p', group: 'worker', rank: 0, localRank: 0, node: 'a', devices: [], ports: [] }
      const seats = { attempt: 1, epoch: 1, at: '', masterAddr: '', masterPort: 1, members: [member] }
      const state = newState(key, { ...gang, status: { conditions: [], checkpoints: [], seats } })
      gangs.set(key, state)
      return state
    }
    return { budgets, gangs, pods, tell, replica }
  }

  test('the replicas of one service in one namespace share it', () => {
    const { budgets, tell, replica } = known()
    const [a, b] = [replica('ns/a'), replica('ns/b')]
    for (const one of [a, b, replica('ns/c', 'other'), replica('nt/d')]) tell(one)
    expect(budgets.leftOf(a)).toBe(1)
    expect(budgets.leftOf(b)).toBe(1)
  })

  test('a share is one of all that want seats: not of those that are suspended or being deleted', () => {
    const { budgets, tell, replica } = known()
    const all = ['a', 'b', 'c', 'd'].map((name) => replica(`ns/${name}`, 'chat', '50%'))
    const [first = replica('ns/none'), second = first, third = first] = all
    for (const one of all) tell(one)
    expect(budgets.leftOf(first)).toBe(2)
    tell(second, { suspend: true })
    expect(budgets.leftOf(first), '3 ready, 2 needed of 3').toBe(1)
    tell(third, {}, { deletionTimestamp: '2026-01-01T00:00:00Z' })
    expect(budgets.leftOf(first), '3 ready, 1 needed of 2').toBe(2)
  })

  test('whoever waits, leaves, moves, or was asked to leave is not ready', () => {
    const { budgets, tell, replica } = known()
    const a = replica('ns/a')
    tell(a)
    expect(budgets.isReady(a)).toBe(true)
    expect(budgets.isReady({ ...a, leaving: true })).toBe(false)
    expect(budgets.isReady({ ...a, moving: { attempt: 2, members: [] } })).toBe(false)
    tell(a, { attempt: 2 })
    expect(budgets.isReady(a), 'its seats are void').toBe(false)
    tell(a, { attempt: 1 })
    const eviction = { attempt: 1, by: 'ns/other', reason: 'InQueue', message: '', at: '' } as const
    const { status = { conditions: [], checkpoints: [] } } = a.object
    a.object = { ...a.object, status: { ...status, eviction } }
    expect(budgets.isReady(a)).toBe(false)
    a.object = { ...a.object, status: { ...status, eviction: { ...eviction, attempt: 7 } } }
    expect(budgets.isReady(a), 'that was another attempt').toBe(true)
  })

  test('a change that matters to the others is told, once', () => {
    const { budgets, gangs, pods, tell, replica } = known()
    const [a, b] = [replica('ns/a'), replica('ns/b')]
    expect([tell(a), tell(b)]).toEqual([true, true])
    expect(tell(a)).toBe(false)
    expect(tell(a, { priority: 3 })).toBe(false)
    const pod = (status: 'True' | 'False'): Pod => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'ns' },
      spec: { containers: [] },
      status: { conditions: [{ type: 'Ready', status }] },
    })
    pods.set('ns/p', pod('False'))
    expect([tell(a), tell(a)]).toEqual([true, false])
    pods.set('ns/p', pod('True'))
    expect(tell(a)).toBe(true)
    expect(tell(a, { disruptionBudget: { of: 'chat', minAvailable: 2 } })).toBe(true)
    expect(gangs.size).toBe(2)
    expect(budgets.leftOf(b)).toBe(1)
  })

  test('whoever goes, or belongs to another service by now, is counted no more', () => {
    const { budgets, tell, replica } = known()
    const [a, b, c] = [replica('ns/a'), replica('ns/b'), replica('ns/c')]
    for (const one of [a, b, c]) tell(one)
    expect(budgets.leftOf(a)).toBe(2)
    expect(tell(b, { disruptionBudget: { of: 'other', minAvailable: 0 } })).toBe(true)
    expect([budgets.leftOf(a), budgets.leftOf(b)]).toEqual([1, 1])
    const { disruptionBudget: _, ...free } = c.object.spec
    c.object = { ...c.object, spec: free }
    expect([budgets.follow(c), budgets.follow(c)]).toEqual([true, false])
    expect(budgets.leftOf(a)).toBe(0)
    expect([budgets.forget('ns/b'), budgets.forget('ns/b')]).toEqual([true, false])
    expect(budgets.leftOf(b)).toBe(0)
  })
})

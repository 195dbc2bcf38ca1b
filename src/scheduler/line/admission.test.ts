import { expect, test } from 'vitest'
import type { Queue } from '../../model/kinds/queue.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { queueNamed, type Spec } from '../quota/quota.fixture.ts'
import { QuotaTree } from '../quota/tree.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'
import { mayEverHold, modelsOf, queueBlock, quotaLeft } from './admission.ts'

function queues(spec: Spec): ReadonlyMap<string, Queue> {
  return new Map([['q', queueNamed('q', spec)]])
}

function gang(models: readonly string[], preemptible = true) {
  const accelerators = models.map((model) => ({ model, count: 1 }))
  return gangNamed('g', [groupOf(1, { accelerators })], { queue: 'q', preemptible })
}

function fleetOf(...models: string[]) {
  const scheduler = createScheduler()
  const told = new Story(scheduler)
  for (const model of models) told.node(model.toLowerCase(), `${model}:4`)
  return scheduler.fleet
}

test('a queue lets nothing start that is missing, stopped, or not for the namespace', () => {
  const reason = (spec: Spec, namespace?: string) => {
    const { metadata, ...more } = gang(['H100'])
    const blocked = queueBlock(queues(spec), { ...more, metadata: { name: 'g', namespace } })
    return blocked?.kind === 'queue' ? blocked.reason : undefined
  }
  expect(queueBlock(new Map(), gang(['H100']))).toMatchObject({ kind: 'queue', reason: 'QueueMissing' })
  expect(reason({ namespaces: ['a', 'b'] }, 'b')).toBeUndefined()
  expect(reason({ namespaces: ['a', 'b'] }, 'c')).toBe('NamespaceNotAllowed')
  expect(reason({ namespaces: ['*'] }, 'c')).toBeUndefined()
  expect(reason({ namespaces: ['default'] })).toBeUndefined()
  expect(reason({ stopPolicy: 'Hold' })).toBe('QueueStopped')
  expect(reason({ stopPolicy: 'HoldAndDrain' })).toBe('QueueStopped')
})

test('what a queue leaves it is told by model; what the nodes alone limit is not there', () => {
  const fleet = fleetOf('H100', 'A100')
  const quota = new QuotaTree()
  quota.set(queueNamed('q', { nominalQuota: { H100: 4 } }))
  quota.setCapacity('A100', 4000)
  quota.add('q', 'H100', 1000)
  expect(quotaLeft(quota, fleet, gang(['H100', 'A100']))).toEqual(new Map([['H100', 3000]]))
  expect(quotaLeft(quota, fleet, gang(['A100']))).toEqual(new Map())
  quota.addFirm('q', 'H100', 2000)
  expect(quotaLeft(quota, fleet, gang(['H100'], false))).toEqual(new Map([['H100', 2000]]))
  expect(quotaLeft(quota, fleet, gang(['H100']))).toEqual(new Map([['H100', 3000]]))
})

test('what is not preemptible is never let in by others who leave if firm work holds its queue’s own', () => {
  const quota = new QuotaTree()
  quota.set(queueNamed('q', { nominalQuota: { H100: 4, A100: 1 } }))
  quota.addFirm('q', 'H100', 2000)
  const may = (milli: number, preemptible: boolean) =>
    mayEverHold(quota, gang(['H100'], preemptible), new Map([['H100', milli]]))
  expect([may(2000, false), may(2001, false), may(9000, true)]).toEqual([true, false, true])
  const both = new Map([
    ['A100', 1000],
    ['H100', 2001],
  ])
  expect(mayEverHold(quota, gang(['A100'], false), both)).toBe(false)
})

test('any GPU means every model that there is; else each that is named, once', () => {
  const fleet = fleetOf('H100', 'A100')
  expect(modelsOf(gang(['A100', 'H100']), fleet)).toEqual(['A100', 'H100'])
  const group = groupOf(1, { accelerators: [{ model: 'A100', count: 1 }] })
  expect(modelsOf(gangNamed('g', [group, group]), fleet)).toEqual(['A100'])
  expect([...modelsOf(gang(['L40S', 'gpu']), fleet)].toSorted()).toEqual(['A100', 'H100'])
})

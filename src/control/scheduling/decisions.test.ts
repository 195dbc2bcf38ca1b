import { expect, test } from 'vitest'
import type { Change } from '../../scheduler/contract.ts'
import { DecisionRecord } from './decisions.fixture.ts'
import { createDecisionLog } from './decisions.ts'

const queue = (name: string): Change => ({
  kind: 'Queue',
  object: {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Queue',
    metadata: { name },
    spec: { namespaces: ['*'], weight: 1, stopPolicy: 'None' },
  },
})

test('a record that begins anew begins with all that was known', () => {
  const record = new DecisionRecord(4)
  const decisions = createDecisionLog(1, record)
  for (const name of ['a', 'b', 'c']) {
    decisions.told(queue(name))
    decisions.decided(0, [])
  }
  decisions.told({ kind: 'Queue', deleted: 'a' })
  decisions.decided(0, [])
  expect(record.lines.map((line) => Object.keys(line)[0])).toEqual([
    'epoch',
    'inputs',
    'inputs',
    'inputs',
    'base',
    'inputs',
  ])
  expect(record.lines[4]).toEqual({ base: [queue('a'), queue('b'), queue('c')] })
})

test('what pods run is not recorded, nor their environment', () => {
  const record = new DecisionRecord()
  const decisions = createDecisionLog(1, record)
  const container = { name: 'main', command: ['train'], env: [{ name: 'TOKEN', value: 'secret' }] }
  const resources = { requests: { cpu: '2' } }
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { nodeName: 'n', containers: [{ ...container, resources }] },
  }
  decisions.told({ kind: 'Pod', object: pod } as Change)
  decisions.decided(0, [])
  expect(JSON.stringify(record.lines)).not.toMatch(/secret|train/)
  expect(record.lines[1]).toMatchObject({
    inputs: [{ change: { object: { spec: { nodeName: 'n', containers: [{ name: 'main', resources }] } } } }],
  })
})

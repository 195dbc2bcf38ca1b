import { expect, it } from 'vitest'
import type { Gang } from '../model/kinds/gang.ts'
import type { Node } from '../model/kinds/kubernetes.ts'
import { trainingJob } from '../model/kinds/training-job.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { acceleratorsInUse, shownJobs, troubleOf } from './commands/status.ts'

const at = (minute: number) => new Date(minute * 60_000).toISOString()
const job = (name: string, phase: string, minute: number) =>
  trainingJob.parse({
    apiVersion: millwrightVersion,
    kind: 'TrainingJob',
    metadata: { name, creationTimestamp: at(minute) },
    spec: { command: ['true'] },
    status: { phase, completionTime: at(minute) },
  })

it('status shows what runs and waits first, then the last ten that finished, and counts the others', () => {
  const finished = Array.from({ length: 12 }, (_, i) => job(`f${i}`, i % 2 === 0 ? 'Succeeded' : 'Failed', i))
  const { jobs, hidden } = shownJobs([...finished, job('new', 'Waiting', 30), job('old', 'Running', 20)])
  expect(jobs.map((one) => one.metadata.name).slice(0, 4)).toEqual(['old', 'new', 'f11', 'f10'])
  expect(jobs).toHaveLength(12)
  expect(hidden).toBe(2)
})

it('status says why a node takes no work', () => {
  const node = (status: 'True' | 'Unknown', annotations = {}): Node => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n', annotations },
    spec: { unschedulable: Object.keys(annotations).length > 0 },
    status: { conditions: [{ type: 'Ready', status, message: 'its agent was not heard of for 40 s' }] },
  })
  expect(troubleOf(node('True'), 0)).toEqual([])
  expect(troubleOf(node('Unknown'), 0)).toEqual(['node/n: its agent was not heard of for 40 s'])
  expect(troubleOf(node('True', { 'millwright.dev/cordoned-because': 'it fails one gang after another' }), 0)).toEqual([
    'node/n was closed by recovery: it fails one gang after another (millwright uncordon n)',
  ])
})

it('status and describe tell of an open node that is more than half way to a lemon', () => {
  const failed = (hours: number[]) =>
    JSON.stringify(hours.map((hour) => ({ atMs: hour * 3_600_000, gang: `g${hour}`, kind: 'lost' })))
  const node = (hours: number[]): Node => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n', annotations: { 'millwright.dev/failures': failed(hours) } },
  })
  expect(troubleOf(node([1, 2]), 3 * 3_600_000)).toEqual([])
  expect(troubleOf(node([1, 2, 3]), 3 * 3_600_000)).toEqual([
    'node/n fails often: 3 of 5 points within 7d: 3 failed among others',
  ])
  expect(troubleOf(node([1, 2, 3]), 8 * 86_400_000)).toEqual([])
})

it('status counts a share of an accelerator as a share', () => {
  const gang = (milli: number): Gang => {
    const devices = [{ id: 'cpu0', milli }]
    const members = [{ pod: 'p', group: 'worker', rank: 0, localRank: 0, node: 'n', devices, ports: [] }]
    return {
      apiVersion: millwrightVersion,
      kind: 'Gang',
      metadata: { name: 'g' },
      spec: { attempt: 1, queue: 'default', priority: 0, preemptible: true, suspend: false, groups: [] },
      status: {
        conditions: [],
        checkpoints: [],
        restartSeconds: 5,
        seats: { attempt: 1, epoch: 1, at: at(0), masterAddr: '', masterPort: 1, members },
      },
    }
  }
  expect(acceleratorsInUse([gang(500), gang(500), gang(500), gang(1000)]).get('n')).toBe(2.5)
})

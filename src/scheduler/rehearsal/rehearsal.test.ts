import { expect, test } from 'vitest'
import { gangOfJob } from '../../model/gangs.ts'
import { trainingJob } from '../../model/kinds/training-job.ts'
import { label } from '../../model/names.ts'
import type { Scheduler, Verdict } from '../contract.ts'
import { createScheduler } from '../scheduler.ts'
import { type Happening, Rehearsal } from './rehearsal.ts'

function factory(scheduler: Scheduler = createScheduler()): Rehearsal {
  const world = new Rehearsal(scheduler, { nowMs: Date.parse('2026-01-01T00:00:00Z') })
  const metadata = { name: 'a', labels: { [label.accelerator]: 'H100' } }
  world.put({ apiVersion: 'v1', kind: 'Node', metadata, status: { allocatable: { 'nvidia.com/gpu': 8 } } })
  const spec = { namespaces: ['*'], weight: 1, stopPolicy: 'None' as const }
  world.put({ apiVersion: 'millwright.dev/v1alpha1', kind: 'Queue', metadata: { name: 'default' }, spec })
  return world
}

function apply(world: Rehearsal, name: string, more: object = {}): void {
  const job = {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name, namespace: 'default' },
    spec: { command: ['x'], resources: { accelerators: 'H100:8' }, ...more },
  }
  world.put(gangOfJob(trainingJob.parse(job)))
}

const told = (course: readonly Happening[]) =>
  course.map((one) => (one.kind === 'decided' ? `${one.verdict.kind} ${one.verdict.gang}` : `${one.kind} ${one.gang}`))

test('a seat runs a pod, which holds what the seat names', () => {
  const world = factory()
  apply(world, 'g')
  expect(told(world.play())).toEqual(['bind default/g'])
  expect(world.pods.get('default/g-worker-0-1')).toMatchObject({
    spec: { nodeName: 'a' },
    status: { phase: 'Running' },
  })
  expect(world.play()).toEqual([])
})

test('whoever is displaced leaves, gives its seats back and stands in line as the next attempt; the cause sits', () => {
  const world = factory()
  apply(world, 'low')
  world.play()
  apply(world, 'high', { priority: 1 })
  expect(told(world.play())).toEqual([
    'preempt default/high',
    'left default/low',
    'release default/low',
    'bind default/high',
    'wait default/low',
  ])
  expect(world.gangOf('default/low')).toMatchObject({ spec: { attempt: 2, suspend: false } })
  expect(world.gangOf('default/low').status).not.toHaveProperty('eviction')
  expect(world.gangOf('default/high').status).not.toHaveProperty('hold')
  expect(world.pods.get('default/low-worker-0-1')?.status?.phase).toBe('Failed')
})

test('between the two, the hold and the eviction are what the control plane writes', () => {
  const world = factory()
  apply(world, 'low')
  world.play()
  world.slow.add('default/low')
  apply(world, 'high', { priority: 1 })
  expect(told(world.play())).toEqual(['preempt default/high'])
  expect(world.gangOf('default/high').status?.hold).toMatchObject({
    attempt: 1,
    members: [{ pod: 'high-worker-0-1', node: 'a' }],
    victims: [{ gang: 'default/low', uid: world.gangOf('default/low').metadata.uid, attempt: 1 }],
  })
  expect(world.gangOf('default/low').status?.eviction).toMatchObject({
    attempt: 1,
    by: 'default/high',
    reason: 'InQueue',
  })
})

test('gangs end when they are expected to, one after another', () => {
  const world = factory()
  apply(world, 'first', { expectedSeconds: 60 })
  apply(world, 'second', { expectedSeconds: 60 })
  world.play()
  expect(told(world.advance(59_000))).toEqual([])
  expect(told(world.advance(61_000))).toEqual([
    'ended default/first',
    'release default/first',
    'bind default/second',
    'ended default/second',
    'release default/second',
  ])
  expect(new Date(world.nowMs).toISOString()).toBe('2026-01-01T00:02:00.000Z')
})

test('a verdict on an older gang is stale and changes nothing', () => {
  const world = factory()
  apply(world, 'g')
  const [verdict] = world.scheduler.decide(world.nowMs)
  world.edit('default/g', { priority: 3 })
  if (verdict !== undefined) world.commit(verdict)
  expect(world.gangOf('default/g').status).toBeUndefined()
  expect(told(world.play())).toEqual(['bind default/g'])
})

test('a scheduler that finds no rest is told so', () => {
  const endless: Scheduler = {
    apply: () => {},
    settle: () => {},
    decide: (): Verdict[] => [
      { kind: 'wait', gang: 'default/x', resourceVersion: '', attempt: 1, reason: 'R', message: '' },
    ],
    why: () => {
      throw new Error('not asked')
    },
  }
  expect(() => factory(endless).play()).toThrow('the scheduler finds no rest in 1000 rounds; last: wait default/x')
})

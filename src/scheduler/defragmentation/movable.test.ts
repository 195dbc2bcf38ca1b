import { describe, expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation, label } from '../../model/names.ts'
import { claimsOf } from '../fit/seats.ts'
import { Fleet } from '../fleet/fleet.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { type GangState, newState } from '../gangs.ts'
import { queueNamed } from '../quota/quota.fixture.ts'
import { QuotaTree } from '../quota/tree.ts'
import { type Movable, Movables } from './movable.ts'

const satAt = '2026-01-01T00:00:00Z'
/** Ten restarts of thirty seconds after it sat down. */
const restedMs = Date.parse(satAt) + 300_000
const members = [0, 1].map((rank) => ({
  pod: `g-worker-${rank}-1`,
  group: 'worker',
  rank,
  localRank: 0,
  node: 'a',
  devices: [{ id: `g${rank}`, milli: 1000 }],
  ports: [],
}))
const seats = { attempt: 1, masterAddr: '127.0.0.1', masterPort: 1, epoch: 1, at: satAt, members }

interface Asked {
  spec?: Partial<Gang['spec']>
  metadata?: Partial<Gang['metadata']>
  status?: Partial<NonNullable<Gang['status']>>
  state?: Partial<GangState>
  /** Who waits. */
  for?: Partial<Gang['spec']>
  afterMs?: number
  /** Free accelerators on the node. */
  free?: number
  /** A queue that lets nobody in. */
  stopped?: string
}

/** A gang of two that sits, as one that another could ask to move. */
function movable({ spec, metadata, status, state, for: waiting, afterMs = restedMs, free = 1, stopped }: Asked = {}) {
  const fleet = new Fleet()
  fleet.setNode(nodeWith(2 + free))
  const quota = new QuotaTree()
  for (const name of ['default', 'other', 'top']) quota.set(queueNamed(name))
  quota.set(queueNamed('team', { parent: 'top' }))
  quota.set(
    queueNamed('slow', {
      parent: 'top',
      preemption: { withinQueue: 'LowerPriority', reclaimWithinCohort: 'Any', minRunSeconds: 1000 },
    }),
  )
  const plain = gangNamed('g', [groupOf(2, { ports: 0, accelerators: [{ model: 'H100', count: 1 }] })], spec)
  const object: Gang = {
    ...plain,
    metadata: { ...plain.metadata, labels: { [label.job]: 'g' }, ...metadata },
    status: { conditions: [], checkpoints: [], seats, ...status },
  }
  for (const [pod, claim] of claimsOf(object, seats, () => 'H100')) fleet.setClaim(pod, 'seat', claim)
  const gangs = new Map([['default/g', { ...newState('default/g', object), seats, ...state }]])
  const stopPolicy = (name: string) => (name === stopped ? 'Hold' : 'None')
  const queues = new Map(
    ['default', 'other', 'top', 'team', 'slow'].map((name) => [
      name,
      queueNamed(name, { stopPolicy: stopPolicy(name) }),
    ]),
  )
  const scene = { fleet, quota, queues, gangs, livePodsOf: () => new Set<string>() }
  const movables = new Movables(scene, gangNamed('waits', [groupOf(1)], waiting), afterMs)
  return { movables, found: movables.get('default/g') }
}

function nodeWith(gpus: number): Node {
  const devices = Array.from({ length: gpus }, (_, at) => ({ id: `g${at}`, model: 'H100', healthy: true }))
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'a', annotations: { [annotation.nodeDevices]: JSON.stringify(devices) } },
    status: { allocatable: { cpu: '8', memory: '8Gi' } },
  }
}

const may = (asked?: Asked) => movable(asked).found !== undefined
const victims = [{ gang: 'default/v', uid: 'v', attempt: 1, reason: 'InQueue' as const, lostSeconds: 0 }]
const hold = { attempt: 2, epoch: 1, at: satAt, members, victims }
const service = { labels: { [label.service]: 'chat' } }
const verdict = { kind: 'release' as const, gang: 'default/g', resourceVersion: '', attempt: 1 }

test('who sits undisturbed may move, at the price of its work since and of starting again', () => {
  expect(movable().found).toMatchObject({ key: 'default/g', price: 2 * (300 + 30), seats })
  expect(movable({ status: { seats: { ...seats, speed: 0.5 } } }).found?.price).toBe(330)
})

test('nobody moves who is not known, or was left out', () => {
  const { movables, found } = movable()
  expect(found).toBeDefined()
  expect(movables.get('default/nobody')).toBeUndefined()
  movables.leaveOut('default/g')
  expect(movables.get('default/g')).toBeUndefined()
})

describe('nobody moves who', () => {
  const shrinking = { attempt: 1, epoch: 1, at: satAt, for: 'default/v', reason: 'InQueue' as const }
  test.each<[string, Asked]>([
    ['must not be displaced', { spec: { preemptible: false } }],
    ['is of another tree', { spec: { queue: 'other' } }],
    ['would not be let in again', { stopped: 'default' }],
    ['has a higher priority', { spec: { priority: 1 } }],
    ['was served less than who waits', { for: { served: 1 } }],
    ['has a disruption budget', { spec: { disruptionBudget: { name: 'b', minAvailable: 1 } as never } }],
    ['does not sit', { status: { seats: undefined } as never }],
    ['is being decided about', { state: { inFlight: { verdict } } }],
    ['leaves for another', { state: { leaving: true } }],
    ['moves already', { state: { moving: hold } }],
    ['is suspended', { spec: { suspend: true } }],
    ['is deleted', { metadata: { deletionTimestamp: satAt } }],
    ['starts its next attempt', { spec: { attempt: 2 } }],
    ['was asked to leave', { status: { eviction: shrinking as never } }],
    ['grows', { status: { resize: { attempt: 1, members: [], epoch: 1, at: satAt } as never } }],
    ['has sat for less than ten restarts', { afterMs: restedMs - 1 }],
    ['restarts slowly, and has sat for less than ten times that', { status: { restartSeconds: 31 } }],
    ['has sat for less than its minimum run time', { spec: { queue: 'slow' }, for: { queue: 'slow' } }],
  ])('%s', (_, asked) => expect(may(asked)).toBe(false))
})

describe('who may move as well:', () => {
  test.each<[string, Asked]>([
    ['one of a lower priority', { spec: { priority: -1 } }],
    ['one that was served more', { spec: { served: 1 } }],
    ['one of another queue of the tree', { spec: { queue: 'team' }, for: { queue: 'top' } }],
    ['one that restarts fast', { status: { restartSeconds: 20 }, afterMs: restedMs - 100_000 }],
    [
      'one that has sat for its minimum run time',
      { spec: { queue: 'slow' }, for: { queue: 'slow' }, afterMs: restedMs + 700_000 },
    ],
    ['one of which an earlier attempt was asked to leave', { status: { eviction: { attempt: 0 } as never } }],
    ['one of which an earlier attempt grew', { status: { resize: { attempt: 0 } as never } }],
    ['a replica of a higher priority', { metadata: service, spec: { priority: 100 } }],
    [
      'a replica with a disruption budget',
      { metadata: service, spec: { disruptionBudget: { name: 'b', minAvailable: 1 } as never } },
    ],
  ])('%s', (_, asked) => expect(may(asked)).toBe(true))

  test('a replica loses only the time that it is there twice', () => {
    expect(movable({ metadata: service }).found?.price).toBe(2 * 30)
    expect(movable({ metadata: service, status: { seats: { ...seats, speed: 0.5 } } }).found?.price).toBe(30)
    expect(may({ metadata: service, spec: { preemptible: false } })).toBe(false)
    expect(may({ metadata: service, spec: { queue: 'other' } })).toBe(false)
  })
})

test('it has room elsewhere as long as one of its members has', () => {
  const hasRoom = (free: number, groups: Gang['spec']['groups'][number][]) => {
    const { movables, found } = movable({ free, spec: { groups } })
    return found === undefined ? undefined : movables.hasRoomElsewhere(found as Movable)
  }
  const asking = (count: number, name = 'worker') =>
    groupOf(2, { name, ports: 0, accelerators: [{ model: 'H100', count }] })
  expect(hasRoom(1, [asking(1)])).toBe(true)
  expect(hasRoom(0, [asking(1)])).toBe(false)
  expect(hasRoom(1, [asking(2)])).toBe(false)
  expect(hasRoom(1, [asking(2), asking(1, 'small')])).toBe(true)
})

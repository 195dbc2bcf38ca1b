import type { NodeDescription } from '../../agent/contract.ts'
import type { Random } from '../../base/random.ts'
import { inferenceService } from '../../model/kinds/inference-service.ts'
import { type Queue, queue } from '../../model/kinds/queue.ts'
import { trainingJob } from '../../model/kinds/training-job.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { label } from '../../model/names.ts'
import { type Draw, drawFrom } from '../draw.ts'
import type { Performance } from '../work/workload.ts'
import type { Arrival } from './arrival.ts'
import { drawTraffic, type GatewayFault, type HistoryTraffic, ofGateway } from './traffic.ts'

/** What happens in one history, all of it: a function of the seed. */
export interface History {
  /** Left out: the twin's own. */
  startMs?: number
  nodes: NodeDescription[]
  queues: Queue[]
  /** Control planes that stand by. */
  standbys: number
  leaseSeconds: number
  fencing: boolean
  /** How often the ledger writes its pages; left out: every ten seconds, and after each change. */
  ledgerEveryMs?: number
  /** Changes that the store keeps for watchers. */
  history: number
  /** Most that an answer or event is late, and how often it is. */
  delay: { chance: number; msMax: number }
  arrivals: Arrival[]
  faults: Fault[]
  /** Requests, while there are faults. */
  traffic?: HistoryTraffic[]
  /** When faults end, and what is broken is mended. */
  safetyMs: number
}

export type Fault = { atMs: number; forMs: number } & (
  | { kind: 'crash control' | 'pause control' | 'cut control' | 'break control' | 'pause standby' | 'cut standby' }
  /** The store starts anew: all watches of all processes end. */
  | { kind: 'break all' }
  /** At its n-th write from then on, before or after it got through; `of`: of that kind. Left out: at anybody's. */
  | { kind: 'crash control at write'; writes: number; point: 'before' | 'after'; of?: 'any' | 'Gang' | 'Pod' }
  /** Between its last look at its lease and its n-th write: that goes out when it wakes. */
  | { kind: 'pause control at write'; writes: number }
  | { kind: 'crash agent at write'; node: string; writes: number; point: 'before' | 'after' }
  | {
      kind:
        | 'crash agent'
        | 'pause agent'
        | 'cut agent'
        | 'break agent'
        | 'lose node'
        | 'lose rack'
        | 'cut rack'
        | 'slow node'
        /** What starts there ends soon, again and again. */
        | 'lemon'
        /** Its agent is replaced, and then one that runs there hangs. */
        | 'hang under a new agent'
        /** It says that it will be gone soon, and is not. */
        | 'warn node'
      node: string
    }
  /** `node`: of those that run there. */
  | { kind: 'kill rank' | 'hang rank' | 'fail rank'; pick: number; node?: string }
  /** One of the next gang that is asked to stop, so long after that. */
  | { kind: 'kill rank at stop'; afterMs: number; pick: number }
  /** So long after others are next to leave for a gang, all at once. */
  | { kind: 'at hold'; afterMs: number; acts: AtHold[] }
  | { kind: 'crash ledger' | 'pause ledger' | 'cut ledger' | 'break ledger' }
  /** An object of storage is not what was written. */
  | { kind: 'rot checkpoint'; pick: number }
  /** As in scenarios. */
  | { kind: 'storage-slow'; slowness: number }
  | { kind: 'storage-outage' | 'storage-full' }
  | { kind: 'network-flap'; node: string }
  | { kind: 'network-partition'; node: string; reach?: 'rack' }
  /** What people do. */
  | { kind: 'suspend job' | 'evict pod'; pick: number }
  | { kind: 'cordon node'; node: string }
  | { kind: GatewayFault['kind'] }
)

/** `label victim`: somebody writes to it again and again. */
const atHold = ['crash control', 'suspend holder', 'suspend victim', 'kill victim', 'label victim'] as const
export type AtHold = (typeof atHold)[number]

export function drawHistory(random: Random): History {
  const fleet = drawFrom(random.split('fleet'))
  const line = drawFrom(random.split('line'))
  const sharing = drawFrom(random.split('sharing'))
  const isScattered = sharing.chance(0.15)
  const drawn = Array.from({ length: fleet.int(2, 6) }, (_, index) => nodeNamed(`n${index}`, fleet))
  const nodes = isScattered ? drawn.slice(0, 2).map((node) => ({ ...node, slots: slotsMax })) : drawn
  const drawnQueues = drawQueues(drawFrom(random.split('queues')), sharing, nodes)
  const queues = isScattered ? queuesOfMovers(nodes) : drawnQueues
  const safetyMs = 1000 * fleet.int(300, 1200)
  const shape = drawFrom(random.split('shapes'))
  const fencing = fleet.chance(0.7)
  const isSlow = fencing && line.chance(0.2)
  const work = drawArrivals(drawFrom(random.split('work')), queues, nodes, safetyMs).map((one) =>
    isScattered ? scattered(shape, one, safetyMs) : shaped(shape, one, nodes),
  )
  const { arrivals, traffic, faults } = drawTraffic(drawFrom(random.split('requests')), work, safetyMs)
  const ledgerEveryMs = line.one([0, 30_000, 30_000, 30_000, 30_000])
  return {
    // Hours begin and end within histories.
    startMs: dayMs + line.int(0, 3_600_000),
    nodes,
    queues,
    standbys: fleet.one([0, 1, 1, 2]),
    leaseSeconds: fleet.one([4, 15, 15]),
    fencing,
    ...(ledgerEveryMs === 0 ? {} : { ledgerEveryMs }),
    history: fleet.one([10, 100, 10_000]),
    delay: isSlow
      ? { chance: line.one([0.01, 0.05]), msMax: slowMs }
      : line.chance(0.25)
        ? { chance: 0, msMax: 0 }
        : { chance: line.one([0.05, 0.3, 1]), msMax: line.one([20, 300, 1000]) },
    arrivals,
    faults: [
      ...drawFaults(drawFrom(random.split('faults')), nodes, safetyMs, fencing),
      ...drawSlow(drawFrom(random.split('slow')), nodes, safetyMs),
      ...faults,
      ...drawStorageFaults(drawFrom(random.split('storage')), safetyMs),
      ...drawNetworkFaults(drawFrom(random.split('network')), nodes, safetyMs),
    ],
    ...(traffic === undefined ? {} : { traffic }),
    safetyMs,
  }
}

/** Longer than a lease: what a leader sent arrives when another leads. Only fences keep it out. */
const slowMs = 15_000

const slotsMax = 4
const rackNames = ['r0', 'r1'] as const

/** 2026-01-01. */
const dayMs = 1_767_225_600_000

function nodeNamed(name: string, draw: Draw): NodeDescription {
  return {
    name,
    pool: 'local',
    labels: { [label.rack]: draw.one(rackNames), [label.block]: 'b0' },
    cpuMilli: 64_000,
    memoryBytes: 256e9,
    slots: draw.int(1, slotsMax),
    podsMax: 110,
    gpus: [],
    ports: { from: 20_000, to: 20_099 },
    address: `10.0.0.${1 + Number(name.slice(1))}`,
    info: {},
  }
}

/** One queue without limits, or a tree whose leaves own parts of the fleet. */
function drawQueues(draw: Draw, sharing: Draw, nodes: readonly NodeDescription[]): Queue[] {
  const slots = nodes.reduce((sum, node) => sum + node.slots, 0)
  if (draw.chance(0.4)) return []
  const first = draw.int(0, slots)
  return [
    queueNamed('root', {
      ...(sharing.chance(0.5) ? { defragmentation: { maxPrice: sharing.one([0.25, 10, 1000]) } } : {}),
      ...(sharing.chance(0.25) ? { fairSharing: false } : {}),
    }),
    queueNamed('left', { parent: 'root', nominalQuota: { cpu: first }, ...order(sharing), ...preemption(draw) }),
    queueNamed('right', {
      parent: 'root',
      nominalQuota: { cpu: slots - first },
      ...order(sharing),
      ...preemption(draw),
    }),
  ]
}

function order(draw: Draw): Record<string, unknown> {
  return draw.chance(0.25) ? { order: 'LeastServed' } : {}
}

function preemption(draw: Draw): Record<string, unknown> {
  const withinQueue = draw.one(['Never', 'LowerPriority', 'LowerOrNewerEqualPriority'])
  return { preemption: { withinQueue, reclaimWithinCohort: draw.one(['Never', 'LowerPriority', 'Any']) } }
}

function queueNamed(name: string, spec: Record<string, unknown>): Queue {
  return queue.parse({
    apiVersion: millwrightVersion,
    kind: 'Queue',
    metadata: { name },
    spec: { namespaces: ['*'], ...spec },
  })
}

function drawArrivals(
  draw: Draw,
  queues: readonly Queue[],
  nodes: readonly NodeDescription[],
  safetyMs: number,
): Arrival[] {
  const slots = nodes.reduce((sum, node) => sum + node.slots, 0)
  // Whoever comes together has to share.
  const withinMs = safetyMs * draw.one([0.05, 0.2, 0.7])
  const names = queues.length === 0 ? ['default'] : ['left', 'right']
  return Array.from({ length: draw.int(2, 8) }, (_, index) => {
    const atMs = draw.int(0, Math.floor(withinMs))
    const performance = drawPerformance(draw)
    const common = { queue: draw.one(names) }
    if (draw.chance(0.2)) {
      const object = inferenceService.parse({
        apiVersion: millwrightVersion,
        kind: 'InferenceService',
        metadata: { name: `s${index}`, namespace: 'default' },
        spec: {
          ...common,
          command: ['serve'],
          minReplicas: draw.int(1, Math.max(1, Math.min(2, slots))),
          maxReplicas: 4,
        },
      })
      return { atMs, performance, kind: 'InferenceService', object }
    }
    const workers = draw.int(1, Math.max(1, Math.min(6, slots)))
    const object = trainingJob.parse({
      apiVersion: millwrightVersion,
      kind: 'TrainingJob',
      metadata: { name: `j${index}`, namespace: 'default' },
      spec: {
        ...common,
        command: ['train'],
        workers,
        ...(draw.chance(0.3) ? { minWorkers: draw.int(1, workers) } : {}),
        priority: draw.one([0, 0, 10, 100, 200]),
        // It borrows nothing, so where queues own parts it may have to wait for ever.
        ...(draw.chance(0.1) && queues.length === 0 ? { preemptible: false } : {}),
        maxRestarts: draw.chance(0.2) ? draw.int(0, 2) : 1000,
        ...(draw.chance(0.15) ? { activeDeadlineSeconds: draw.int(60, 600) } : {}),
        progressDeadlineSeconds: draw.one([60, 600]),
        checkpoint: {
          interval: draw.one(['30s', '120s', 'auto']),
          ranks: draw.one(['first', 'all']),
          keep: draw.one([1, 2, 4]),
        },
        ...(draw.chance(0.2) ? { topology: { preferred: 'rack' } } : {}),
      },
    })
    return { atMs, performance, kind: 'TrainingJob', object }
  })
}

/** What does not fit just anywhere, and so waits though enough is free; but it fits into an empty fleet. */
function shaped(draw: Draw, arrival: Arrival, nodes: readonly NodeDescription[]): Arrival {
  const slots = draw.one([1, 1, 2, 3])
  const isInRack = draw.chance(0.3)
  if (arrival.kind !== 'TrainingJob') return arrival
  const { workers = 1 } = arrival.object.spec
  const roomOf = (some: readonly NodeDescription[]) =>
    some.reduce((sum, node) => sum + Math.floor(node.slots / slots), 0)
  const racks = rackNames.map((name) => nodes.filter(({ labels }) => labels[label.rack] === name))
  return withSpec(arrival, {
    ...(slots > 1 && roomOf(nodes) >= workers ? { resources: { accelerators: `cpu:${slots}` } } : {}),
    ...(isInRack && racks.some((rack) => roomOf(rack) >= workers) ? { topology: { required: 'rack' } } : {}),
  })
}

/** Small work that runs for long on every node, and later what wants a whole one: others have to move for it. */
function scattered(draw: Draw, arrival: Arrival, safetyMs: number): Arrival {
  const [isSmall, share] = [draw.chance(0.7), draw.int(0, 100) / 100]
  if (arrival.kind !== 'TrainingJob') return arrival
  const { prepareMs, restoreMs, training, replica } = arrival.performance
  const steps = Math.ceil(safetyMs / training.stepMs)
  const quick = { prepareMs: Math.ceil(prepareMs / 10), restoreMs: Math.ceil(restoreMs / 10) }
  const performance = { ...quick, replica, training: { ...training, steps, initMs: Math.ceil(training.initMs / 10) } }
  const one = withSpec(arrival, { workers: 1, minWorkers: undefined, resources: { accelerators: 'cpu:1' } })
  if (isSmall) return { ...one, atMs: Math.floor(0.1 * share * safetyMs), performance }
  const whole = withSpec(one, { resources: { accelerators: `cpu:${slotsMax}` } })
  return { ...whole, atMs: Math.floor((0.3 + 0.4 * share) * safetyMs) }
}

type JobArrival = Extract<Arrival, { kind: 'TrainingJob' }>

function withSpec(arrival: JobArrival, spec: Record<string, unknown>): JobArrival {
  const { object } = arrival
  return { ...arrival, object: trainingJob.parse({ ...object, spec: { ...object.spec, ...spec } }) }
}

function queuesOfMovers(nodes: readonly NodeDescription[]): Queue[] {
  const cpu = nodes.reduce((sum, node) => sum + node.slots, 0)
  const left = { parent: 'root', nominalQuota: { cpu }, preemption: { withinQueue: 'Never' } }
  return [
    queueNamed('root', { defragmentation: { maxPrice: 1000 } }),
    queueNamed('left', left),
    queueNamed('right', { parent: 'root' }),
  ]
}

function drawPerformance(draw: Draw): Performance {
  const crashes = draw.chance(0.4) ? draw.int(1, 40) : 0
  const stepMs = draw.one([500, 2000, 6_000])
  return {
    prepareMs: draw.int(0, 5000),
    restoreMs: draw.int(0, 5000),
    training: {
      steps: draw.int(10, 120),
      stepMs,
      initMs: draw.int(0, 10_000),
      stallMs: draw.int(0, 3000),
      persistMs: draw.int(0, 20_000),
      checkpointBytes: 1e9,
      progress: 'all',
      peerLostMs: draw.one([500, 10_000]),
      stopMs: draw.one([0, 0, 10_000, 20_000, 60_000]),
    },
    replica: {
      // What cannot work ends soon.
      loadMs: draw.int(0, crashes > 0 ? 2_000 : 20_000),
      drainMs: draw.int(0, 10_000),
      crashes,
    },
  }
}

function drawFaults(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number, fencing: boolean): Fault[] {
  const meanMs = safetyMs / draw.one([4, 10, 25])
  const faults: Fault[] = []
  for (let atMs = draw.wait(meanMs), follows = false, node = ''; atMs < safetyMs * 0.9; ) {
    const isThere = follows && draw.chance(0.5)
    if (!isThere) node = draw.one(nodes).name
    const forMs = Math.round(draw.wait(draw.one([2_000, 20_000, 90_000, 300_000])))
    const when = { atMs: Math.round(atMs), forMs }
    const kind = draw.one(kinds)
    if (kind === 'crash control at write')
      faults.push({ ...when, kind, of: draw.one(['any', 'Gang', 'Pod']), ...drawPoint(draw, 12) })
    // Without fences in the store nothing keeps it out.
    else if (kind === 'pause control at write')
      faults.push(fencing ? { ...when, kind, writes: draw.int(1, 30) } : { ...when, kind: 'pause control' })
    else if (kind === 'crash agent at write') faults.push({ ...when, kind, node, ...drawPoint(draw, 8) })
    else if (kind === 'kill rank at stop')
      faults.push({ ...when, kind, afterMs: draw.int(0, 5000), pick: draw.int(0, 1_000_000) })
    else if (kind === 'at hold')
      faults.push({ ...when, kind, afterMs: draw.one([0, draw.int(0, 2000)]), acts: drawActs(draw) })
    else if (isOfRank(kind)) faults.push({ ...when, kind, pick: draw.int(0, 1_000_000), ...(isThere ? { node } : {}) })
    else if (isOfOne(kind)) faults.push({ ...when, kind, pick: draw.int(0, 1_000_000) })
    else if (isOfNode(kind)) faults.push({ ...when, kind, node })
    else faults.push({ ...when, kind })
    // Often one comes with another, and where that one was.
    follows = draw.chance(0.3)
    atMs += follows ? draw.int(0, 3000) : draw.wait(meanMs)
  }
  return faults
}

/** One that is slow for so long that work may leave it: among others they seldom are. */
function drawSlow(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number): Fault[] {
  if (!draw.chance(0.25)) return []
  const atMs = draw.int(0, Math.floor(safetyMs / 2))
  return [{ atMs, forMs: draw.int(120_000, 600_000), kind: 'slow node', node: draw.one(nodes).name }]
}

/** Of most histories none. */
function drawStorageFaults(draw: Draw, safetyMs: number): Fault[] {
  if (draw.chance(0.7)) return []
  return Array.from({ length: draw.int(1, 3) }, () => {
    const when = drawWhen(draw, safetyMs)
    const kind = draw.one(['storage-slow', 'storage-outage', 'storage-outage', 'storage-full'] as const)
    return kind === 'storage-slow' ? { ...when, kind, slowness: draw.one([3, 30]) } : { ...when, kind }
  })
}

function drawNetworkFaults(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number): Fault[] {
  if (draw.chance(0.7)) return []
  return Array.from({ length: draw.int(1, 3) }, () => {
    const when = { ...drawWhen(draw, safetyMs), node: draw.one(nodes).name }
    if (draw.chance(0.5)) return { ...when, kind: 'network-flap' }
    return { ...when, kind: 'network-partition', ...(draw.chance(0.5) ? { reach: 'rack' } : {}) }
  })
}

function drawWhen(draw: Draw, safetyMs: number): { atMs: number; forMs: number } {
  const atMs = draw.int(0, Math.floor(safetyMs * 0.9))
  return { atMs, forMs: Math.round(draw.wait(draw.one([10_000, 60_000, 300_000]))) }
}

function drawPoint(draw: Draw, writesMax: number): { writes: number; point: 'before' | 'after' } {
  return { writes: draw.int(1, writesMax), point: draw.one(['before', 'after']) }
}

function drawActs(draw: Draw): AtHold[] {
  const first = draw.one(atHold)
  const second = draw.one(atHold)
  return draw.chance(0.5) || first === second ? [first] : [first, second]
}

const ofRank = ['kill rank', 'hang rank', 'fail rank'] as const
const ofOne = ['rot checkpoint', 'suspend job', 'evict pod'] as const
const ofNode = [
  'crash agent',
  'pause agent',
  'cut agent',
  'break agent',
  'lose node',
  'lose rack',
  'cut rack',
  'slow node',
  'lemon',
  'hang under a new agent',
  'warn node',
  'cordon node',
] as const

const kinds = [
  ...ofRank,
  ...ofOne,
  ...ofNode,
  'crash control',
  'crash control at write',
  'crash control at write',
  'pause control',
  'pause control at write',
  'cut control',
  'break control',
  'pause standby',
  'cut standby',
  'break all',
  'crash agent at write',
  'crash agent at write',
  'cut agent',
  'cordon node',
  'suspend job',
  'evict pod',
  'hang rank',
  'kill rank at stop',
  'at hold',
  'at hold',
  'crash ledger',
  'pause ledger',
  'cut ledger',
  'break ledger',
] as const

type Kind = (typeof kinds)[number]

/** Drawn apart from the others, so that these stay what they were. */
const kindsApart = [
  ...ofGateway,
  'storage-slow',
  'storage-outage',
  'storage-full',
  'network-flap',
  'network-partition',
] as const

export function isFaultKind(kind: unknown): kind is Fault['kind'] {
  return [...kinds, ...kindsApart].some((known) => known === kind)
}

function isOfRank(kind: Kind): kind is (typeof ofRank)[number] {
  return (ofRank as readonly Kind[]).includes(kind)
}

function isOfOne(kind: Kind): kind is (typeof ofOne)[number] {
  return (ofOne as readonly Kind[]).includes(kind)
}

function isOfNode(kind: Kind): kind is (typeof ofNode)[number] {
  return (ofNode as readonly Kind[]).includes(kind)
}

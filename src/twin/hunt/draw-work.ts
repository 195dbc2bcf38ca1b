import type { NodeDescription } from '../../agent/contract.ts'
import { inferenceService } from '../../model/kinds/inference-service.ts'
import { type Queue, queue } from '../../model/kinds/queue.ts'
import { trainingJob } from '../../model/kinds/training-job.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { label } from '../../model/names.ts'
import { workersOf } from '../../model/pods.ts'
import type { Draw } from '../draw.ts'
import type { Performance } from '../work/workload.ts'
import type { Arrival, History } from './history.ts'

export const slotsMax = 4
const gpuModel = 'H100'
export const rackNames = ['r0', 'r1'] as const

/** One queue without limits, or a tree whose leaves own parts of the fleet. */
export function drawQueues(draw: Draw, sharing: Draw, nodes: readonly NodeDescription[]): Queue[] {
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

/** What a tree owns is all that it has, and of its leaves some borrow or lend no more than all their work needs. */
export function limited(draw: Draw, queues: readonly Queue[], arrivals: readonly Arrival[]): Queue[] {
  const needs = (leaf: string): number => {
    const those = arrivals.filter(({ object }) => object.spec.queue === leaf)
    const services = those.filter(({ kind }) => kind === 'InferenceService')
    // People may ask for two replicas of any.
    return Math.max(2 * services.length, ...those.map(slotsAsked))
  }
  const lacks = ({ metadata, spec }: Queue) => Math.max(0, needs(metadata.name) - (spec.nominalQuota?.['cpu'] ?? 0))
  const leaves = queues.filter(({ spec }) => spec.parent !== undefined)
  return queues.map((one) => {
    const { parent } = one.spec
    if (parent === undefined) return { ...one, spec: { ...one.spec, nominalQuota: { cpu: 0 } } }
    const [borrows, lends, more] = [draw.chance(0.6), draw.chance(0.4), draw.int(0, 1)]
    const others = Math.max(0, ...leaves.filter((leaf) => leaf !== one).map(lacks))
    const borrowingLimit = borrows ? { borrowingLimit: { cpu: lacks(one) + more } } : {}
    const lendingLimit = lends ? { lendingLimit: { cpu: others + more } } : {}
    return { ...one, spec: { ...one.spec, ...borrowingLimit, ...lendingLimit } }
  })
}

function slotsAsked(arrival: Arrival): number {
  if (arrival.kind !== 'TrainingJob') return 0
  const { workers = 1, resources } = arrival.object.spec
  const [, slots = '1'] = /^cpu:(\d+)$/.exec(String(resources?.accelerators ?? '')) ?? []
  return workers * Number(slots)
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

export function drawArrivals(
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
export function shaped(draw: Draw, arrival: Arrival, nodes: readonly NodeDescription[]): Arrival {
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
export function scattered(draw: Draw, arrival: Arrival, safetyMs: number): Arrival {
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

/** The same on GPUs: as many of a node as it has slots, and what asks for slots or owns some has those instead. */
export function onGpus<T extends Pick<History, 'nodes' | 'queues' | 'arrivals'>>(history: T): T {
  const { nodes, queues, arrivals } = history
  const gpu = (card: number) => ({ id: `gpu-${card}`, model: gpuModel, healthy: true })
  const renamed = (amounts: Record<string, number> | undefined) =>
    amounts === undefined ? undefined : { [gpuModel]: amounts['cpu'] ?? 0 }
  return {
    ...history,
    nodes: nodes.map((node) => ({
      ...node,
      slots: 0,
      gpus: Array.from({ length: node.slots }, (_, card) => gpu(card)),
    })),
    queues: queues.map((one) => {
      const { nominalQuota, borrowingLimit, lendingLimit } = one.spec
      const limits = {
        nominalQuota: renamed(nominalQuota),
        borrowingLimit: renamed(borrowingLimit),
        lendingLimit: renamed(lendingLimit),
      }
      return queue.parse({ ...one, spec: { ...one.spec, ...limits } })
    }),
    arrivals: arrivals.map((arrival) => {
      if (arrival.kind === 'TrainingJob') {
        const { resources } = arrival.object.spec
        return withSpec(arrival, { resources: gpusOf(resources) })
      }
      const { object } = arrival
      const spec = { ...object.spec, resources: gpusOf(object.spec.resources) }
      return { ...arrival, object: inferenceService.parse({ ...object, spec }) }
    }),
  }
}

function gpusOf(resources: { accelerators?: unknown } | undefined): Record<string, unknown> {
  const asked = String(resources?.accelerators ?? 'cpu:1')
  return { ...resources, accelerators: asked.replace('cpu', gpuModel) }
}

type JobArrival = Extract<Arrival, { kind: 'TrainingJob' }>

function withSpec(arrival: JobArrival, spec: Record<string, unknown>): JobArrival {
  const { object } = arrival
  return { ...arrival, object: trainingJob.parse({ ...object, spec: { ...object.spec, ...spec } }) }
}

export function queuesOfMovers(nodes: readonly NodeDescription[]): Queue[] {
  const cpu = nodes.reduce((sum, node) => sum + node.slots, 0)
  const left = { parent: 'root', nominalQuota: { cpu }, preemption: { withinQueue: 'Never' } }
  return [
    queueNamed('root', { defragmentation: { maxPrice: 1000 } }),
    queueNamed('left', left),
    queueNamed('right', { parent: 'root' }),
  ]
}

/** Workers of some jobs start again alone, while the others go on. */
export function rejoining(draw: Draw, arrival: Arrival): Arrival {
  const [rejoins, share, regroupMs] = [draw.chance(0.6), draw.int(0, 99) / 100, draw.int(0, 5000)]
  if (arrival.kind !== 'TrainingJob' || !rejoins) return arrival
  const { workers = 1, checkpoint } = arrival.object.spec
  if (workers < 2) return arrival
  const { performance } = arrival
  const fewest = { minWorkers: 1 + Math.floor(share * (workers - 1)), checkpoint: { ...checkpoint, ranks: 'first' } }
  return withSpec(
    { ...arrival, performance: { ...performance, training: { ...performance.training, regroupMs } } },
    { ...fewest, failurePolicy: { restart: 'worker' } },
  )
}

/**
 * With fewer members a step takes longer, as far as they share it. Ranks of some jobs are not always as fast: so little that
 * three of their steps, which is all that may be known of a rank, never make it a straggler.
 */
export function paced(draw: Draw, arrival: Arrival): Arrival {
  const [scaling, stepSpread] = [draw.one([1, 1, 0.8, 0]), draw.one([0, 0, 0.01, 0.05])]
  if (arrival.kind !== 'TrainingJob') return arrival
  const { object, performance } = arrival
  const training = { ...performance.training, ranks: workersOf(object), scaling, stepSpread }
  return { ...arrival, performance: { ...performance, training } }
}

/** What some jobs make is published, of several as versions of one model. */
export function publishing(draw: Draw, arrival: Arrival): Arrival {
  const [publishes, model] = [draw.chance(0.6), draw.one(['m', 'm', 'n'])]
  return arrival.kind === 'TrainingJob' && publishes ? withSpec(arrival, { output: { model } }) : arrival
}

/** Racks of one block, or of two; and these in one zone, or in two. */
export function placed(draw: Draw, nodes: readonly NodeDescription[]): NodeDescription[] {
  const [blocks, zones] = draw.one([
    [1, 0],
    [2, 0],
    [2, 1],
    [2, 2],
  ] as const)
  return nodes.map((node) => {
    const rack = (rackNames as readonly unknown[]).indexOf(node.labels[label.rack])
    const zone = zones === 0 ? {} : { [label.zone]: `z${rack % zones}` }
    return { ...node, labels: { ...node.labels, [label.block]: `b${rack % blocks}`, ...zone } }
  })
}

/** Who sits in one rack as far as it goes may want a block or a zone instead. */
export function preferring(draw: Draw, arrival: Arrival): Arrival {
  const preferred = draw.one(['rack', 'block', 'zone'])
  if (arrival.kind !== 'TrainingJob' || arrival.object.spec.topology?.preferred === undefined) return arrival
  return withSpec(arrival, { topology: { ...arrival.object.spec.topology, preferred } })
}

/** Checkpoints of some jobs are in the memory of nodes, too. */
export function copied(draw: Draw, arrival: Arrival): Arrival {
  const [copies, restoreFromCopyMs] = [draw.one([0, 1, 2, 2]), draw.int(0, 3000)]
  if (arrival.kind !== 'TrainingJob' || copies === 0) return arrival
  const { checkpoint } = arrival.object.spec
  const performance = { ...arrival.performance, restoreFromCopyMs }
  return withSpec({ ...arrival, performance }, { checkpoint: { ...checkpoint, copies } })
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

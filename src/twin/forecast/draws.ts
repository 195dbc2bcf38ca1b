import { type Random, seededRandom } from '../../base/random.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { label } from '../../model/names.ts'
import { membersOf, type PastJob } from '../import/past-job.ts'

/** What nobody knows of the coming hours, as one seed has it: the same for a change and for the state without it. */
export interface Draws {
  /** Which of all lengths that a gang's may have is its own: 0 to 1. */
  quantileOf(gang: string): number
  /** When a node fails, in milliseconds from now, in order. */
  failuresOf(node: Node): readonly number[]
  arrivals: readonly Arrival[]
}

/** Somebody who comes within the horizon, and how long he will work. */
export interface Arrival {
  atMs: number
  gang: Gang
  seconds: number
}

export interface DrawOptions {
  horizonMs: number
  nowMs: number
  /** For each thousand nodes and day. */
  nodeFailures: number
  /** Jobs come as they came in some stretch of this, chosen at random. */
  history: readonly PastJob[]
  queues: readonly Queue[]
  /** What jobs ask for that do not say. */
  model: string
  /** Accelerators of the largest node. */
  perNode: number
}

export function drawsOf(seed: number, options: DrawOptions): Draws {
  const random = seededRandom(seed)
  const [lengths, failures] = [random.split('lengths'), random.split('failures')]
  return {
    quantileOf: (gang) => ownOf(lengths, gang).float(),
    failuresOf: ({ metadata }) => failureTimes(ownOf(failures, metadata.name), options),
    arrivals: arrivalsIn(random.split('arrivals'), options),
  }
}

/** Of names that are nearly the same, not of draws that are. */
function ownOf(random: Random, name: string): Random {
  return seededRandom(random.split(name).int(0, 0x7fffffff))
}

/** Of a Poisson process. */
function failureTimes(random: Random, { horizonMs, nodeFailures }: DrawOptions): number[] {
  const times: number[] = []
  if (nodeFailures <= 0) return times
  const meanMs = (1000 * dayMs) / nodeFailures
  let atMs = 0
  while (times.length < failuresMax) {
    atMs -= meanMs * Math.log(1 - random.float())
    if (atMs > horizonMs) break
    times.push(atMs)
  }
  return times
}

/** A stretch of the history as long as the horizon, so that night and day, and bursts, stay what they were. */
function arrivalsIn(random: Random, { history, horizonMs, nowMs, queues, model, perNode }: DrawOptions): Arrival[] {
  const spanMs = 1000 * (history.at(-1)?.submitSeconds ?? 0)
  if (history.length === 0 || spanMs === 0) return []
  const fromMs = random.float() * Math.max(0, spanMs - horizonMs)
  const byName = new Map(queues.map((queue) => [queue.metadata.name, queue]))
  const otherwise = byName.get('default') ?? queues[0]
  return history.flatMap((job, index) => {
    const atMs = 1000 * job.submitSeconds - fromMs
    if (atMs < 0 || atMs > horizonMs) return []
    const queue = byName.get(job.queue ?? '') ?? otherwise
    if (queue === undefined) return []
    return [
      { atMs, seconds: job.durationSeconds, gang: gangOf(job, index, { queue, model, perNode, atMs: nowMs + atMs }) },
    ]
  })
}

function gangOf(job: PastJob, index: number, at: { queue: Queue; model: string; perNode: number; atMs: number }): Gang {
  const { model = at.model, priority = 0 } = job
  const { workers, count } = membersOf(job, at.perNode)
  const name = `coming-${index}`
  const [namespace = '*'] = at.queue.spec.namespaces
  const group = {
    name: 'worker',
    min: workers,
    max: workers,
    accelerators: [{ model, count }],
    cpuMilli: 0,
    memoryBytes: 0,
    ports: 0,
    nodeSelector: {},
    tolerations: [],
  }
  return {
    apiVersion: millwrightVersion,
    kind: 'Gang',
    metadata: {
      name,
      namespace: namespace === '*' ? 'default' : namespace,
      labels: { [label.job]: name },
      creationTimestamp: new Date(Math.round(at.atMs)).toISOString(),
    },
    spec: {
      attempt: 1,
      queue: at.queue.metadata.name,
      priority: Math.round(priority),
      preemptible: true,
      suspend: false,
      groups: [group],
      ...(job.limitSeconds === undefined ? {} : { expectedSeconds: job.limitSeconds }),
    },
  }
}

const dayMs = 86_400_000
/** Of one node within a horizon. */
const failuresMax = 1000

import { type Random, seededRandom } from '../../base/random.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { label } from '../../model/names.ts'
import { membersOf, type PastJob } from '../import/past-job.ts'
import { normalDraws } from '../traffic/draws.ts'

/** What nobody knows of the coming hours, as one seed has it: the same for a change and for the state without it. */
export interface Draws {
  /** Which of all lengths that a gang's may have is its own: 0 to 1. Gangs of one family are alike. */
  quantileOf(gang: string, family: string): number
  /** When a node fails, in milliseconds from now, in order. */
  failuresOf(node: Node): readonly number[]
  /** When it is taken away, were it on spot capacity. */
  reclaimsOf(node: Node): readonly number[]
  arrivals: readonly Arrival[]
  /** How the requests of a service swing about what is expected: draws of a standard normal. */
  swingsOf(service: string): () => number
}

/** Somebody who comes within the horizon, and how long he will work. */
export interface Arrival {
  atMs: number
  gang: Gang
  seconds: number
}

/** What happens to nodes. Rates are of a thousand nodes and a day. */
export interface Risks {
  nodeFailures: number
  /** How long a node that failed is away. */
  repairMs: number
  /** Of those on spot capacity, besides. */
  spotReclaims: number
  /** How long one that was taken away is. */
  spotAwayMs: number
  /** From when it is said that one is taken away until it is. */
  spotNoticeMs: number
}

export interface DrawOptions {
  horizonMs: number
  nowMs: number
  risks: Risks
  /** Jobs come as they came in some stretch of this, chosen at random. */
  history: readonly PastJob[]
  queues: readonly Queue[]
  /** What jobs ask for that do not say. */
  model: string
  /** Accelerators of the largest node. */
  perNode: number
}

/**
 * Of as many seeds from `firstSeed` on, the draws of each. What is drawn of lengths is spread evenly over the seeds: of ten,
 * each job is in one among the shortest tenth of what it may be, and in one among the longest.
 */
export function drawsOf(firstSeed: number, seeds: number, options: DrawOptions): (index: number) => Draws {
  const lengths = new Spread(seededRandom(firstSeed).split('lengths'), seeds)
  return (index) => {
    const random = seededRandom(firstSeed + index)
    const [failures, reclaims] = [random.split('failures'), random.split('reclaims')]
    const { horizonMs, risks } = options
    return {
      quantileOf: (gang, family) => near(lengths.of(`family ${family}`, index), lengths.of(`gang ${gang}`, index)),
      failuresOf: ({ metadata }) => timesAt(risks.nodeFailures, horizonMs, ownOf(failures, metadata.name)),
      reclaimsOf: ({ metadata }) => timesAt(risks.spotReclaims, horizonMs, ownOf(reclaims, metadata.name)),
      arrivals: arrivalsIn(random.split('arrivals'), options),
      swingsOf: (service) => normalDraws(ownOf(random.split('swings'), service)),
    }
  }
}

/** For each name, draws from 0 to 1 of as many seeds, one in each of as many parts. */
class Spread {
  readonly #random: Random
  readonly #seeds: number
  readonly #byName = new Map<string, Float64Array>()

  constructor(random: Random, seeds: number) {
    this.#random = random
    this.#seeds = seeds
  }

  of(name: string, index: number): number {
    const known = this.#byName.get(name) ?? this.#draw(name)
    return known[index] ?? 0
  }

  #draw(name: string): Float64Array {
    const random = ownOf(this.#random, name)
    const drawn = new Float64Array(this.#seeds)
    for (let place = 0; place < this.#seeds; place++) {
      // Shuffled as it is filled.
      const other = random.int(0, place)
      drawn[place] = drawn[other] ?? 0
      drawn[other] = (place + random.float()) / this.#seeds
    }
    this.#byName.set(name, drawn)
    return drawn
  }
}

/**
 * Jobs of one family that come together are alike beyond what jobs of that family have been: one experiment, one size of data.
 * So that they all prove long, or all short, is far likelier than if each were drawn for itself. Each lies around what was
 * drawn for its family, within this of it on either side: all that may be is 1. Tuned on four of Philly's virtual clusters
 * (`npm run bench -- forecast`), where the lengths of a model's jobs that follow each other are correlated by 0.5 to 0.8.
 */
const apart = 0.3

/** Folded back at 0 and at 1, it is as evenly spread from 0 to 1 as both of what it is made from. */
function near(family: number, own: number): number {
  const at = Math.abs(family + 2 * apart * (own - 0.5))
  return at > 1 ? 2 - at : at
}

/** Of names that are nearly the same, not of draws that are. */
function ownOf(random: Random, name: string): Random {
  return seededRandom(random.split(name).int(0, 0x7fffffff))
}

/** Of a Poisson process, at a rate of a thousand and a day. */
function timesAt(rate: number, horizonMs: number, random: Random): number[] {
  const times: number[] = []
  if (rate <= 0) return times
  const meanMs = (1000 * dayMs) / rate
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
  // Of one that was cut out of a longer one, the first came late.
  const firstMs = 1000 * (history[0]?.submitSeconds ?? 0)
  const spanMs = 1000 * (history.at(-1)?.submitSeconds ?? 0) - firstMs
  if (spanMs === 0) return []
  const fromMs = firstMs + random.float() * Math.max(0, spanMs - horizonMs)
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

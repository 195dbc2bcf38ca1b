import { at, type Cluster, type PodType } from './cluster.ts'
import type { Policy } from './policies.ts'

/**
 * The score of each node for one type of pod, -1 where it does not fit. Kept between pods: only the nodes that changed
 * since the type was last asked for are scored again.
 */
class Scores {
  readonly #of: Int32Array
  /** How much of the log of changes is in. */
  #seen = -1

  constructor(size: number) {
    this.#of = new Int32Array(size)
  }

  refresh(changes: Changes, scoreOf: (node: number) => number): Int32Array {
    if (this.#seen < 0) this.#fill(changes, scoreOf)
    for (let entry = Math.max(this.#seen, 0); entry < changes.log.length; entry++) {
      const node = changes.log[entry] ?? 0
      if (at(changes.last, node) === entry) this.#of[node] = scoreOf(node)
    }
    this.#seen = changes.log.length
    return this.#of
  }

  /** Idle nodes of one shape have one score. */
  #fill({ last, cluster }: Changes, scoreOf: (node: number) => number): void {
    const ofShape: number[] = []
    for (let node = 0; node < cluster.size; node++) {
      if (at(last, node) >= 0) continue
      const shape = at(cluster.shape, node)
      ofShape[shape] ??= scoreOf(node)
      this.#of[node] = ofShape[shape]
    }
  }
}

/** Nodes in the order in which pods were placed on them. */
interface Changes {
  cluster: Cluster
  log: number[]
  /** By node, where it last stands in the log; -1 for an idle one. */
  last: Int32Array
}

/** Chooses nodes by a policy. */
export class Chooser {
  readonly #changes: Changes
  readonly #policy: Policy
  readonly #scores = new Map<PodType, Scores>()

  constructor(cluster: Cluster, policy: Policy) {
    this.#changes = { cluster, log: [], last: new Int32Array(cluster.size).fill(-1) }
    this.#policy = policy
  }

  /** The node with the best score, of the lowest rank among equals; -1 if the pod fits nowhere. */
  best(type: PodType, memoryMib: number): number {
    const scores = this.#scoresOf(type)
    const { memoryLeft } = this.#changes.cluster
    let [found, most] = [-1, -1]
    for (let node = 0; node < scores.length; node++) {
      const score = at(scores, node)
      if (score > most && at(memoryLeft, node) >= memoryMib) [found, most] = [node, score]
    }
    return found
  }

  /** All nodes where the pod fits. */
  fitting(type: PodType, memoryMib: number): number[] {
    const scores = this.#scoresOf(type)
    const { memoryLeft } = this.#changes.cluster
    const found: number[] = []
    for (let node = 0; node < scores.length; node++)
      if (at(scores, node) >= 0 && at(memoryLeft, node) >= memoryMib) found.push(node)
    return found
  }

  changed(node: number): void {
    this.#changes.last[node] = this.#changes.log.push(node) - 1
  }

  #scoresOf(type: PodType): Int32Array {
    const { cluster } = this.#changes
    let scores = this.#scores.get(type)
    if (scores === undefined) {
      scores = new Scores(cluster.size)
      this.#scores.set(type, scores)
    }
    const { score } = this.#policy
    return scores.refresh(this.#changes, (node) =>
      cluster.fits(node, type) ? (score === undefined ? 0 : score(node, type)) : -1,
    )
  }
}

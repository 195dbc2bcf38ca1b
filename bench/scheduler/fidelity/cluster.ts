import type { Random } from '../../../src/base/random.ts'
import type { Shape } from '../../../src/scheduler/packing/typical.ts'
import type { TraceNode } from '../lists.ts'

/** No node of the trace has more GPUs. */
export const gpusMax = 8
export const whole = 1000

/** What a pod asks for apart from memory. `allowed` has a 1 for each of the cluster's models that it may sit on. */
export interface PodType {
  cpuMilli: number
  count: number
  milli: number
  allowed: Int32Array
}

/** What is left of each node, by the node's rank: a random order, drawn once and kept for the run. */
export class Cluster {
  readonly size: number
  readonly gpus: number
  readonly models: readonly string[]
  /** By node, an index into `models`. */
  readonly model: Int32Array
  /** By node; idle nodes of one shape are equal. */
  readonly shape: Int32Array
  readonly cpuLeft: Int32Array
  readonly memoryLeft: Int32Array
  readonly gpuCount: Int32Array
  /** Thousandths left of GPU `d` of node `n`, at `n * gpusMax + d`. */
  readonly gpuLeft: Int32Array
  /** By node, the sum of its `gpuLeft`. */
  readonly milliLeft: Int32Array
  /** By node, the kinds of GPU pod that it holds, one bit each: see `tagOf`. */
  readonly tags: Int32Array

  constructor(nodes: readonly TraceNode[], random: Random) {
    const ranked = nodes
      .map((node) => ({ ...node, rank: random.float() }))
      .sort((a, b) => a.rank - b.rank)
      .map((node) => ({ ...node, shape: `${node.model} ${node.gpus} ${node.cpuMilli} ${node.memoryMib}` }))
    const shapes = [...new Set(ranked.map(({ shape }) => shape))]
    this.size = ranked.length
    this.gpus = ranked.reduce((sum, { gpus }) => sum + gpus, 0)
    this.models = [...new Set(ranked.map(({ model }) => model))]
    this.model = Int32Array.from(ranked, ({ model }) => this.models.indexOf(model))
    this.shape = Int32Array.from(ranked, ({ shape }) => shapes.indexOf(shape))
    this.cpuLeft = Int32Array.from(ranked, ({ cpuMilli }) => cpuMilli)
    this.memoryLeft = Int32Array.from(ranked, ({ memoryMib }) => memoryMib)
    this.gpuCount = Int32Array.from(ranked, ({ gpus }) => gpus)
    this.gpuLeft = Int32Array.from({ length: this.size * gpusMax }, (_, at) =>
      at % gpusMax < (ranked[Math.floor(at / gpusMax)]?.gpus ?? 0) ? whole : 0,
    )
    this.milliLeft = Int32Array.from(ranked, ({ gpus }) => gpus * whole)
    this.tags = new Int32Array(this.size)
  }

  typeOf({ cpuMilli, count, milli, models }: Shape): PodType {
    const allowed = Int32Array.from(this.models, (model) => (models === undefined || models.includes(model) ? 1 : 0))
    return { cpuMilli, count, milli, allowed }
  }

  /** All of the hard filters but memory. */
  fits(node: number, { cpuMilli, count, milli, allowed }: PodType): boolean {
    if (at(this.cpuLeft, node) < cpuMilli || at(allowed, at(this.model, node)) === 0) return false
    return count === 0 || this.roomy(node, milli) >= count
  }

  /** How many of the node's GPUs have so much left. */
  roomy(node: number, milli: number): number {
    const end = node * gpusMax + at(this.gpuCount, node)
    let found = 0
    for (let gpu = node * gpusMax; gpu < end; gpu++) if (at(this.gpuLeft, gpu) >= milli) found++
    return found
  }

  /** The lowest-numbered idle GPUs, as a set of bits. */
  idle(node: number, count: number): number {
    let [set, wanted] = [0, count]
    for (let gpu = 0; wanted > 0 && gpu < at(this.gpuCount, node); gpu++) {
      if (at(this.gpuLeft, node * gpusMax + gpu) < whole) continue
      set |= 1 << gpu
      wanted--
    }
    return set
  }

  /** The GPU with the least left that is enough, as a set of bits; the lowest-numbered among equals. */
  tightest(node: number, milli: number): number {
    let [set, least] = [0, Number.POSITIVE_INFINITY]
    for (let gpu = 0; gpu < at(this.gpuCount, node); gpu++) {
      const left = at(this.gpuLeft, node * gpusMax + gpu)
      if (left >= milli && left < least) [set, least] = [1 << gpu, left]
    }
    return set
  }

  /** Takes the pod's cores and its part of each GPU in the set; with `times` -1, gives them back. */
  take(node: number, { cpuMilli, count, milli }: PodType, set: number, times: 1 | -1 = 1): void {
    this.cpuLeft[node] = at(this.cpuLeft, node) - times * cpuMilli
    this.milliLeft[node] = at(this.milliLeft, node) - times * count * milli
    for (let gpu = node * gpusMax, rest = set; rest !== 0; gpu++, rest >>= 1) {
      if ((rest & 1) === 1) this.gpuLeft[gpu] = at(this.gpuLeft, gpu) - times * milli
    }
  }

  /** The pod is here to stay. */
  place(node: number, type: PodType, memoryMib: number, set: number): void {
    this.take(node, type, set)
    this.memoryLeft[node] = at(this.memoryLeft, node) - memoryMib
    this.tags[node] = at(this.tags, node) | tagOf(type)
  }
}

/** One bit for shares, one for each number of whole GPUs; none for pods of cores alone. */
export function tagOf({ count, milli }: PodType): number {
  return count === 0 ? 0 : milli < whole ? 1 : 1 << count
}

/** All columns are of one type, so that this is one machine instruction or two. */
export function at(column: Int32Array, index: number): number {
  return column[index] ?? 0
}

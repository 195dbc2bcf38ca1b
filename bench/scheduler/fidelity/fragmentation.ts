import type { Typical } from '../../../src/scheduler/packing/typical.ts'
import { at, type Cluster, gpusMax, type PodType } from './cluster.ts'

/** A typical pod that asks for GPUs; `size` is an index into the sizes asked for. */
interface Wanted {
  cpuMilli: number
  share: number
  size: number
}

/** How much of a node's free GPUs typical pods could not use, in thousandths of one: FGD (USENIX ATC '23), section 3. */
export class Fragmentation {
  /** Distinct (milli, count) of typical pods by ascending milli. */
  readonly #milli: Int32Array
  readonly #count: Int32Array
  /** By size, what it could not use of the node at hand. */
  readonly #unusable: Float64Array
  /** By model, who may sit on it, and the share of those who may not or who ask for no GPUs. */
  readonly #wanted: readonly (readonly Wanted[])[]
  readonly #strangers: readonly number[]
  readonly #sorted = new Int32Array(gpusMax)

  constructor(typical: readonly Typical[], models: readonly string[]) {
    const ofGpus = typical.filter(({ count }) => count > 0)
    const keys = [...new Set(ofGpus.map(sizeOf))].sort((a, b) => a - b)
    this.#milli = Int32Array.from(keys, (key) => Math.floor(key / 16))
    this.#count = Int32Array.from(keys, (key) => key % 16)
    this.#unusable = new Float64Array(keys.length)
    const mayUse = (pod: Typical, model: string) => pod.count > 0 && (pod.models?.includes(model) ?? true)
    this.#wanted = models.map((model) =>
      typical
        .filter((pod) => mayUse(pod, model))
        .map((pod) => ({ cpuMilli: pod.cpuMilli, share: pod.share, size: keys.indexOf(sizeOf(pod)) })),
    )
    this.#strangers = models.map((model) => typical.reduce((sum, pod) => sum + (mayUse(pod, model) ? 0 : pod.share), 0))
  }

  of(cluster: Cluster, node: number): number {
    this.#measure(cluster, node)
    const [cpuLeft, all] = [at(cluster.cpuLeft, node), at(cluster.milliLeft, node)]
    const model = at(cluster.model, node)
    let sum = (this.#strangers[model] ?? 0) * all
    for (const { cpuMilli, share, size } of this.#wanted[model] ?? [])
      sum += share * (cpuMilli <= cpuLeft ? (this.#unusable[size] ?? 0) : all)
    return sum
  }

  /** One sweep over the node's GPUs, smallest first, gives all sizes their part. */
  #measure(cluster: Cluster, node: number): void {
    const gpus = at(cluster.gpuCount, node)
    const sorted = this.#sorted
    for (let gpu = 0; gpu < gpus; gpu++) {
      const left = at(cluster.gpuLeft, node * gpusMax + gpu)
      let place = gpu
      for (; place > 0 && at(sorted, place - 1) > left; place--) sorted[place] = at(sorted, place - 1)
      sorted[place] = left
    }
    let [smaller, sum] = [0, 0]
    for (let size = 0; size < this.#milli.length; size++) {
      for (; smaller < gpus && at(sorted, smaller) < at(this.#milli, size); smaller++) sum += at(sorted, smaller)
      const holds = gpus - smaller >= at(this.#count, size)
      this.#unusable[size] = holds ? sum : at(cluster.milliLeft, node)
    }
  }
}

/** Orders by milli; no node has sixteen GPUs. */
function sizeOf({ milli, count }: Pick<PodType, 'milli' | 'count'>): number {
  return milli * 16 + count
}

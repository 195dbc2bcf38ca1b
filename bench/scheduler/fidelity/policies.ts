import type { Random } from '../../../src/base/random.ts'
import type { Typical } from '../../../src/scheduler/packing/typical.ts'
import { at, type Cluster, gpusMax, type PodType, tagOf, whole } from './cluster.ts'
import { Fragmentation } from './fragmentation.ts'

/** Where pods go. What a policy knows of a node is what the node has left and what it holds, so scores may be kept. */
export interface Policy {
  /** Of a node where the pod fits: a whole number from 0 to 100; undefined where each such node is as good as another. */
  score: ((node: number, type: PodType) => number) | undefined
  /** The GPU of that node that a share goes to, as a set of one bit. */
  device(node: number, type: PodType): number
}

/** As the authors' files of results name them. */
export const policyNames = [
  '01-Random',
  '02-DotProd',
  '03-GpuClustering',
  '04-GpuPacking',
  '05-BestFit',
  '06-FGD',
] as const
export type PolicyName = (typeof policyNames)[number]

type MakePolicy = (cluster: Cluster, typical: readonly Typical[], random: Random) => Policy
export const policies: Record<PolicyName, MakePolicy> = {
  '01-Random': random,
  '02-DotProd': dotProduct,
  '03-GpuClustering': clustering,
  '04-GpuPacking': packing,
  '05-BestFit': bestFit,
  '06-FGD': fgd,
}

/** The largest node, by which the authors scale cores and GPUs. */
const cpuMilliMax = 128_000
const gpuMilliMax = gpusMax * whole

function random(cluster: Cluster, _: readonly Typical[], draws: Random): Policy {
  return {
    score: undefined,
    device: (node, { milli }) => {
      let nth = draws.int(1, cluster.roomy(node, milli))
      let gpu = -1
      while (nth > 0) if (at(cluster.gpuLeft, node * gpusMax + ++gpu) >= milli) nth--
      return 1 << gpu
    },
  }
}

function dotProduct(cluster: Cluster): Policy {
  return tightestOn(cluster, (node, { cpuMilli, count, milli }) => {
    const cpu = (at(cluster.cpuLeft, node) / cpuMilliMax) * (cpuMilli / cpuMilliMax)
    const gpu = (at(cluster.milliLeft, node) / gpuMilliMax) * ((count * milli) / gpuMilliMax)
    return Math.trunc(100 * (1 - (cpu + gpu) / 2))
  })
}

/** The authors then stretch scores to 0 to 100 over the nodes that fit, which leaves the best ones the same. */
function bestFit(cluster: Cluster): Policy {
  return tightestOn(cluster, (node, { cpuMilli, count, milli }) => {
    const cpu = (at(cluster.cpuLeft, node) - cpuMilli) / cpuMilliMax
    const gpu = (at(cluster.milliLeft, node) - count * milli) / gpuMilliMax
    return Math.trunc(100 * (1 - (cpu + gpu) / 2))
  })
}

/** Used GPUs before idle ones, used nodes before idle nodes. */
function packing(cluster: Cluster): Policy {
  return tightestOn(cluster, (node, { count, milli }) => {
    if (count === 0) return 0
    const gpus = at(cluster.gpuCount, node)
    if (at(cluster.milliLeft, node) === gpus * whole) return Math.max(33 - gpus, gpus)
    if (milli === whole) return Math.max(50 - count, 33)
    const gpu = 31 - Math.clz32(cluster.tightest(node, milli))
    const left = at(cluster.gpuLeft, node * gpusMax + gpu)
    return left === whole ? 50 - 1 : Math.max(100 - Math.trunc(Math.trunc((left * 100) / whole) / 10), 50)
  })
}

/** Pods of a kind together, on the fuller node. */
function clustering(cluster: Cluster): Policy {
  return tightestOn(cluster, (node, type) => {
    if (type.count === 0) return 0
    const full = Math.trunc((25 * (gpuMilliMax - at(cluster.milliLeft, node))) / gpuMilliMax)
    const [tag, tags] = [tagOf(type), at(cluster.tags, node)]
    if ((tags & tag) !== 0) return full + (tags === tag ? 75 : 50)
    return full + (tags === 0 ? 25 : 0)
  })
}

function tightestOn(cluster: Cluster, score: (node: number, type: PodType) => number): Policy {
  return { score, device: (node, { milli }) => cluster.tightest(node, milli) }
}

/** The least growth of fragmentation. */
function fgd(cluster: Cluster, typical: readonly Typical[]): Policy {
  const fragmentation = new Fragmentation(typical, cluster.models)
  const scoreWith = (node: number, type: PodType, set: number, before: number): number => {
    cluster.take(node, type, set)
    const after = fragmentation.of(cluster, node)
    cluster.take(node, type, set, -1)
    return Math.trunc(100 / (1 + Math.exp((after - before) / whole)))
  }
  const best = { score: 0, set: 0 }
  /** Looks at one of each fill that the node's GPUs have. */
  const look = (node: number, type: PodType): typeof best => {
    const before = fragmentation.of(cluster, node)
    best.score = -1
    for (let gpu = 0, from = node * gpusMax; gpu < at(cluster.gpuCount, node); gpu++) {
      const left = at(cluster.gpuLeft, from + gpu)
      if (left < type.milli || cluster.gpuLeft.indexOf(left, from) < from + gpu) continue
      const score = scoreWith(node, type, 1 << gpu, before)
      if (score > best.score) [best.score, best.set] = [score, 1 << gpu]
    }
    return best
  }
  return {
    score: (node, type) =>
      type.count > 0 && type.milli < whole
        ? look(node, type).score
        : scoreWith(node, type, cluster.idle(node, type.count), fragmentation.of(cluster, node)),
    device: (node, type) => look(node, type).set,
  }
}

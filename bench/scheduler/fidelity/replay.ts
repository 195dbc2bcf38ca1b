import type { Random } from '../../../src/base/random.ts'
import type { Shape, Typical } from '../../../src/scheduler/packing/typical.ts'
import { demandOf, type TraceNode, type TracePod } from '../lists.ts'
import { Cluster, type PodType, whole } from './cluster.ts'
import { type PolicyName, policies } from './policies.ts'
import { Chooser } from './scores.ts'

export const podClasses = ['CPU-only', 'shared', 'one-GPU', 'multi-GPU'] as const
export type PodClass = (typeof podClasses)[number]
export type CountByClass = Record<PodClass, number>

export interface Replay {
  /** GPUs unallocated at 130 % arrived demand, in per cent. */
  unallocated: number
  arrived: CountByClass
  rejected: CountByClass
}

/** Demand arrived, in per cent of the fleet, at which the published figures are read. */
const readAt = 130

/** Places the arrivals one by one, each tried once; what fits nowhere is dropped, yet counts as arrived. */
export function replay(
  policyName: PolicyName,
  nodes: readonly TraceNode[],
  arrivals: readonly TracePod[],
  typical: readonly Typical[],
  random: Random,
): Replay {
  const cluster = new Cluster(nodes, random.split('ranks'))
  const draws = random.split('policy')
  const policy = policies[policyName](cluster, typical, draws)
  const chooser = new Chooser(cluster, policy)
  const typeOf = typesOf(cluster)
  const result = { arrived: none(), rejected: none() }
  const perCent = cluster.gpus * (whole / 100)
  let [arrived, used] = [0, 0]
  const read: number[] = []
  for (const pod of arrivals) {
    const type = typeOf(pod)
    const node =
      policy.score === undefined ? any(chooser.fitting(type, pod.memoryMib), draws) : chooser.best(type, pod.memoryMib)
    if (node < 0) result.rejected[classOf(pod)]++
    else {
      const isShare = type.count > 0 && type.milli < whole
      cluster.place(node, type, pod.memoryMib, isShare ? policy.device(node, type) : cluster.idle(node, type.count))
      chooser.changed(node)
      used += demandOf(pod)
    }
    result.arrived[classOf(pod)]++
    arrived += demandOf(pod)
    if (Math.round(arrived / perCent) === readAt) read.push(Math.round((used / perCent) * 100) / 100)
  }
  return { ...result, unallocated: 100 - read.reduce((sum, one) => sum + one, 0) / read.length }
}

function any(nodes: readonly number[], draws: Random): number {
  return nodes.length === 0 ? -1 : (nodes[draws.int(0, nodes.length - 1)] ?? -1)
}

/** One type for all pods alike. */
function typesOf(cluster: Cluster): (pod: Shape) => PodType {
  const types = new Map<string, PodType>()
  return (pod) => {
    const key = `${pod.cpuMilli} ${pod.count} ${pod.milli} ${pod.models?.join('|') ?? '*'}`
    const type = types.get(key) ?? cluster.typeOf(pod)
    types.set(key, type)
    return type
  }
}

function classOf({ count, milli }: Shape): PodClass {
  if (count === 0) return 'CPU-only'
  if (count > 1) return 'multi-GPU'
  return milli < whole ? 'shared' : 'one-GPU'
}

function none(): CountByClass {
  return { 'CPU-only': 0, shared: 0, 'one-GPU': 0, 'multi-GPU': 0 }
}

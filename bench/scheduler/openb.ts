import { unscrambled } from '../../src/base/random.fixture.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { Gang } from '../../src/model/kinds/gang.ts'
import type { Node } from '../../src/model/kinds/kubernetes.ts'
import { label } from '../../src/model/names.ts'
import { World } from './fleet.ts'
import { arrivalsOf, demandOf, type ListName, readNodes, readPods, type TraceNode, type TracePod } from './lists.ts'

export interface Outcome {
  /** Unallocated GPUs at 130 % arrived demand, in per cent. */
  unallocated: number
  rejected: number
  rejectedCpuOnly: number
  rejectedMultiGpu: number
  /** How often a placed pod moved so that another fitted. */
  moved: number
  arrivals: number
  ms: number
}

/**
 * The product's own scheduler on one list, one pod at a time; what fits nowhere is dropped, as the recipe has it.
 *
 * @param movedMax Where others may move so that a pod fits, how many at most, of those placed: 0 to 1.
 */
export function ours(traces: string, list: ListName, seed: number, movedMax = 0): Outcome {
  const random = seededRandom(unscrambled(seed)) // the arrivals that were published
  const nodes = readNodes(traces)
  const gpus = nodes.reduce((sum, node) => sum + node.gpus, 0)
  const arrivals = arrivalsOf(readPods(traces, list), gpus, 1.3, random.split('arrivals'))
  const order = nodes.map((node) => ({ node, rank: random.float() })).sort((a, b) => a.rank - b.rank)
  const world = new World(order.map(({ node }, index) => nodeOf(node, index)))
  if (movedMax > 0) world.queue('default', { defragmentation: { maxPrice: 0.25 } })
  const outcome: Outcome = {
    unallocated: 0,
    moved: 0,
    rejected: 0,
    rejectedCpuOnly: 0,
    rejectedMultiGpu: 0,
    arrivals: arrivals.length,
    ms: 0,
  }
  let used = 0
  for (const [index, pod] of arrivals.entries()) {
    const name = `p${index}`
    const { ms, verdict } = world.decide(gangOf(world, name, pod))
    outcome.ms += ms
    const placed = index - outcome.rejected
    if (verdict?.kind === 'bind') used += demandOf(pod)
    else if (pod.count > 0 && outcome.moved < movedMax * placed && others(world, name, outcome)) used += demandOf(pod)
    else {
      world.forget(name)
      outcome.rejected++
      if (pod.count === 0) outcome.rejectedCpuOnly++
      if (pod.count > 1) outcome.rejectedMultiGpu++
    }
  }
  outcome.unallocated = 100 - used / (gpus * 10)
  return outcome
}

/** Whether it fits once others have moved. */
function others(world: World, name: string, outcome: Outcome): boolean {
  const preempted = world.wait(patienceMs).find((verdict) => verdict.kind === 'preempt')
  if (preempted?.kind !== 'preempt') return false
  outcome.moved += preempted.victims.length
  const bound = world.settle().verdicts.some(({ kind, gang }) => kind === 'bind' && gang === `default/${name}`)
  if (!bound) throw new Error(`others moved for ${name}, and it does not fit`)
  return true
}

/** For so long a pod has to be first in line before others move for it. */
const patienceMs = 30_000

function nodeOf({ model, gpus, cpuMilli, memoryMib }: TraceNode, index: number): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `n${String(index).padStart(5, '0')}`, labels: { [label.accelerator]: model } },
    spec: {},
    status: {
      allocatable: { cpu: `${cpuMilli}m`, memory: `${memoryMib}Mi`, 'nvidia.com/gpu': String(gpus) },
      conditions: [],
    },
  }
}

/** The trace knows no checkpoints: as if each had just been written, so that moves cost a second's restart. */
const justSaved = {
  conditions: [],
  checkpoints: [],
  checkpoint: { step: 1, attempt: 1, at: '2100-01-01T00:00:00Z', digest: '', bytes: 0, manifests: [] },
  restartSeconds: 1,
}

function gangOf(world: World, name: string, pod: TracePod): Gang {
  const count = pod.count === 0 ? 0 : pod.milli >= 1000 ? pod.count : pod.milli / 1000
  const gang = world.gang(name, { members: 1, count, cpuMilli: pod.cpuMilli })
  gang.status = justSaved
  const [group] = gang.spec.groups
  if (group === undefined) throw new Error('a gang has a group')
  group.accelerators = [{ model: 'gpu', count }]
  group.memoryBytes = pod.memoryMib * 2 ** 20
  if (pod.models !== undefined) {
    const matchExpressions = [{ key: label.accelerator, operator: 'In', values: [...pod.models] }]
    const required = { nodeSelectorTerms: [{ matchExpressions }] }
    group.affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } }
  }
  return gang
}

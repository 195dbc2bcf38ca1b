import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../src/base/random.ts'
import type { Shape } from '../../src/scheduler/packing/typical.ts'

export const listNames = ['default', 'cpu250', 'gpushare40', 'gpuspec33', 'multigpu50'] as const
export type ListName = (typeof listNames)[number]

export interface TraceNode {
  cpuMilli: number
  memoryMib: number
  gpus: number
  model: string
}
export interface TracePod extends Shape {
  memoryMib: number
}

/** The nodes with GPUs of Alibaba's cluster-trace-gpu-v2023. */
export function readNodes(traces: string): TraceNode[] {
  return rowsOf(join(traces, 'openb', 'openb_node_list_gpu_node.csv')).map((row) => ({
    cpuMilli: Number(row['cpu_milli']),
    memoryMib: Number(row['memory_mib']),
    gpus: Number(row['gpu']),
    model: row['model'] ?? '',
  }))
}

export function readPods(traces: string, list: ListName): TracePod[] {
  return rowsOf(join(traces, 'openb', `openb_pod_list_${list}.csv`)).map((row) => {
    const count = Number(row['num_gpu'])
    const spec = row['gpu_spec'] ?? ''
    return {
      cpuMilli: Number(row['cpu_milli']),
      memoryMib: Number(row['memory_mib']),
      count,
      milli: count === 0 ? 0 : count > 1 ? 1000 : Number(row['gpu_milli']),
      models: spec === '' ? undefined : spec.split('|'),
    }
  })
}

/** Shuffled, and brought to `factor` × the fleet's GPUs of demand: recipe of FGD (USENIX ATC '23), its steps 5 and 6. */
export function arrivalsOf(pods: readonly TracePod[], gpus: number, factor: number, random: Random): TracePod[] {
  const arrivals = [...pods]
  for (let last = arrivals.length - 1; last > 0; last--) {
    const other = random.int(0, last)
    const [a, b] = [arrivals[last], arrivals[other]]
    if (a !== undefined && b !== undefined) [arrivals[last], arrivals[other]] = [b, a]
  }
  const target = factor * gpus * 1000
  let demand = arrivals.reduce((sum, pod) => sum + demandOf(pod), 0)
  while (demand > target) {
    const [gone] = arrivals.splice(random.int(0, arrivals.length - 1), 1)
    demand -= gone === undefined ? 0 : demandOf(gone)
  }
  if (pods.reduce((sum, pod) => sum + demandOf(pod), 0) > target) return arrivals
  for (;;) {
    const pod = pods[random.int(0, pods.length - 1)]
    if (pod === undefined || demand + pod.milli > target) return arrivals
    arrivals.push(pod)
    demand += demandOf(pod)
  }
}

export function demandOf({ count, milli }: Shape): number {
  return count * milli
}

function rowsOf(path: string): Record<string, string>[] {
  const [head = '', ...lines] = readFileSync(path, 'utf8').trim().split(/\r?\n/)
  const names = head.split(',')
  return lines.map((line) => Object.fromEntries(line.split(',').map((cell, index) => [names[index] ?? '', cell])))
}

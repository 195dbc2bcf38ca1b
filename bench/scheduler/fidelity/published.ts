import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ListName } from '../lists.ts'
import type { PolicyName } from './policies.ts'

/** GPUs unallocated at 130 % arrived demand, in per cent, one figure per seed of the authors. */
export function publishedOf(traces: string): (list: ListName, policy: PolicyName) => number[] {
  const [head = '', ...lines] = readFileSync(join(traces, 'fgd-expected', 'allo.csv'), 'utf8')
    .trim()
    .split(/\r?\n/)
  const names = head.split(',')
  const [workload, policyAt, allocated] = ['workload', 'sc_policy', '130'].map((name) => names.indexOf(name))
  const rows = lines.map((line) => line.split(','))
  return (list, policy) =>
    rows
      .filter((row) => row[workload ?? -1] === `openb_pod_list_${list}` && row[policyAt ?? -1] === policy)
      .map((row) => 100 - Number(row[allocated ?? -1]))
}

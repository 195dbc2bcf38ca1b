import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Row } from './row.ts'
import { type ListName, listNames } from './scheduler/lists.ts'
import { ours } from './scheduler/openb.ts'
import { speedRows } from './scheduler/speed.ts'

const seeds = 5
/** Unallocated GPUs in per cent at most; beside it what FGD's authors published (USENIX ATC '23). */
const bars: Record<ListName, [number, number]> = {
  default: [3.9, 4.61],
  cpu250: [4.4, 6.59],
  gpushare40: [5.35, 5.85],
  gpuspec33: [4.1, 5.45],
  multigpu50: [2.65, 2.82],
}

/** `MILLWRIGHT_TRACES` or ../shared/traces; without them the rows that need them are left out, and that is said. */
export async function rows(): Promise<Row[]> {
  const traces = process.env['MILLWRIGHT_TRACES'] ?? join('..', 'shared', 'traces')
  const isThere = existsSync(join(traces, 'openb'))
  if (!isThere) console.error(`bench: no public traces in ${traces}; rows over openb are not run`)
  return [...speedRows(isThere ? traces : undefined), ...(isThere ? listNames.map((list) => packed(traces, list)) : [])]
}

/** The product's own scheduler, one pod at a time, learning what is asked for as it comes. */
function packed(traces: string, list: ListName): Row {
  const outcomes = Array.from({ length: seeds }, (_, seed) => ours(traces, list, seed))
  const mean = (of: (outcome: (typeof outcomes)[number]) => number) =>
    outcomes.reduce((sum, one) => sum + of(one), 0) / outcomes.length
  const [bar, fgd] = bars[list]
  const value = mean(({ unallocated }) => unallocated)
  const [rejected, large] = [mean((one) => one.rejected), mean((one) => one.rejectedMultiGpu)]
  return {
    row: `openb ${list}: GPUs unallocated at 130 % demand, ${seeds} seeds`,
    value,
    unit: '%',
    bar: `<= ${bar} %`,
    ok: value <= bar,
    peer: `FGD as published ${fgd} %; rejected ${rejected.toFixed(0)}, of them multi-GPU ${large.toFixed(1)}`,
  }
}

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Row } from '../row.ts'
import { type ListName, listNames } from './lists.ts'
import { ours } from './openb.ts'

/** Of placed pods, so many may move. */
const movedMax = 0.05
const defaultBar = 3.7

/**
 * FGD's lists where placed pods may move so that one fits, as the product moves them: `npm run bench -- moves SEEDS`. Each pod
 * that is rejected is looked at anew, so a list takes minutes.
 */
export async function rows(seeds = 1): Promise<Row[]> {
  const traces = process.env['MILLWRIGHT_TRACES'] ?? join('..', 'shared', 'traces')
  if (existsSync(join(traces, 'openb'))) return listNames.map((list) => moved(traces, list, seeds))
  console.error(`bench: no public traces in ${traces}; nothing moves`)
  return []
}

/** Against the same arrivals without moves. */
function moved(traces: string, list: ListName, seeds: number): Row {
  const mean = (most: number) => {
    const outcomes = Array.from({ length: seeds }, (_, seed) => ours(traces, list, seed, most))
    const of = (value: (one: (typeof outcomes)[number]) => number) =>
      outcomes.reduce((sum, one) => sum + value(one), 0) / seeds
    const placed = of(({ arrivals, rejected }) => arrivals - rejected)
    return { unallocated: of((one) => one.unallocated), moves: of((one) => one.moved), placed }
  }
  const [online, found] = [mean(0), mean(movedMax)]
  const bar = list === 'default' ? Math.min(defaultBar, online.unallocated) : online.unallocated
  return {
    row: `openb ${list}: GPUs unallocated, moving <= 5 %, ${seeds} seeds`,
    value: found.unallocated,
    unit: '%',
    bar: `<= ${bar.toFixed(2)} %`,
    ok: found.unallocated <= bar && found.moves <= movedMax * found.placed,
    peer: `online ${online.unallocated.toFixed(2)} %; moved ${((100 * found.moves) / found.placed).toFixed(2)} % of those placed`,
  }
}

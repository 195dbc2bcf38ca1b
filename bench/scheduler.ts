import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Row } from './row.ts'
import { replayerOf, spread } from './scheduler/fidelity.ts'
import { type ListName, listNames } from './scheduler/lists.ts'
import { ours } from './scheduler/openb.ts'
import { speedRows } from './scheduler/speed.ts'

const seeds = 20
/** Unallocated GPUs in per cent at most; FGD's authors published 4.61, 6.59, 5.85, 5.45 and 2.82 (USENIX ATC '23). */
const bars: Record<ListName, number> = {
  default: 3.9,
  cpu250: 4.4,
  gpushare40: 5.35,
  gpuspec33: 4.1,
  multigpu50: 2.65,
}

/** `MILLWRIGHT_TRACES` or ../shared/traces; without them the rows that need them are left out, and that is said. */
export async function rows(): Promise<Row[]> {
  const traces = process.env['MILLWRIGHT_TRACES'] ?? join('..', 'shared', 'traces')
  const isThere = existsSync(join(traces, 'openb'))
  if (!isThere) console.error(`bench: no public traces in ${traces}; rows over openb are not run`)
  return [
    ...speedRows(isThere ? traces : undefined),
    ...(isThere ? listNames.flatMap((list) => packed(traces, list)) : []),
  ]
}

/** The product's own scheduler, one pod at a time, learning what is asked for as it comes; FGD on the same arrivals beside it. */
function packed(traces: string, list: ListName): Row[] {
  const outcomes = Array.from({ length: seeds }, (_, seed) => ours(traces, list, seed))
  const fgd = replayerOf(
    traces,
    list,
    seeds,
  )('06-FGD').map(({ unallocated, rejected }) => ({
    unallocated,
    rejected: Object.values(rejected).reduce((sum, one) => sum + one, 0),
    rejectedMultiGpu: rejected['multi-GPU'],
  }))
  const row = (name: string, of: (one: (typeof fgd)[number]) => number, unit: string, most?: number): Row => {
    const [here, there] = [spread(outcomes.map(of)), spread(fgd.map(of))]
    const bar = most ?? there.mean
    return {
      row: name,
      value: here.mean,
      unit,
      bar: `<= ${most ?? `FGD's ${bar.toFixed(1)}`} ${unit}`,
      ok: here.mean <= bar,
      peer: `sd ${here.deviation.toFixed(2)}; FGD on the same arrivals ${there.mean.toFixed(2)} (sd ${there.deviation.toFixed(2)})`,
    }
  }
  return [
    row(`openb ${list}: GPUs unallocated at 130 % demand, ${seeds} seeds`, (one) => one.unallocated, '%', bars[list]),
    row('... pods rejected', (one) => one.rejected, 'pods'),
    row('... of them multi-GPU', (one) => one.rejectedMultiGpu, 'pods'),
  ]
}

import { keyOf } from '../../model/refs.ts'
import type { Change, Verdict } from '../../scheduler/contract.ts'

/**
 * What the scheduler was told and what it said, in order, bounded. What falls out at the old end is folded into `base`,
 * the objects as they were then, so that a replay starts from a state and not from nothing.
 */
export interface DecisionLog {
  told(change: Change): void
  settled(verdict: Verdict, outcome: 'committed' | 'stale'): void
  decided(nowMs: number, verdicts: readonly Verdict[]): void
  /** JSON-able. */
  export(): DecisionRecord
}

export interface DecisionRecord {
  base: Change[]
  batches: Batch[]
}

/** Everything told since the batch before, and the verdicts at `nowMs`. */
export interface Batch {
  changes: Change[]
  settled: { gang: string; resourceVersion: string; kind: Verdict['kind']; outcome: 'committed' | 'stale' }[]
  nowMs: number
  verdicts: readonly Verdict[]
}

export function createDecisionLog(batchesMax = 1_000): DecisionLog {
  const base = new Map<string, Change>()
  const batches: Batch[] = []
  let open: Pick<Batch, 'changes' | 'settled'> = { changes: [], settled: [] }

  function fold(change: Change): void {
    if ('deleted' in change) base.delete(`${change.kind} ${change.deleted}`)
    else base.set(`${change.kind} ${keyOf(change.object)}`, change)
  }

  return {
    told: (change) => void open.changes.push(change),
    settled: ({ gang, resourceVersion, kind }, outcome) =>
      void open.settled.push({ gang, resourceVersion, kind, outcome }),
    decided: (nowMs, verdicts) => {
      batches.push({ ...open, nowMs, verdicts })
      open = { changes: [], settled: [] }
      if (batches.length <= batchesMax) return
      for (const change of batches.shift()?.changes ?? []) fold(change)
    },
    export: () => ({ base: [...base.values()], batches: [...batches] }),
  }
}

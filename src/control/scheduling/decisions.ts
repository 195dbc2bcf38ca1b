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

/** Everything told since the batch before, in order, and the verdicts at `nowMs`. */
export interface Batch {
  inputs: Input[]
  nowMs: number
  verdicts: readonly Verdict[]
}

export type Input =
  | { change: Change }
  | { settled: { gang: string; resourceVersion: string; kind: Verdict['kind']; outcome: 'committed' | 'stale' } }

export function createDecisionLog(batchesMax = 1_000): DecisionLog {
  const base = new Map<string, Change>()
  const batches: Batch[] = []
  let inputs: Input[] = []

  function fold(input: Input): void {
    if (!('change' in input)) return
    const { change } = input
    if ('deleted' in change) base.delete(`${change.kind} ${change.deleted}`)
    else base.set(`${change.kind} ${keyOf(change.object)}`, change)
  }

  return {
    told: (change) => void inputs.push({ change }),
    settled: ({ gang, resourceVersion, kind }, outcome) =>
      void inputs.push({ settled: { gang, resourceVersion, kind, outcome } }),
    decided: (nowMs, verdicts) => {
      // A cycle that was told nothing and said nothing is no batch.
      if (inputs.length === 0 && verdicts.length === 0) return
      batches.push({ inputs, nowMs, verdicts })
      inputs = []
      if (batches.length <= batchesMax) return
      for (const input of batches.shift()?.inputs ?? []) fold(input)
    },
    export: () => ({ base: [...base.values()], batches: [...batches] }),
  }
}

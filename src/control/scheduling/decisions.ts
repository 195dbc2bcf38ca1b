import { keyOf } from '../../model/refs.ts'
import type { Change, Scheduler, Verdict } from '../../scheduler/contract.ts'

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

/** A batch that a scheduler decided otherwise than was recorded. */
export interface Difference {
  /** Its place in the record, from 0. */
  batch: number
  nowMs: number
  recorded: readonly Verdict[]
  decided: readonly Verdict[]
}

/**
 * Tells a scheduler that knows nothing yet all that was recorded, and compares what it says: up to the first batch about
 * which it says something else, for after that it lives in another world. Nobody differs from a record that was kept from
 * the scheduler's beginning on. Of one whose beginning fell out, what the scheduler had in mind beyond the objects (who
 * displaced whom, since when room was idle) is not known, and it may.
 */
export function replay({ base, batches }: DecisionRecord, scheduler: Scheduler): Difference | undefined {
  for (const change of base) scheduler.apply(change)
  const open = new Map<string, Verdict>()
  for (const [batch, { inputs, nowMs, verdicts: recorded }] of batches.entries()) {
    for (const input of inputs) {
      if ('change' in input) scheduler.apply(input.change)
      else settle(scheduler, open, input.settled)
    }
    const decided = scheduler.decide(nowMs)
    if (JSON.stringify(decided) !== JSON.stringify(recorded)) return { batch, nowMs, recorded, decided }
    for (const verdict of decided) open.set(nameOf(verdict), verdict)
  }
  return undefined
}

type Settled = Extract<Input, { settled: object }>['settled']

function settle(scheduler: Scheduler, open: Map<string, Verdict>, settled: Settled): void {
  const verdict = open.get(nameOf(settled))
  if (verdict === undefined) return // it was decided before the record begins
  open.delete(nameOf(settled))
  scheduler.settle(verdict, settled.outcome)
}

function nameOf({ gang, resourceVersion, kind }: Pick<Verdict, 'gang' | 'resourceVersion' | 'kind'>): string {
  return `${gang} ${resourceVersion} ${kind}`
}

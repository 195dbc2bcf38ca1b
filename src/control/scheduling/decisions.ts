import type { Pod } from '../../model/kinds/kubernetes.ts'
import { keyOf } from '../../model/refs.ts'
import type { Change, Verdict } from '../../scheduler/contract.ts'

/** Where decisions are recorded, a line each. */
export interface DecisionSink {
  write(line: string): void
  /** Whether the line that comes next begins a record of its own, which can be read without those before it. */
  beginsAnew(): boolean
}

/** What the scheduler of one term was told and what it said, in order. */
export interface DecisionLog {
  told(change: Change): void
  settled(verdict: Verdict, outcome: 'committed' | 'stale'): void
  decided(nowMs: number, verdicts: readonly Verdict[]): void
}

/** One line of a record, JSON. */
export type DecisionLine =
  /** A leader begins: its scheduler knows nothing yet. */
  | { epoch: number }
  /** All that the scheduler had been told when this record begins; what it had in mind beyond that is not known. */
  | { base: Change[] }
  | Batch

/** Everything told since the batch before, in order, and the verdicts at `nowMs`. */
export interface Batch {
  inputs: Input[]
  nowMs: number
  verdicts: readonly Verdict[]
}

export type Input =
  | { change: Change }
  | { settled: { gang: string; resourceVersion: string; kind: Verdict['kind']; outcome: 'committed' | 'stale' } }

export function createDecisionLog(epoch: number, sink: DecisionSink): DecisionLog {
  const known = new Map<string, Change>()
  let inputs: Input[] = []
  const say = (line: DecisionLine) => sink.write(JSON.stringify(line))
  say({ epoch })

  return {
    told: (change) => void inputs.push({ change: withoutCommands(change) }),
    settled: ({ gang, resourceVersion, kind }, outcome) =>
      void inputs.push({ settled: { gang, resourceVersion, kind, outcome } }),
    decided: (nowMs, verdicts) => {
      // A cycle that was told nothing and said nothing is no batch.
      if (inputs.length === 0 && verdicts.length === 0) return
      if (sink.beginsAnew()) say({ base: [...known.values()] })
      say({ inputs, nowMs, verdicts })
      for (const input of inputs) if ('change' in input) remember(known, input.change)
      inputs = []
    },
  }
}

function remember(known: Map<string, Change>, change: Change): void {
  if ('deleted' in change) known.delete(`${change.kind} ${change.deleted}`)
  else known.set(`${change.kind} ${keyOf(change.object)}`, change)
}

/** What a container runs, and with which environment, is nobody's business here: of a pod the scheduler reads what it takes. */
function withoutCommands(change: Change): Change {
  if (change.kind !== 'Pod' || 'deleted' in change) return change
  const { spec, ...object } = change.object
  const containers = spec.containers.map(({ name, resources }) => ({
    name,
    ...(resources === undefined ? {} : { resources }),
  }))
  const kept = { ...(spec.nodeName === undefined ? {} : { nodeName: spec.nodeName }), containers }
  return { kind: 'Pod', object: { ...object, spec: kept } as Pod }
}

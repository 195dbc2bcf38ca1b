import type { Batch, DecisionLine, Input } from '../../control/scheduling/decisions.ts'
import type { Change, Scheduler, Verdict } from '../../scheduler/contract.ts'

/** A batch that a scheduler decided otherwise than was recorded. */
export interface Difference {
  nowMs: number
  recorded: readonly Verdict[]
  decided: readonly Verdict[]
}

/**
 * Tells schedulers that know nothing yet what was recorded, and compares what they say: one a term, up to the first batch
 * about which it says something else, for after that it lives in another world. Nobody differs from a record that was
 * kept from the beginning of a term on. Of one whose beginning fell out, what the scheduler had in mind beyond the
 * objects (who displaced whom, since when room was idle) is not known, and it may.
 */
export class DecisionReplay {
  readonly #create: () => Scheduler
  readonly #open = new Map<string, Verdict>()
  scheduler: Scheduler
  terms = 0
  cycles = 0
  verdicts = 0
  nowMs = 0

  constructor(create: () => Scheduler) {
    this.#create = create
    this.scheduler = create()
  }

  /** Undefined while it says the same. */
  play(line: DecisionLine): Difference | undefined {
    if ('epoch' in line) {
      this.terms++
      this.#begin([])
    } else if ('base' in line) this.#begin(line.base)
    else return this.#decide(line)
    return undefined
  }

  #begin(base: readonly Change[]): void {
    this.scheduler = this.#create()
    this.#open.clear()
    for (const change of base) this.scheduler.apply(change)
  }

  #decide({ inputs, nowMs, verdicts: recorded }: Batch): Difference | undefined {
    for (const input of inputs) {
      if ('change' in input) this.scheduler.apply(input.change)
      else this.#settle(input.settled)
    }
    const decided = this.scheduler.decide(nowMs)
    this.cycles++
    this.verdicts += decided.length
    this.nowMs = nowMs
    if (JSON.stringify(decided) !== JSON.stringify(recorded)) return { nowMs, recorded, decided }
    for (const verdict of decided) this.#open.set(nameOf(verdict), verdict)
    return undefined
  }

  #settle(settled: Settled): void {
    const verdict = this.#open.get(nameOf(settled))
    if (verdict === undefined) return // it was decided before the record begins
    this.#open.delete(nameOf(settled))
    this.scheduler.settle(verdict, settled.outcome)
  }
}

type Settled = Extract<Input, { settled: object }>['settled']

function nameOf({ gang, resourceVersion, kind }: Pick<Verdict, 'gang' | 'resourceVersion' | 'kind'>): string {
  return `${gang} ${resourceVersion} ${kind}`
}

/** A line of a record; undefined where it is none. */
export function readDecisionLine(text: string): DecisionLine | undefined {
  try {
    const line: unknown = JSON.parse(text)
    if (typeof line !== 'object' || line === null) return undefined
    const isLine = 'epoch' in line || ('base' in line && Array.isArray(line.base)) || isBatch(line)
    return isLine ? (line as DecisionLine) : undefined
  } catch {
    return undefined
  }
}

function isBatch(line: object): boolean {
  const { inputs, nowMs, verdicts } = line as Record<string, unknown>
  return Array.isArray(inputs) && typeof nowMs === 'number' && Array.isArray(verdicts)
}

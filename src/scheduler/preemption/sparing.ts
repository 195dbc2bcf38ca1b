import type { GangState } from '../gangs.ts'
import type { Allowance, Candidate } from '../quota/candidates.ts'
import type { QuotaTree } from '../quota/tree.ts'
import { type Budgets, budgetOf } from './budgets.ts'

/** What limits are read from. */
interface Limits {
  quota: QuotaTree
  budgets: Budgets
}

/** Whose disruption budgets are passed over: nobody's, those of other queues, or everybody's. */
type Passed = 'none' | 'others' | 'all'

/**
 * Whose seats are kept from the work of a queue, and for how long: who has not had its minimum run time (that of the
 * nearest Queue of which both are part, from when the seats were given), and those of whom a disruption budget lets no
 * more go.
 */
export class Sparing {
  /** When it ends for those that had not had their minimum run time. */
  readonly ends = new Set<number>()
  /** Whether somebody of another queue came into question. */
  hasMetOthers = false
  /** What their disruption budgets let go. */
  readonly #allowances = new Map<string, Allowance>()
  readonly #barred = new Set<string>()
  readonly #limits: Limits
  readonly #queue: string
  readonly #atMs: number
  readonly #passed: Passed
  readonly #minRunMs = new Map<string, number>()

  /** As it will be at `atMs`. */
  constructor(limits: Limits, queue: string, atMs: number, passed: Passed = 'none') {
    this.#limits = limits
    this.#queue = queue
    this.#atMs = atMs
    this.#passed = passed
  }

  /** The same, but for disruption budgets. */
  passing(passed: Passed): Sparing {
    return new Sparing(this.#limits, this.#queue, this.#atMs, passed)
  }

  /** Whether somebody was passed over for a disruption budget. */
  get hasBudgetsInTheWay(): boolean {
    return [...this.#allowances.values()].some(({ isUsedUp }) => isUsedUp)
  }

  /** What other queues borrowed can be had back whatever budgets say, once nothing else would do. */
  get mayPassOthers(): boolean {
    return this.#passed === 'none' && this.hasBudgetsInTheWay
  }

  limit(candidate: Candidate, state: GangState): Candidate {
    if (candidate.queue !== this.#queue) this.hasMetOthers = true
    if (candidate.leaving) return candidate
    candidate.spared = this.#barred.has(candidate.key) || this.#hasToRun(candidate)
    const isPassed = this.#passed === 'all' || (this.#passed === 'others' && candidate.queue !== this.#queue)
    const allowance = isPassed ? undefined : this.#allowanceOf(state)
    if (allowance === undefined) return candidate
    candidate.allowance = allowance
    candidate.isReady = this.#limits.budgets.isReady(state)
    return candidate
  }

  /**
   * Nothing was found, and those who used a budget up may have been of no use, while others who share it were passed over:
   * leaves them out the next time. False when there are none.
   */
  barThoseInVain(): boolean {
    const before = this.#barred.size
    for (const allowance of this.#allowances.values()) {
      for (const gang of allowance.usedBy) this.#barred.add(gang)
      allowance.usedBy.clear()
    }
    return this.#barred.size > before && this.#barred.size <= barredMax
  }

  unbar(): void {
    this.#barred.clear()
  }

  #hasToRun({ queue, sinceMs }: Candidate): boolean {
    const minRunMs = this.#minRunIn(queue)
    const endMs = sinceMs + minRunMs
    if (minRunMs === 0 || endMs <= this.#atMs) return false
    this.ends.add(endMs)
    return true
  }

  #minRunIn(queue: string): number {
    const known = this.#minRunMs.get(queue)
    if (known !== undefined) return known
    const ms = 1000 * this.#limits.quota.minRunSeconds(this.#queue, queue)
    this.#minRunMs.set(queue, ms)
    return ms
  }

  #allowanceOf(state: GangState): Allowance | undefined {
    const budget = budgetOf(state)
    const known = this.#allowances.get(budget ?? '')
    if (budget === undefined || known !== undefined) return known
    const left = this.#limits.budgets.leftOf(state)
    const allowance = { left, isUsedUp: false, usedBy: new Set<string>() }
    this.#allowances.set(budget, allowance)
    return allowance
  }
}

/** More replicas than these are not looked through for one that is of more use. */
const barredMax = 16

import type { Report } from '../model/kinds/report.ts'
import { keyOf } from '../model/refs.ts'

/** When Reports, as they are written now, were first seen: their times are those of clocks of other machines. */
export class Heard {
  readonly #heard = new Map<string, { at: string; ms: number }>()

  /** `isNews`: it was written since we look. What was there before may be old: that its clock says, but it says nothing of what is to come. */
  hear(report: Report, nowMs: number, isNews: boolean): void {
    const { at } = report.status ?? {}
    if (at === undefined) return
    const known = this.#heard.get(keyOf(report))
    if (!isNews) this.#heard.set(keyOf(report), { at, ms: Math.min(nowMs, Date.parse(at)) })
    else if (known?.at !== at) this.#heard.set(keyOf(report), { at, ms: nowMs })
  }

  forget(report: Report): void {
    this.#heard.delete(keyOf(report))
  }

  /** By our clock, when that was which a Report tells: how long before it was written, it says by its own. */
  whenOf(report: Report, toldMs: number): number {
    const heard = this.#heard.get(keyOf(report))
    if (heard === undefined || report.status?.at === undefined) return toldMs
    return heard.ms - Math.max(0, Date.parse(report.status.at) - toldMs)
  }
}

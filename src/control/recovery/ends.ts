import type { Seat } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { isLeaving, type ReportStatus } from '../gangs.ts'
import { causeOf, comesFirst, type End, endOf } from './cause.ts'

/** One member as it is now. */
export interface Look {
  seat: Seat
  pod: Pod | undefined
  report: ReportStatus | undefined
  /** Somebody deleted its pod while the gang ran. */
  isTaken: boolean
  /** Each member of its gang tells its own steps, as where members come and go. */
  tellsItself: boolean
  /** Where they do: since when it is known that it stands still, in steady time. */
  stillSinceMs?: number | undefined
  /** Since when it is known that it has ended, in steady time. */
  overSinceMs?: number | undefined
}

/**
 * How the members of one attempt ended, one look at one member at a time: what one of them reports costs nothing of the
 * others.
 *
 * Who is silent may just not tell its steps, as mostly rank 0 alone does. So whoever told a step in this attempt hangs
 * when no more come; of the others nothing can be said while somebody told one, for ranks step together. Where nobody
 * did, the gang stands still as a whole once each of its members has had its time for the first steps. When all who told
 * steps have ended well, the others have as long again.
 */
export class Ends {
  readonly #size: number
  readonly #ends = new Map<string, End>()
  /** Without a step for too long, and they never told one. */
  readonly #mute = new Map<string, End>()
  /** Of those, who would tell them: others have left it behind where they tell theirs. */
  readonly #behind = new Set<string>()
  readonly #told = new Set<string>()
  readonly #hung = new Set<string>()
  /** Who has ended, and since when that is known, in steady time. */
  readonly #over = new Map<string, number>()
  readonly #leaving = new Set<string>()
  readonly #missing = new Set<string>()
  #first: End | undefined

  constructor(size: number) {
    this.#size = size
  }

  /** Asked to end, and still in their grace period. */
  get areLeaving(): boolean {
    return this.#leaving.size > 0
  }

  see({ seat, pod, report, isTaken, tellsItself, stillSinceMs, overSinceMs }: Look, nowMs: number): void {
    const name = seat.pod
    this.#forget(name)
    if (report?.step !== undefined) this.#told.add(name)
    if (overSinceMs !== undefined) this.#over.set(name, overSinceMs)
    if (pod !== undefined && isLeaving(pod)) this.#leaving.add(name)
    if (pod === undefined && !isTaken) this.#missing.add(name)
    const found = isTaken ? takenEnd(seat, nowMs) : endOf(seat, pod, report, nowMs)
    if (found === undefined) return
    const end = stillSinceMs === undefined ? found : { ...found, seenMs: stillSinceMs }
    if (end.kind === 'hung' && !this.#told.has(name)) {
      this.#mute.set(name, end)
      if (tellsItself) this.#behind.add(name)
      return
    }
    if (end.kind === 'hung') this.#hung.add(name)
    this.#ends.set(name, end)
    if (this.#first === undefined || comesFirst(end, this.#first)) this.#first = end
  }

  /** Those who cannot go on: that have ended and not well, and what stands still alone. */
  get failed(): string[] {
    return [...this.#ends].flatMap(([name, { kind }]) => (kind === 'hung' ? [] : [name]))
  }

  /** Those whom something ails: that have ended and not well, and what stands still. */
  get ailing(): Set<string> {
    return new Set([...this.#ends.keys(), ...this.#mute.keys()])
  }

  /** Who has ended well. */
  get done(): string[] {
    return [...this.#over.keys()].filter((name) => !this.#ends.has(name))
  }

  /** Who has no pod though others have done a step or ended: where all are made before any starts, it was deleted before we looked. */
  get vanished(): string[] {
    return this.#missing.size === 0 || this.#told.size + this.#over.size === 0 ? [] : [...this.#missing]
  }

  /** Who is known to have stood still since then, where members come and go. */
  stillSince(steadyMs: number): string[] {
    return [...this.#halted, ...this.#leftBehind].flatMap(({ pod, seenMs = Number.POSITIVE_INFINITY }) =>
      seenMs <= steadyMs ? [pod] : [],
    )
  }

  /** When those who never told a step stand still, all others having ended, in steady time; undefined: never, as things are. */
  get stallsAtMs(): number | undefined {
    const isAlone = this.#mute.size > 0 && this.#mute.size + this.#over.size >= this.#size
    if (!isAlone || [...this.#told].some((name) => !this.#over.has(name))) return undefined
    if (this.#told.size === 0) return 0
    const overMs = [...this.#told].map((name) => this.#over.get(name) ?? 0)
    const patience = [...this.#mute.values()].map(({ silentMs = 0 }) => silentMs)
    return Math.max(...overMs) + Math.max(...patience)
  }

  /** The end that the others followed from. */
  cause(steadyMs: number): End | undefined {
    if (this.#first !== undefined && this.#first.kind !== 'hung') return this.#first
    if (this.#first !== undefined && this.#hung.size === this.#told.size)
      return stalled(this.#first, this.#halted.reduce((last, end) => (isSeenFirst(last, end) ? end : last)).seenMs)
    const still = [...this.#halted, ...this.#leftBehind]
    if (still.length > 0) return still.reduce((first, end) => (isSeenFirst(end, first) ? end : first))
    if ((this.stallsAtMs ?? Number.POSITIVE_INFINITY) > steadyMs) return undefined
    const first = causeOf(this.#mute.values())
    return first === undefined ? undefined : stalled(first)
  }

  /** Those who told steps and do none. */
  get #halted(): End[] {
    return [...this.#hung].flatMap((name) => this.#ends.get(name) ?? [])
  }

  /** Where each tells his own steps: who tells none, and others do. */
  get #leftBehind(): End[] {
    return this.#told.size === 0 ? [] : [...this.#behind].flatMap((name) => this.#mute.get(name) ?? [])
  }

  #forget(name: string): void {
    for (const one of [this.#mute, this.#behind, this.#told, this.#hung, this.#over, this.#leaving, this.#missing])
      one.delete(name)
    if (!this.#ends.delete(name) || this.#first?.pod !== name) return
    this.#first = causeOf(this.#ends.values())
  }
}

/** All who tell their steps stand still: none of them can be blamed more than the others. `seenMs`: of the last of them. */
function stalled(end: End, seenMs = end.seenMs): End {
  return { ...end, kind: 'stalled', ...(seenMs === undefined ? {} : { seenMs }) }
}

function isSeenFirst(a: End, b: End): boolean {
  const apart = (a.seenMs ?? 0) - (b.seenMs ?? 0)
  return apart === 0 ? comesFirst(a, b) : apart < 0
}

function takenEnd({ pod, rank, node }: Seat, atMs: number): End {
  return { pod, rank, node, atMs, kind: 'taken', reason: 'Deleted', message: 'was deleted while its gang ran' }
}

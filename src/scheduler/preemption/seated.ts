import type { Gang } from '../../model/kinds/gang.ts'
import { priceOfStopping } from '../../model/lost-work.ts'
import { type GangState, standingOf } from '../gangs.ts'
import { type Candidate, candidateOrder } from '../quota/candidates.ts'
import { compare } from '../quota/quotas.ts'
import { Sequence } from '../quota/sequence.ts'

/**
 * Gangs that hold committed seats of one queue, in the order in which they are asked to leave: those that leave already,
 * then by priority, then by the price of their lost work. Prices rise with time, but among gangs with as many
 * accelerators, as fast, all at the same rate, and not at all where a checkpoint is written first: so each such class, and
 * that of those among it who can shrink, is kept sorted once, by the moment from which its work would be lost, and only
 * the classes are compared when somebody asks.
 */
export class Seated {
  readonly #entries = new Map<string, Entry>()
  /** Those that may be asked to leave, and those that only a person may. */
  readonly #soft: Levels = new Map()
  readonly #firm: Levels = new Map()
  readonly #leaving = new Map<string, Entry>()

  get size(): number {
    return this.#entries.size
  }

  /** Whether it can be asked for other seats than before, or by others. */
  set(state: GangState): boolean {
    const entry = entryOf(state)
    const before = this.#entries.get(state.key)
    if (before !== undefined && isSame(before, entry)) return false
    this.delete(state.key)
    this.#entries.set(state.key, entry)
    if (entry.leaving) this.#leaving.set(state.key, entry)
    else this.#classOf(entry).add(entry)
    return before === undefined || !isAskedLike(before, entry)
  }

  delete(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#leaving.delete(key)
    const levels = this.#levelsOf(entry)
    const classes = levels.get(entry.priority)
    const list = classes?.get(classKeyOf(entry))
    if (entry.leaving || classes === undefined || list === undefined) return
    list.remove(entry)
    if (list.isEmpty) classes.delete(classKeyOf(entry))
    if (classes.size === 0) levels.delete(entry.priority)
  }

  /**
   * The first to leave first. Of those that leave already only who leaves something that is kept for nobody yet
   * (`hasSpare`): whoever once had nothing to spare is not asked about again.
   */
  *inOrder(nowMs: number, hasSpare: (state: GangState) => boolean): Generator<Candidate> {
    for (const entry of this.#leaving.values()) {
      if (hasSpare(entry.state)) yield candidateOf(entry, nowMs)
      else this.#leaving.delete(entry.state.key)
    }
    yield* inOrderOf(this.#soft, nowMs)
  }

  /** Those that do not leave yet; after those that may be asked to those that only a person may stop. */
  *staying(nowMs: number): Generator<Candidate> {
    yield* inOrderOf(this.#soft, nowMs)
    yield* inOrderOf(this.#firm, nowMs)
  }

  /** Of those that may be asked to leave. */
  priorities(): Iterable<number> {
    return this.#soft.keys()
  }

  #levelsOf({ preemptible }: Entry): Levels {
    return preemptible ? this.#soft : this.#firm
  }

  #classOf(entry: Entry): Class {
    const { priority } = entry
    const levels = this.#levelsOf(entry)
    const classes = levels.get(priority) ?? new Map<number, Class>()
    levels.set(priority, classes)
    const list = classes.get(classKeyOf(entry)) ?? new Class()
    classes.set(classKeyOf(entry), list)
    return list
  }
}

/** By priority, then by what sets prices apart. */
type Levels = Map<number, Map<number, Class>>

function classKeyOf({ rate, canShrink, isFixed }: Entry): number {
  return 4 * rate + (canShrink ? 2 : 0) + (isFixed ? 1 : 0)
}

/** More than these at once are sorted in rather than inserted one by one. */
const insertedMax = 16

/**
 * Gangs of one priority and size, the cheapest last. Nobody asks for their order while there is room for everybody, so it
 * is made when somebody does: what came since is sorted in, what went is passed over until it is half of all.
 */
class Class {
  #sorted: Entry[] = []
  readonly #fresh = new Set<Entry>()
  readonly #gone = new Set<Entry>()

  /** When the last has gone, it is passed over no more. */
  get isEmpty(): boolean {
    return this.#sorted.length === 0 && this.#fresh.size === 0
  }

  add(entry: Entry): void {
    this.#fresh.add(entry)
  }

  remove(entry: Entry): void {
    if (this.#fresh.delete(entry)) return
    this.#gone.add(entry)
    if (this.#gone.size * 2 > this.#sorted.length) this.#clean()
  }

  *[Symbol.iterator](): Generator<Entry> {
    this.#sortIn()
    for (let at = this.#sorted.length - 1; at >= 0; at--) {
      const entry = this.#sorted[at]
      if (entry !== undefined && !this.#gone.has(entry)) yield entry
    }
  }

  #sortIn(): void {
    const fresh = [...this.#fresh]
    this.#fresh.clear()
    if (fresh.length > insertedMax) this.#sorted = [...this.#sorted, ...fresh].sort(dearestFirst)
    else for (const entry of fresh) this.#sorted.splice(positionIn(this.#sorted, entry), 0, entry)
  }

  #clean(): void {
    this.#sorted = this.#sorted.filter((entry) => !this.#gone.has(entry))
    this.#gone.clear()
  }
}

function* inOrderOf(levels: Levels, nowMs: number): Generator<Candidate> {
  for (const priority of [...levels.keys()].sort((a, b) => a - b)) {
    yield* cheapestFirst(levels.get(priority) ?? new Map(), nowMs)
  }
}

/** Few classes, so the cheapest of their cheapest is looked for by comparing them all. */
function* cheapestFirst(classes: ReadonlyMap<number, Class>, nowMs: number): Generator<Candidate> {
  const order = candidateOrder('')
  const heads = [...classes.values()].map((list) => new Sequence(candidatesOf(list, nowMs)))
  for (;;) {
    let [best, head] = [undefined as Candidate | undefined, undefined as Sequence<Candidate> | undefined]
    for (const one of heads) {
      const candidate = one.peek()
      if (candidate === undefined || (best !== undefined && order(candidate, best) >= 0)) continue
      ;[best, head] = [candidate, one]
    }
    if (best === undefined) return
    head?.pop()
    yield best
  }
}

function* candidatesOf(entries: Iterable<Entry>, nowMs: number): Generator<Candidate> {
  for (const entry of entries) yield candidateOf(entry, nowMs)
}

interface Entry {
  state: GangState
  uid: string
  priority: number
  /** Milli-accelerators at full speed: how fast its price rises. */
  rate: number
  sinceMs: number
  /**
   * Since its last durable checkpoint, or its seats; earlier by what a restart costs. Where its price is fixed, as if now
   * were 0.
   */
  lostFromMs: number
  /** It writes a checkpoint before it stops, whenever that is. */
  isFixed: boolean
  leaving: boolean
  preemptible: boolean
  canShrink: boolean
}

function entryOf(state: GangState): Entry {
  const { metadata, spec, status } = state.object
  let milli = 0
  for (const held of state.holds.values()) milli += held
  const rate = Math.round(milli * (status?.seats?.speed ?? 1))
  const sinceMs = timeOf(status?.seats?.at) ?? 0
  return {
    state,
    uid: metadata.uid ?? '',
    priority: standingOf(spec),
    rate,
    sinceMs,
    lostFromMs: lostFrom(status, sinceMs),
    isFixed: status?.checkpointRequestSeconds !== undefined,
    leaving: state.leaving || status?.eviction?.attempt === spec.attempt,
    preemptible: spec.preemptible,
    canShrink: isAboveFloor(state.object),
  }
}

function isAboveFloor({ spec, status }: Gang): boolean {
  const needed = spec.groups.reduce((sum, { min }) => sum + min, 0)
  return needed < (status?.seats?.members.length ?? 0)
}

function lostFrom(status: Gang['status'], sinceMs: number): number {
  const checkpointAtMs = timeOf(status?.checkpoint?.at)
  const onRequestSeconds = status?.checkpointRequestSeconds
  const { gpuSeconds } = priceOfStopping(
    { gpus: 1, sinceMs, checkpointAtMs, onRequestSeconds, restartSeconds: status?.restartSeconds },
    sinceMs,
  )
  if (onRequestSeconds !== undefined) return -1000 * gpuSeconds
  return Math.max(sinceMs, checkpointAtMs ?? sinceMs) - 1000 * gpuSeconds
}

function timeOf(timestamp: string | undefined): number | undefined {
  const ms = timestamp === undefined ? Number.NaN : Date.parse(timestamp)
  return Number.isNaN(ms) ? undefined : ms
}

function candidateOf(
  { state, uid, priority, rate, sinceMs, lostFromMs, isFixed, leaving, preemptible, canShrink }: Entry,
  nowMs: number,
): Candidate {
  const { key, object, holds } = state
  const candidate: Candidate = {
    key,
    uid,
    queue: object.spec.queue,
    priority,
    createdAt: object.metadata.creationTimestamp ?? '',
    sinceMs,
    leaving,
    preemptible,
    holds,
    canShrink,
    price: (Math.max(0, (isFixed ? 0 : nowMs) - lostFromMs) / 1000) * (rate / 1000),
  }
  return state.leaving ? { ...candidate, uncharged: true } : candidate
}

function isSame(a: Entry, b: Entry): boolean {
  return (
    isAskedLike(a, b) && a.sinceMs === b.sinceMs && a.lostFromMs === b.lostFromMs && classKeyOf(a) === classKeyOf(b)
  )
}

/** Price and age aside: they say who is asked first, not who may be. */
function isAskedLike(a: Entry, b: Entry): boolean {
  return (
    a.priority === b.priority &&
    a.rate === b.rate &&
    a.leaving === b.leaving &&
    a.preemptible === b.preemptible &&
    a.uid === b.uid
  )
}

/** Where it stands, or would stand: those whose work is lost from earlier on before it. */
function positionIn(list: readonly Entry[], entry: Entry): number {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const other = list[middle]
    if (other !== undefined && dearestFirst(other, entry) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function dearestFirst(a: Entry, b: Entry): number {
  return (
    a.lostFromMs - b.lostFromMs || a.sinceMs - b.sinceMs || compare(b.uid, a.uid) || compare(b.state.key, a.state.key)
  )
}

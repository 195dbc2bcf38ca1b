import { holdNow } from '../../control/gangs.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease, Node } from '../../model/kinds/kubernetes.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { serviceOf } from '../../scheduler/gangs.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/**
 * Displacing goes in no circle: under one leader nobody displaces whoever displaced it, or displaced that one, and so on, since
 * those ended or had a step more of accelerator-time, and since the queues and what nodes have changed. Once for each pair a
 * lender may, for what its queue owns. The replicas of a service are one in this, for another comes in the place of each that
 * is displaced; they end with one that nobody displaced, or the last.
 */
export class Cycles implements Invariant {
  readonly name = 'cycles'
  readonly #gangs = new Map<string, Gang>()
  /** Replicas that were displaced. */
  readonly #displaced = new Set<string>()
  /** By gang or service, who displaced it. */
  readonly #by = new Map<string, Set<string>>()
  /** Pairs in which a lender took back what is its own. */
  readonly #tookBack = new Set<string>()
  /** When gangs ended, or had a step more. */
  readonly #changedMs = new Map<string, number>()
  readonly #specs = new Map<string, string>()
  #clearedMs = Number.NEGATIVE_INFINITY
  #epoch = -1

  check({ kind, type, object }: Entry, nowMs: number): string | undefined {
    if (kind === 'Lease') {
      const { leaseTransitions = 0 } = (object as Lease).spec ?? {}
      // A new leader remembers nothing.
      if (leaseTransitions !== this.#epoch) this.#clear()
      this.#epoch = leaseTransitions
    }
    const isGone = type === 'DELETED'
    if (kind === 'Queue') this.#seeSpec(`queue ${keyOf(object)}`, isGone ? undefined : (object as Queue).spec, nowMs)
    if (kind === 'Node')
      this.#seeSpec(`node ${keyOf(object)}`, isGone ? undefined : (object as Node).status?.allocatable, nowMs)
    if (kind !== 'Gang') return undefined
    const gang = object as Gang
    const key = keyOf(gang)
    const before = this.#gangs.get(key)
    if (isGone) this.#end(key, gang, nowMs)
    else this.#gangs.set(key, gang)
    if (before !== undefined && before.spec.served !== gang.spec.served) this.#forget(key, nowMs)
    const { hold } = gang.status ?? {}
    if (isGone || hold === undefined || hold.at === before?.status?.hold?.at) return undefined
    const displacing = hold.victims.filter(({ gang: victim, movesTo }) => movesTo === undefined && victim !== key)
    // Who leaves for another already is not displaced by this one.
    const own = displacing.filter(({ gang: victim, attempt }) => {
      const { by } = this.#gangs.get(victim)?.status?.eviction ?? {}
      return by === undefined ? !this.#isHeld(victim, attempt, key) : by === key
    })
    const side = sideOf(gang)
    const displacers = this.#displacersOf(side)
    for (const { gang: victim, reason } of own) {
      const other = this.#sideOf(victim)
      if (!displacers.has(other)) continue
      const pair = `${side}\n${other}`
      if (reason !== 'InCohortReclamation' || this.#tookBack.has(pair))
        return `gang ${key} displaces ${victim} (${reason}), which had displaced it, or who did`
      this.#tookBack.add(pair)
      this.#by.delete(side)
    }
    for (const { gang: victim } of own) {
      const other = this.#sideOf(victim)
      if (other !== victim) this.#displaced.add(victim)
      if (other !== side) this.#add(other, side, nowMs)
    }
    return undefined
  }

  #sideOf(key: string): string {
    const gang = this.#gangs.get(key)
    return gang === undefined ? key : sideOf(gang)
  }

  #end(key: string, gang: Gang, nowMs: number): void {
    this.#gangs.delete(key)
    const side = sideOf(gang)
    const isReplaced = this.#displaced.delete(key) && [...this.#gangs.values()].some((other) => sideOf(other) === side)
    if (!isReplaced) this.#forget(side, nowMs)
  }

  /** Whoever decides may hear only later of a change after which all, or one of the two, began anew, and forget this then. */
  #add(victim: string, by: string, nowMs: number): void {
    const isRecent = (ms = Number.NEGATIVE_INFINITY) => nowMs - ms <= heardMs
    if (isRecent(this.#clearedMs) || isRecent(this.#changedMs.get(victim)) || isRecent(this.#changedMs.get(by))) return
    this.#by.set(victim, (this.#by.get(victim) ?? new Set()).add(by))
  }

  /** Another has held its seats already, and is about to ask for them. */
  #isHeld(victim: string, attempt: number, by: string): boolean {
    return [...this.#gangs].some(
      ([other, gang]) =>
        other !== by &&
        holdNow(gang)?.victims.some(
          (one) => one.gang === victim && one.attempt === attempt && one.movesTo === undefined,
        ),
    )
  }

  #displacersOf(gang: string): ReadonlySet<string> {
    const found = new Set<string>()
    const open = [gang]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const by of this.#by.get(next) ?? []) {
        if (found.has(by)) continue
        found.add(by)
        open.push(by)
      }
    }
    return found
  }

  #seeSpec(key: string, spec: unknown, nowMs: number): void {
    const text = JSON.stringify(spec) ?? ''
    if (this.#specs.get(key) === text) return
    if (spec === undefined) this.#specs.delete(key)
    else this.#specs.set(key, text)
    this.#clear()
    this.#clearedMs = nowMs
  }

  #forget(gang: string, nowMs: number): void {
    this.#changedMs.delete(gang)
    this.#changedMs.set(gang, nowMs)
    for (const [oldest, atMs] of this.#changedMs) {
      if (nowMs - atMs <= heardMs) break
      this.#changedMs.delete(oldest)
    }
    this.#by.delete(gang)
    for (const [victim, by] of this.#by) if (by.delete(gang) && by.size === 0) this.#by.delete(victim)
    for (const pair of this.#tookBack) if (pair.split('\n').includes(gang)) this.#tookBack.delete(pair)
  }

  #clear(): void {
    this.#by.clear()
    this.#tookBack.clear()
    this.#displaced.clear()
  }
}

/** Its service, of a replica; else itself. */
function sideOf(gang: Gang): string {
  return serviceOf(gang) ?? keyOf(gang)
}

/** After so long whoever decides has heard of it. */
const heardMs = 60_000

import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Lease, Node, Pod } from '../../model/kinds/kubernetes.ts'
import type { Report } from '../../model/kinds/report.ts'
import { label } from '../../model/names.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { Terms } from './terms.ts'

/**
 * No accelerator, or share of one, is promised twice: neither by two gangs' seats, nor by seats and a pod that still
 * lives, nor are seats given on what is held for somebody else, nor on a node that takes no work. A gang's seats number
 * between its fewest and its most members, unless all who sit have ended well, or come to join those, and so does what is held for it; and no
 * pod is bound elsewhere than on its seat, or for a gang that wants none.
 */
export class Seats implements Invariant {
  readonly name = 'seats'
  readonly #gangs = new Map<string, Gang>()
  /** By `node device`, then pod: what it takes. */
  readonly #used = new Map<string, Map<string, number>>()
  readonly #held = new Map<string, Map<string, number>>()
  /** Seats that a pod has, or had when it was bound. */
  readonly #seats = new Map<string, Seat>()
  readonly #live = new Set<string>()
  /** Pods that have ended well, and, by uid, of which that has been told. */
  readonly #done = new Set<string>()
  readonly #toldDone = new Set<string>()
  /** Since when nodes take no work, and gangs want no seats. */
  readonly #closedMs = new Map<string, number>()
  readonly #suspendedMs = new Map<string, number>()
  /** Pods whose seats are void, since when. */
  readonly #voidMs = new Map<string, number>()
  readonly #lateMs: number
  readonly #terms = new Terms()

  /** `lateMs`: so long after it was sent a write may arrive. */
  constructor(lateMs: number) {
    this.#lateMs = lateMs
  }

  /** What it keeps as it goes along: for whoever compares it with what there is. */
  get index(): SeatIndex {
    return { seats: this.#seats, used: this.#used, held: this.#held, live: this.#live, done: this.#done }
  }

  check({ kind, type, object }: Entry, nowMs: number, by: string | undefined): string | undefined {
    if (kind === 'Lease') this.#terms.see(object as Lease, nowMs)
    if (kind === 'Node') this.#seeNode(object as Node, nowMs)
    if (kind === 'Report') this.#seeReport(object as Report)
    if (kind === 'Gang') return this.#seeGang(object as Gang, type === 'DELETED', nowMs, by)
    if (kind === 'Pod') return this.#seePod(object as Pod, type === 'DELETED', nowMs, by)
    return undefined
  }

  #seeNode({ metadata, spec, status }: Node, nowMs: number): void {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready')
    const isOpen = spec?.unschedulable !== true && (ready === undefined || ready.status === 'True')
    if (isOpen) this.#closedMs.delete(metadata.name)
    else if (!this.#closedMs.has(metadata.name)) this.#closedMs.set(metadata.name, nowMs)
  }

  /** An agent tells how a pod ended before it writes the pod's phase. */
  #seeReport({ metadata, spec, status }: Report): void {
    const { name, uid } = spec.pod ?? {}
    if (name === undefined || uid === undefined || status?.ended?.exitCode !== 0) return
    this.#toldDone.add(uid)
    this.#done.add(`${metadata.namespace}/${name}`)
  }

  #seeGang(gang: Gang, isGone: boolean, nowMs: number, by: string | undefined): string | undefined {
    const key = keyOf(gang)
    const before = this.#gangs.get(key)
    const was = before === undefined ? [] : seatsOf(before)
    const now = isGone ? [] : seatsOf(gang)
    if (isGone) this.#gangs.delete(key)
    else this.#gangs.set(key, gang)
    if (before !== undefined) this.#hold(before, -1)
    if (!isGone) this.#hold(gang, 1)
    if (isGone || !gang.spec.suspend) this.#suspendedMs.delete(key)
    else if (!this.#suspendedMs.has(key)) this.#suspendedMs.set(key, nowMs)
    const { hold } = isGone ? {} : (gang.status ?? {})
    if (hold !== undefined && hold.at !== before?.status?.hold?.at) {
      const partial = this.#whole(gang, hold.members)
      if (partial !== undefined) return `${partial}, held`
    }
    const { seats } = isGone ? {} : (gang.status ?? {})
    const isGiven = before !== undefined && seats !== undefined && seats.at !== before.status?.seats?.at
    if (isGiven && gang.spec.suspend) return `gang ${key} is given seats, and wants none`
    if (isGiven && seats.attempt !== gang.spec.attempt)
      return `gang ${key} is given seats for attempt ${seats.attempt}, and is at attempt ${gang.spec.attempt}`
    const had = new Set(was.map(placeOf))
    const given = now.filter((seat) => !had.has(placeOf(seat)))
    if (given.length === 0 && now.length === was.length) return undefined
    for (const seat of was) {
      this.#makeVoid(podKey(gang, seat.pod), nowMs)
      this.#release(podKey(gang, seat.pod), 'seat')
    }
    for (const seat of now) this.#take(podKey(gang, seat.pod), seat)
    return (
      this.#whole(gang, now) ??
      this.#open(gang, was, now, nowMs, by) ??
      this.#disjoint(now) ??
      this.#besideHeld(gang, given)
    )
  }

  /** A pod may be bound for it for a while; from then on it is as if it had never been. */
  #makeVoid(pod: string, nowMs: number): void {
    this.#voidMs.delete(pod)
    this.#voidMs.set(pod, nowMs)
    for (const [oldest, sinceMs] of this.#voidMs) {
      if (nowMs - sinceMs <= Math.max(this.#lateMs, goneMs)) break
      this.#voidMs.delete(oldest)
    }
  }

  #seePod(pod: Pod, isGone: boolean, nowMs: number, by: string | undefined): string | undefined {
    const key = keyOf(pod)
    const isDone = pod.status?.phase === 'Succeeded' || this.#toldDone.has(pod.metadata.uid ?? '')
    if (!isGone && isDone) this.#done.add(key)
    else this.#done.delete(key)
    if (isGone) this.#toldDone.delete(pod.metadata.uid ?? '')
    const isLive = !isGone && pod.spec.nodeName !== undefined && !isOver(pod)
    if (!isLive) {
      if (this.#live.delete(key)) this.#release(key, 'pod')
      return undefined
    }
    if (this.#live.has(key)) return undefined
    this.#live.add(key)
    const gangName = pod.metadata.labels?.[label.gang]
    if (gangName === undefined) return undefined
    const gang = this.#gangs.get(`${pod.metadata.namespace}/${gangName}`)
    const seat = gang === undefined ? undefined : seatsOf(gang).find((one) => one.pod === pod.metadata.name)
    // Whoever binds does not write the end of a gang, and may hear of it later.
    const lateMs = gang === undefined ? Math.max(this.#lateMs, goneMs) : this.#lateMs
    const isLate = lateMs > 0 && nowMs - (this.#voidMs.get(key) ?? Number.NEGATIVE_INFINITY) <= lateMs
    if (seat === undefined) return isLate ? undefined : `pod ${key} is bound, and its gang has no seat for it`
    const suspendedMs = this.#suspendedMs.get(`${pod.metadata.namespace}/${gangName}`) ?? nowMs
    if (this.#terms.knew(by, suspendedMs, nowMs)) return `pod ${key} is bound, and its gang wants no seats`
    if (seat.node !== pod.spec.nodeName)
      return `pod ${key} is bound to ${pod.spec.nodeName}, its seat is on ${seat.node}`
    return undefined
  }

  /** Seats that are new lie on nodes that take work, for all that can be known. */
  #open(
    gang: Gang,
    was: readonly Seat[],
    now: readonly Seat[],
    nowMs: number,
    by: string | undefined,
  ): string | undefined {
    const before = new Set(was.map(({ node }) => node))
    for (const { node } of now) {
      const closedMs = this.#closedMs.get(node) ?? nowMs
      if (!before.has(node) && this.#terms.knew(by, closedMs, nowMs))
        return `gang ${keyOf(gang)} has a seat on ${node}, which has taken no work for ${nowMs - closedMs} ms`
    }
    return undefined
  }

  #take(pod: string, seat: Seat): void {
    this.#seats.set(pod, seat)
    for (const { id, milli } of seat.devices) usersOf(this.#used, `${seat.node} ${id}`).set(pod, milli)
  }

  /** A pod that lives keeps what its seat gave it, and a seat what it names. */
  #release(pod: string, what: 'seat' | 'pod'): void {
    const seat = this.#seats.get(pod)
    if (seat === undefined) return
    if (what === 'seat' && this.#live.has(pod)) return
    if (what === 'pod' && this.#isSeated(pod)) return
    this.#seats.delete(pod)
    for (const { id } of seat.devices) this.#used.get(`${seat.node} ${id}`)?.delete(pod)
  }

  #isSeated(pod: string): boolean {
    const [namespace, name] = pod.split('/')
    for (const gang of this.#gangs.values())
      if (gang.metadata.namespace === namespace && seatsOf(gang).some((seat) => seat.pod === name)) return true
    return false
  }

  #hold(gang: Gang, sign: 1 | -1): void {
    const { hold } = gang.status ?? {}
    if (hold === undefined || hold.attempt !== gang.spec.attempt) return
    for (const { pod, node, devices } of hold.members) {
      for (const { id, milli } of devices) {
        const holders = usersOf(this.#held, `${node} ${id}`)
        if (sign > 0) holders.set(podKey(gang, pod), milli)
        else holders.delete(podKey(gang, pod))
      }
    }
  }

  /** Of whoever moves: what is kept for him is for it, also when he starts again meanwhile. */
  #comesInPlaceOf({ metadata, spec }: Gang, holder: string): boolean {
    const { name, uid } = spec.replaces ?? {}
    const moving = this.#gangs.get(`${metadata.namespace}/${name}`)
    if (name === undefined || moving?.metadata.uid !== uid) return false
    return (moving?.status?.hold?.members ?? []).some(({ pod }) => podKey(moving as Gang, pod) === holder)
  }

  #whole(gang: Gang, seats: readonly Seat[]): string | undefined {
    if (seats.length === 0) return undefined
    const isDone = ({ pod }: Seat) => this.#done.has(podKey(gang, pod))
    if (seats.some(isDone) && seats.every((seat) => isDone(seat) || seat.joined === true)) return undefined
    for (const { name, min, max } of gang.spec.groups) {
      const count = seats.filter(({ group }) => group === name).length
      if (count < min || count > max)
        return `gang ${keyOf(gang)} has ${count} seats in group ${name}, where it wants ${min} to ${max}`
    }
    return undefined
  }

  #disjoint(seats: readonly Seat[]): string | undefined {
    for (const { node, devices } of seats) {
      for (const { id } of devices) {
        const users = usersOf(this.#used, `${node} ${id}`)
        if (sum(users) > 1000) return `${id} of ${node} is promised twice: to ${[...users.keys()].join(' and ')}`
      }
    }
    return undefined
  }

  /** What members have that stay may be held for somebody, who gets it once they have left. */
  #besideHeld(gang: Gang, given: readonly Seat[]): string | undefined {
    for (const { node, devices, pod } of given) {
      for (const { id } of devices) {
        const users = usersOf(this.#used, `${node} ${id}`)
        const held = [...(this.#held.get(`${node} ${id}`) ?? [])].filter(
          ([holder]) => !users.has(holder) && !this.#comesInPlaceOf(gang, holder),
        )
        const others = held.reduce((total, [, milli]) => total + milli, 0)
        if (others > 0 && sum(users) + others > 1000)
          return `${id} of ${node} is given to ${keyOf(gang)} (${pod}), and was held for ${held.map(([holder]) => holder).join(', ')}`
      }
    }
    return undefined
  }
}

export interface SeatIndex {
  /** By pod. */
  readonly seats: ReadonlyMap<string, Seat>
  /** By `node device`, then pod: thousandths. */
  readonly used: ReadonlyMap<string, ReadonlyMap<string, number>>
  readonly held: SeatIndex['used']
  /** Pods that are bound and not over, and those that have ended well. */
  readonly live: ReadonlySet<string>
  readonly done: ReadonlySet<string>
}

/** After a gang has gone. */
const goneMs = 5_000

function seatsOf(gang: Gang): readonly Seat[] {
  return seatsNow(gang)?.members ?? []
}

function placeOf({ pod, node }: Seat): string {
  return `${pod} ${node}`
}

function usersOf(map: Map<string, Map<string, number>>, device: string): Map<string, number> {
  const known = map.get(device)
  if (known !== undefined) return known
  const users = new Map<string, number>()
  map.set(device, users)
  return users
}

function sum(users: ReadonlyMap<string, number>): number {
  let total = 0
  for (const milli of users.values()) total += milli
  return total
}

function isOver({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
}

export function keyOf({ metadata }: { metadata: { name: string; namespace?: string | undefined } }): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}

function podKey(gang: Gang, pod: string): string {
  return `${gang.metadata.namespace ?? ''}/${pod}`
}

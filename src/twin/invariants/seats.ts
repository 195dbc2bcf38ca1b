import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'

/**
 * No accelerator, or share of one, is promised twice: neither by two gangs' seats, nor by seats and a pod that still
 * lives, nor are seats given on what is held for somebody else. A gang's seats number between its fewest and its most
 * members, and no pod is bound elsewhere than on its seat.
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

  check({ kind, type, object }: Entry): string | undefined {
    if (kind === 'Gang') return this.#seeGang(object as Gang, type === 'DELETED')
    if (kind === 'Pod') return this.#seePod(object as Pod, type === 'DELETED')
    return undefined
  }

  #seeGang(gang: Gang, isGone: boolean): string | undefined {
    const key = keyOf(gang)
    const before = this.#gangs.get(key)
    const was = before === undefined ? [] : seatsOf(before)
    const now = isGone ? [] : seatsOf(gang)
    if (isGone) this.#gangs.delete(key)
    else this.#gangs.set(key, gang)
    if (before !== undefined) this.#hold(before, -1)
    if (!isGone) this.#hold(gang, 1)
    if (sameSeats(was, now)) return undefined
    for (const seat of was) this.#release(podKey(gang, seat.pod), 'seat')
    for (const seat of now) this.#take(podKey(gang, seat.pod), seat)
    return this.#whole(gang, now) ?? this.#disjoint(gang, now)
  }

  #seePod(pod: Pod, isGone: boolean): string | undefined {
    const key = keyOf(pod)
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
    if (seat === undefined) return `pod ${key} is bound, and its gang has no seat for it`
    if (seat.node !== pod.spec.nodeName)
      return `pod ${key} is bound to ${pod.spec.nodeName}, its seat is on ${seat.node}`
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

  #whole(gang: Gang, seats: readonly Seat[]): string | undefined {
    if (seats.length === 0) return undefined
    for (const { name, min, max } of gang.spec.groups) {
      const count = seats.filter(({ group }) => group === name).length
      if (count < min || count > max)
        return `gang ${keyOf(gang)} has ${count} seats in group ${name}, where it wants ${min} to ${max}`
    }
    return undefined
  }

  #disjoint(gang: Gang, seats: readonly Seat[]): string | undefined {
    for (const { node, devices, pod } of seats) {
      for (const { id } of devices) {
        const users = this.#used.get(`${node} ${id}`) ?? new Map<string, number>()
        if (sum(users) > 1000) return `${id} of ${node} is promised twice: to ${[...users.keys()].join(' and ')}`
        const held = [...(this.#held.get(`${node} ${id}`) ?? [])].filter(([holder]) => !users.has(holder))
        const others = held.reduce((total, [, milli]) => total + milli, 0)
        if (others > 0 && sum(users) + others > 1000)
          return `${id} of ${node} is given to ${keyOf(gang)} (${pod}), and was held for ${held.map(([holder]) => holder).join(', ')}`
      }
    }
    return undefined
  }
}

function seatsOf({ spec, status }: Gang): readonly Seat[] {
  return status?.seats !== undefined && status.seats.attempt === spec.attempt ? status.seats.members : []
}

function sameSeats(a: readonly Seat[], b: readonly Seat[]): boolean {
  return (
    a === b || (a.length === b.length && a.every((seat, at) => seat.pod === b[at]?.pod && seat.node === b[at]?.node))
  )
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

import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { LedgerPage } from '../../model/kinds/ledger-page.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Accounts } from './accounts.ts'
import type { Invariant } from './contract.ts'
import { keyOf, type SeatIndex, type Seats } from './seats.ts'

/** By `node device`, then pod: thousandths. */
type Use = Map<string, Map<string, number>>

/** Writes from one audit to the next. */
export const auditEvery = 1000

/**
 * What the rules keep as they go along is what there is: with every thousandth write it is made anew from all gangs and pods,
 * and from the ledger's pages that were written since. No accelerator is seated or held twice, whatever the order of writes
 * was, and a gang sits between its fewest and its most members.
 */
export class Audit implements Invariant {
  readonly name = 'audit'
  readonly #seats: Pick<Seats, 'index'>
  readonly #accounts: Pick<Accounts, 'pages'>
  readonly #gangs = new Map<string, Gang>()
  readonly #pods = new Map<string, Pod>()
  /** Written since the last audit. */
  readonly #touched = new Map<string, LedgerPage | undefined>()
  #writes = 0
  readonly #every: number

  constructor(seats: Pick<Seats, 'index'>, accounts: Pick<Accounts, 'pages'>, every = auditEvery) {
    this.#seats = seats
    this.#accounts = accounts
    this.#every = every
  }

  check({ kind, type, object }: Entry): string | undefined {
    const isGone = type === 'DELETED'
    if (kind === 'Gang') keep(this.#gangs, object as Gang, isGone)
    else if (kind === 'Pod') keep(this.#pods, object as Pod, isGone)
    else if (kind === 'LedgerPage') this.#touched.set(object.metadata.name, isGone ? undefined : (object as LedgerPage))
    return ++this.#writes % this.#every === 0 ? this.#look() : undefined
  }

  #look(): string | undefined {
    const { seats, used, held, live, done } = this.#seats.index
    const seated = new Map<string, Seat>()
    const holds: Use = new Map()
    for (const gang of this.#gangs.values()) {
      for (const seat of seatsNow(gang)?.members ?? []) seated.set(podKey(gang, seat.pod), seat)
      const { hold } = gang.status ?? {}
      if (hold?.attempt === gang.spec.attempt)
        for (const seat of hold.members) take(holds, podKey(gang, seat.pod), seat)
    }
    const living = new Set([...this.#pods].flatMap(([key, pod]) => (isLive(pod) ? [key] : [])))
    const all = new Map(seated)
    for (const [pod, seat] of seats) if (!seated.has(pod) && living.has(pod)) all.set(pod, seat)
    const uses: Use = new Map()
    for (const [pod, seat] of all) take(uses, pod, seat)
    return (
      twice(uses, 'seated') ??
      twice(holds, 'held') ??
      this.#partly(done) ??
      differs('pods that live', only(living, live), only(live, living)) ??
      differs('seats', only(all, seats, isSameSeat), only(seats, all, isSameSeat)) ??
      differs('accelerators in use', ...between(uses, used)) ??
      differs('accelerators held', ...between(holds, held)) ??
      this.#pages()
    )
  }

  #partly(done: ReadonlySet<string>): string | undefined {
    for (const gang of this.#gangs.values()) {
      const members = seatsNow(gang)?.members ?? []
      if (members.length === 0 || members.some(({ pod }) => done.has(podKey(gang, pod)))) continue
      for (const { name, min, max } of gang.spec.groups) {
        const count = members.filter(({ group }) => group === name).length
        if (count < min || count > max)
          return `gang ${keyOf(gang)} has ${count} seats in group ${name}, where it wants ${min} to ${max}`
      }
    }
    return undefined
  }

  #pages(): string | undefined {
    const { pages } = this.#accounts
    for (const [name, page] of this.#touched) {
      const status = page?.status
      const known = pages.get(name)
      const sum = [...(status?.entries ?? []), ...(status?.provisional ?? [])].reduce((all, one) => all + one.slotMs, 0)
      if (status !== undefined && sum !== status.capacitySlotMs)
        return `page ${name} accounts for ${sum} of ${status.capacitySlotMs} slot-milliseconds`
      if (known?.capacitySlotMs !== status?.capacitySlotMs || known?.throughMs !== status?.throughMs)
        return `page ${name} is kept as another than it is`
    }
    this.#touched.clear()
    return undefined
  }
}

function keep<T extends Gang | Pod>(all: Map<string, T>, object: T, isGone: boolean): void {
  if (isGone) all.delete(keyOf(object))
  else all.set(keyOf(object), object)
}

function podKey({ metadata }: Gang, pod: string): string {
  return `${metadata.namespace ?? ''}/${pod}`
}

function isLive({ spec, status }: Pod): boolean {
  return spec.nodeName !== undefined && status?.phase !== 'Succeeded' && status?.phase !== 'Failed'
}

function take(all: Use, pod: string, { node, devices }: Pick<Seat, 'node' | 'devices'>): void {
  for (const { id, milli } of devices) {
    const device = `${node} ${id}`
    const users = all.get(device)
    if (users === undefined) all.set(device, new Map([[pod, milli]]))
    else users.set(pod, milli)
  }
}

function twice(all: Use, how: string): string | undefined {
  for (const [device, users] of all) {
    if (users.size === 1) continue
    let sum = 0
    for (const milli of users.values()) sum += milli
    if (sum > 1000) return `${device} is ${how} twice: ${[...users.keys()].join(' and ')}`
  }
  return undefined
}

function isSameSeat(a: Seat, b: Seat): boolean {
  if (a === b || a.devices === b.devices) return a.node === b.node
  const isSame = (device: Seat['devices'][number], at: number) =>
    device.id === b.devices[at]?.id && device.milli === b.devices[at]?.milli
  return a.node === b.node && a.devices.length === b.devices.length && a.devices.every(isSame)
}

/** The first that `all` has and `others` lacks, or has otherwise. */
function only<T>(
  all: ReadonlyMap<string, T> | ReadonlySet<string>,
  others: ReadonlyMap<string, T> | ReadonlySet<string>,
  isSame?: (a: T, b: T) => boolean,
): string | undefined {
  for (const key of all.keys()) {
    if (!others.has(key)) return key
    if (isSame === undefined || !('get' in all) || !('get' in others)) continue
    const [a, b] = [all.get(key), others.get(key)]
    if (a !== undefined && b !== undefined && !isSame(a, b)) return key
  }
  return undefined
}

function between(is: Use, index: SeatIndex['used']): [string | undefined, string | undefined] {
  return [beyond(is, index), beyond(index, is)]
}

function beyond(all: SeatIndex['used'], others: SeatIndex['used']): string | undefined {
  for (const [device, users] of all)
    for (const [pod, milli] of users) if (others.get(device)?.get(pod) !== milli) return `${device} by ${pod}`
  return undefined
}

function differs(what: string, missing: string | undefined, beside: string | undefined): string | undefined {
  if (missing !== undefined) return `${what}: ${missing} is not as it is kept`
  return beside === undefined ? undefined : `${what}: ${beside} is kept, and is not so`
}

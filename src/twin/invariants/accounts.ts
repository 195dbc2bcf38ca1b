import type { Node } from '../../model/kinds/kubernetes.ts'
import type { LedgerPage } from '../../model/kinds/ledger-page.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'

type Status = NonNullable<LedgerPage['status']>

/**
 * Every slot-millisecond is in exactly one bucket: the entries of a page add up to its capacity, and that to all that its
 * node had while the page was kept, also while nobody kept it. While there is no such Node there is nothing to account for.
 */
export class Accounts implements Invariant {
  readonly name = 'accounts'
  readonly #pages = new Map<string, Status>()
  /** By node and accelerator, when each page begins. The first, which may be written late, does when the node came. */
  readonly #begins = new Map<string, Map<string, number>>()
  /** How often each node was deleted of which no page has a gap for that yet. */
  readonly #left = new Map<string, number>()

  /** As they were written last. */
  get pages(): ReadonlyMap<string, Status> {
    return this.#pages
  }

  check({ kind, type, object }: Entry): string | undefined {
    if (kind === 'Node' && type === 'DELETED') this.#seeGone((object as Node).metadata.name)
    if (kind !== 'LedgerPage') return undefined
    const { metadata, spec, status } = object as LedgerPage
    const { name } = metadata
    const bank = `${spec.node} ${spec.accelerator}`
    const begins = this.#begins.get(bank) ?? new Map<string, number>()
    // What it accounted for is in a page of a whole day now.
    if (type === 'DELETED') {
      this.#pages.delete(name)
      begins.delete(name)
      return undefined
    }
    if (status === undefined) return undefined
    this.#begins.set(bank, begins.set(name, spec.fromMs))
    const before = this.#pages.get(name)
    this.#pages.set(name, status)
    const entries = status.entries.reduce((sum, { slotMs }) => sum + slotMs, 0)
    const provisional = status.provisional.reduce((sum, { slotMs }) => sum + slotMs, 0)
    if (entries + provisional !== status.capacitySlotMs)
      return `page ${name} accounts for ${entries + provisional} of ${status.capacitySlotMs} slot-milliseconds`
    const isFirst = ![...begins.values()].some((beginsMs) => beginsMs < spec.fromMs)
    const fromMs = before?.throughMs ?? (isFirst ? undefined : spec.fromMs)
    if (fromMs === undefined || before?.slots === 0) return undefined
    const had = status.slots * (status.throughMs - fromMs)
    const accounted = status.capacitySlotMs - (before?.capacitySlotMs ?? 0)
    if (accounted === had) return undefined
    // Put together, pages come to what they came to apart, gaps included.
    if (accounted === this.#apart(name, begins, fromMs, status.throughMs)) return undefined
    return accounted < had && this.#isGap(spec.node)
      ? undefined
      : `page ${name} accounts for ${accounted} slot-milliseconds more, and its node had ${had}`
  }

  /** What the other pages that lie between come to; undefined: there is none. */
  #apart(name: string, begins: ReadonlyMap<string, number>, fromMs: number, throughMs: number): number | undefined {
    const between = [...begins].flatMap(([other, beginsMs]) => {
      const page = this.#pages.get(other)
      const isBetween = other !== name && beginsMs >= fromMs && page !== undefined && page.throughMs <= throughMs
      return isBetween ? [page.capacitySlotMs] : []
    })
    return between.length === 0 ? undefined : between.reduce((sum, each) => sum + each, 0)
  }

  #seeGone(node: string): void {
    this.#left.set(node, (this.#left.get(node) ?? 0) + 1)
  }

  #isGap(node: string): boolean {
    const times = this.#left.get(node) ?? 0
    this.#left.set(node, Math.max(0, times - 1))
    return times > 0
  }
}

import type { LedgerPage } from '../../model/kinds/ledger-page.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'

/** Every slot-millisecond is in exactly one bucket: the entries of a page add up to its capacity. */
export class Accounts implements Invariant {
  readonly name = 'accounts'

  check({ kind, type, object }: Entry): string | undefined {
    if (kind !== 'LedgerPage' || type === 'DELETED') return undefined
    const { metadata, status } = object as LedgerPage
    if (status === undefined) return undefined
    const entries = status.entries.reduce((sum, { slotMs }) => sum + slotMs, 0)
    const provisional = status.provisional.reduce((sum, { slotMs }) => sum + slotMs, 0)
    if (entries + provisional === status.capacitySlotMs) return undefined
    return `page ${metadata.name} accounts for ${entries + provisional} of ${status.capacitySlotMs} slot-milliseconds`
  }
}

import type { Drill } from '../../model/kinds/drill.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { LedgerPage } from '../../model/kinds/ledger-page.ts'
import { summarise } from '../../observe/ledger.ts'
import { buckets, slotsOf } from '../../observe/ledger-use.ts'

type Accounts = NonNullable<NonNullable<Drill['status']>['accounts']>
type LedgerChange = NonNullable<NonNullable<NonNullable<Drill['status']>['outcome']>['ledger']>

/** The whole ledger by bucket, and the part of `owners` in it. */
export function accountsOf(pages: readonly LedgerPage[], owners: ReadonlySet<string>): Accounts {
  const all = new Map<string, number>()
  const ofTarget = new Map<string, number>()
  for (const { key, slotMs } of summarise(pages, 'owner').rows) {
    const [owner = '', bucket = ''] = key
    all.set(bucket, (all.get(bucket) ?? 0) + slotMs)
    if (owners.has(owner)) ofTarget.set(bucket, (ofTarget.get(bucket) ?? 0) + slotMs)
  }
  return {
    throughMs: pages.reduce((last, { status }) => Math.max(last, status?.throughMs ?? 0), 0),
    shares: buckets
      .filter((bucket) => all.has(bucket))
      .map((bucket) => ({
        bucket,
        seconds: (all.get(bucket) ?? 0) / 1000,
        ofTarget: (ofTarget.get(bucket) ?? 0) / 1000,
      })),
  }
}

/** Up to when all accelerators of these nodes are accounted for; undefined while their pages are being written one by one. */
export function evenThroughMs(pages: readonly LedgerPage[], nodes: readonly Node[]): number | undefined {
  const through = new Map<string, number>()
  for (const { spec, status } of pages) {
    const key = `${spec.node} ${spec.accelerator}`
    through.set(key, Math.max(through.get(key) ?? 0, status?.throughMs ?? 0))
  }
  const wanted = nodes.flatMap((node) => slotsOf(node).map(({ model }) => `${node.metadata.name} ${model}`))
  const [first, ...others] = new Set(wanted.map((key) => through.get(key) ?? 0))
  return others.length === 0 ? first : undefined
}

/** What each bucket gained between two looks; provisional time may have gone to others meanwhile, and be less. */
export function changeOf(before: Accounts, after: Accounts): LedgerChange {
  const was = new Map(before.shares.map((share) => [share.bucket, share]))
  return {
    fromMs: before.throughMs,
    throughMs: after.throughMs,
    shares: after.shares
      .map(({ bucket, seconds, ofTarget }) => ({
        bucket,
        seconds: milli(seconds - (was.get(bucket)?.seconds ?? 0)),
        ofTarget: milli(ofTarget - (was.get(bucket)?.ofTarget ?? 0)),
      }))
      .filter(({ seconds, ofTarget }) => seconds !== 0 || ofTarget !== 0),
  }
}

/** Sums of floating-point numbers say nothing beyond a millisecond. */
function milli(seconds: number): number {
  return Math.round(seconds * 1000) / 1000
}

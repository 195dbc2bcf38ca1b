import type { LedgerPage } from '../model/kinds/ledger-page.ts'
import { withoutCovered } from './ledger-days.ts'
import { hourMs } from './ledger-page.ts'
import { buckets, meanings } from './ledger-use.ts'

export type LedgerBy = 'bucket' | 'queue' | 'namespace' | 'owner' | 'node'

export interface LedgerSummary {
  /** Names of the parts of each row's key. */
  header: string[]
  rows: { key: string[]; slotMs: number; usd: number }[]
  /** What each bucket means, in the order of the rows. */
  buckets: { name: string; meaning: string }[]
  nodes: number
  /** Where the first page begins; undefined without any. */
  fromMs: number | undefined
  /** What there was: slots × time. The rows add up to it. */
  capacitySlotMs: number
  totalSlotMs: number
  totalUsd: number
  usage: { owner: string; requests: number; promptTokens: number; completionTokens: number }[]
}

/** Where the time went. Nobody's time (idle, unobserved, …) has "-" as queue and owner. */
export function summarise(all: readonly LedgerPage[], by: LedgerBy = 'bucket'): LedgerSummary {
  const pages = withoutCovered(all)
  const rows = new Map<string, LedgerSummary['rows'][number]>()
  const usage = new Map<string, LedgerSummary['usage'][number]>()
  let capacitySlotMs = 0
  for (const { spec, status } of pages) {
    if (status === undefined) continue
    capacitySlotMs += status.capacitySlotMs
    const provisional = status.provisional.map((each) => ({ ...each, bucket: 'provisional' }))
    for (const { queue, owner, bucket, slotMs } of [...status.entries, ...provisional]) {
      const key = keyFor(by, { queue, owner, bucket, node: spec.node })
      const before = rows.get(key.join('\n')) ?? { key, slotMs: 0, usd: 0 }
      before.slotMs += slotMs
      before.usd += (slotMs / hourMs) * status.pricePerSlotHour
      rows.set(key.join('\n'), before)
    }
    for (const each of status.usage) {
      const { owner } = each
      const before = usage.get(owner) ?? { owner, requests: 0, promptTokens: 0, completionTokens: 0 }
      before.requests += each.requests
      before.promptTokens += each.promptTokens
      before.completionTokens += each.completionTokens
      usage.set(owner, before)
    }
  }
  const sorted = [...rows.values()].sort(inOrder)
  return {
    header: by === 'bucket' ? ['bucket'] : [by, 'bucket'],
    rows: sorted,
    buckets: buckets.map((name) => ({ name, meaning: meanings[name] })),
    fromMs:
      pages.length === 0
        ? undefined
        : pages.reduce((first, { spec }) => Math.min(first, spec.fromMs), Number.POSITIVE_INFINITY),
    nodes: new Set(pages.map((page) => page.spec.node)).size,
    capacitySlotMs,
    totalSlotMs: sorted.reduce((sum, row) => sum + row.slotMs, 0),
    totalUsd: sorted.reduce((sum, row) => sum + row.usd, 0),
    usage: [...usage.values()],
  }
}

function keyFor(by: LedgerBy, of: { queue: string; owner: string; bucket: string; node: string }): string[] {
  if (by === 'bucket') return [of.bucket]
  // `TrainingJob/namespace/name`
  const value = by === 'namespace' ? of.owner.split('/')[1] : of[by]
  return [value || '-', of.bucket]
}

/** By name, then in the order that the buckets have everywhere. */
function inOrder(a: { key: string[] }, b: { key: string[] }): number {
  const [first, other] = [a.key.slice(0, -1).join(), b.key.slice(0, -1).join()]
  if (first !== other) return first < other ? -1 : 1
  return place(a.key.at(-1)) - place(b.key.at(-1))
}

const order: readonly string[] = buckets

function place(bucket = ''): number {
  return order.indexOf(bucket)
}

import { assert } from '../base/errors.ts'
import type { LedgerPage } from '../model/kinds/ledger-page.ts'
import { millwrightVersion } from '../model/metadata.ts'
import type { Bucket } from './ledger-use.ts'

export const hourMs = 3_600_000
export const dayMs = 86_400_000

/** A page is one object in the store: it has to stay small. */
const entriesMax = 1000

export type PageStatus = NonNullable<LedgerPage['status']>
type Provisional = PageStatus['provisional'][number]
export type Usage = PageStatus['usage'][number]

/** One node, one accelerator, one hour, or the part of it since its price changed; later the day that it begins. All amounts are whole slot-milliseconds; what goes in equals what there was. */
export class Page {
  readonly node: string
  readonly pool: string
  readonly accelerator: string
  readonly fromMs: number
  slots = 0
  pricePerSlotHour = 0
  throughMs: number
  dirty = true
  readonly provisional = new Map<string, Provisional>()
  #capacityMs = 0
  readonly #entries = new Map<string, PageStatus['entries'][number]>()
  readonly #usage = new Map<string, Usage>()

  constructor(spec: LedgerPage['spec'], status?: PageStatus) {
    this.node = spec.node
    this.pool = spec.pool
    this.accelerator = spec.accelerator
    this.fromMs = spec.fromMs
    this.throughMs = status?.throughMs ?? spec.fromMs
    if (status === undefined) return
    this.dirty = false
    this.slots = status.slots
    this.pricePerSlotHour = status.pricePerSlotHour
    this.#capacityMs = status.capacitySlotMs
    for (const entry of status.entries) this.#entries.set(entryKey(entry), { ...entry })
    for (const each of status.provisional) this.provisional.set(provisionalKey(each), { ...each })
    for (const each of status.usage) this.#usage.set(each.owner, { ...each })
  }

  get isEmpty(): boolean {
    return this.#capacityMs === 0
  }

  get key(): string {
    return pageKey(this)
  }

  /** Puts `slotMs` of what there was where it went. */
  add(bucket: Bucket, queue: string, owner: string, slotMs: number): void {
    this.#capacityMs += slotMs
    this.#put(bucket, queue, owner, slotMs)
  }

  addProvisional(of: Omit<Provisional, 'slotMs' | 'startupMs'>, slotMs: number, startup: boolean): void {
    if (slotMs === 0) return
    const key = provisionalKey(of)
    const known = this.provisional.get(key)
    const startupMs = startup ? slotMs : 0
    if (known === undefined) this.provisional.set(key, { ...of, slotMs, startupMs })
    else {
      known.slotMs += slotMs
      known.startupMs += startupMs
    }
    this.#capacityMs += slotMs
    this.dirty = true
  }

  /** Makes up to `slotMs` of provisional time final. Returns how much it was. */
  settle(key: string, bucket: Bucket, slotMs: number): number {
    const found = this.provisional.get(key)
    if (found === undefined) return 0
    const moved = Math.min(found.slotMs, slotMs)
    if (moved === found.slotMs) this.provisional.delete(key)
    else {
      found.slotMs -= moved
      found.startupMs = Math.min(found.startupMs, found.slotMs)
    }
    this.#put(bucket, found.queue, found.owner, moved)
    return moved
  }

  /** What is left comes after another checkpoint from now on. */
  rename(key: string, checkpoint: string): void {
    const found = this.provisional.get(key)
    if (found === undefined || found.checkpoint === checkpoint) return
    this.provisional.delete(key)
    const next = { ...found, checkpoint }
    const before = this.provisional.get(provisionalKey(next))
    this.provisional.set(provisionalKey(next), {
      ...next,
      slotMs: next.slotMs + (before?.slotMs ?? 0),
      startupMs: next.startupMs + (before?.startupMs ?? 0),
    })
    this.dirty = true
  }

  /** A first step was seen: of the time before it, all but `keptMs` was starting. */
  startupEnded(key: string, keptMs: number): number {
    const found = this.provisional.get(key)
    if (found === undefined) return keptMs
    const kept = Math.min(found.startupMs, keptMs)
    const starting = found.startupMs - kept
    found.startupMs = 0
    if (starting > 0) this.settle(key, 'starting', starting)
    this.dirty = true
    return keptMs - kept
  }

  addUsage(usage: Usage): void {
    const before = this.#usage.get(usage.owner)
    this.#usage.set(usage.owner, {
      ...usage,
      requests: usage.requests + (before?.requests ?? 0),
      promptTokens: usage.promptTokens + (before?.promptTokens ?? 0),
      completionTokens: usage.completionTokens + (before?.completionTokens ?? 0),
    })
    this.dirty = true
  }

  /** What a later page holds, of time that follows on this one's, and of which it is known what it was. */
  absorb({ entries, capacitySlotMs, usage, throughMs }: PageStatus): void {
    for (const { bucket, queue, owner, slotMs } of entries) this.#put(bucket, queue, owner, slotMs)
    for (const each of usage) this.addUsage(each)
    this.#capacityMs += capacitySlotMs
    this.throughMs = throughMs
  }

  status(revision: string): PageStatus {
    const sorted = [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1))
    const entries = sorted.map(([, entry]) => ({ ...entry }))
    const provisional = [...this.provisional.values()].map((each) => ({ ...each }))
    const sum = [...entries, ...provisional].reduce((total, { slotMs }) => total + slotMs, 0)
    assert(
      sum === this.#capacityMs && Number.isSafeInteger(sum),
      `the ledger of ${this.key} holds ${sum} slot-ms where there were ${this.#capacityMs}`,
    )
    return {
      slots: this.slots,
      throughMs: this.throughMs,
      revision,
      capacitySlotMs: this.#capacityMs,
      pricePerSlotHour: this.pricePerSlotHour,
      entries,
      provisional,
      usage: [...this.#usage.values()],
    }
  }

  object(revision: string): LedgerPage {
    const { node, pool, accelerator, fromMs } = this
    return {
      apiVersion: millwrightVersion,
      kind: 'LedgerPage',
      metadata: { name: this.key },
      spec: { node, pool, accelerator, fromMs },
      status: this.status(revision),
    }
  }

  #put(bucket: string, queue: string, owner: string, slotMs: number): void {
    if (slotMs === 0) return
    let key = entryKey({ bucket, queue, owner })
    if (!this.#entries.has(key) && this.#entries.size >= entriesMax && owner !== '') {
      // Thousands of short jobs in one hour: the time stays exact, its owners are summed up.
      owner = othersOf(owner)
      key = entryKey({ bucket, queue, owner })
    }
    const known = this.#entries.get(key)
    if (known === undefined) this.#entries.set(key, { queue, owner, bucket, slotMs })
    else known.slotMs += slotMs
    this.dirty = true
  }
}

/** `TrainingJob/namespace/name` → `TrainingJob/namespace/*`. */
function othersOf(owner: string): string {
  return `${owner.slice(0, owner.lastIndexOf('/'))}/*`
}

export function pageKey(page: { node: string; accelerator: string; fromMs: number }): string {
  const accelerator = page.accelerator.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  const intoHourMs = page.fromMs % hourMs
  const since = intoHourMs === 0 ? '' : `-${intoHourMs}`
  return `${page.node}.${accelerator}.${Math.floor(page.fromMs / hourMs)}${since}`
}

export function hourOf(atMs: number): number {
  return Math.floor(atMs / hourMs) * hourMs
}

/** One record per gang, attempt and the checkpoint that the time came after. */
export function provisionalKey(of: { gang: string; attempt: number; checkpoint: string }): string {
  return `${of.gang} ${of.attempt} ${of.checkpoint}`
}

function entryKey({ queue, owner, bucket }: { queue: string; owner: string; bucket: string }): string {
  return `${bucket} ${queue} ${owner}`
}

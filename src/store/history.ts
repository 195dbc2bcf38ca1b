import type { KindName } from '../model/registry.ts'
import { kindNames } from '../model/registry.ts'
import type { Stop, WatchEvent, WatchSink } from './contract.ts'
import type { Predicate } from './selectors.ts'
import type { Stored } from './stored.ts'

/** One change, as the history keeps it. */
export interface Entry {
  readonly kind: KindName
  readonly key: string
  readonly revision: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** The new state; for DELETED the last one, with the revision of the deletion. */
  readonly object: Stored
  readonly previous: Stored | undefined
  /** The event as watchers without a selector get it: one for all of them. */
  readonly event: WatchEvent<Stored>
}

/**
 * The last changes, and who watches them. Delivery happens in a microtask after `append`, in order of revisions. The
 * bound holds for all kinds together; a change is dropped only after every watcher had it.
 */
export class History {
  private readonly entriesMax: number
  private readonly logs: Record<KindName, KindLog>
  /** Kinds of the kept entries, oldest first: which log loses its head next. */
  private readonly order = new Fifo<KindLog>()
  private scheduled = false
  private revision: number
  private bookmarked: number

  constructor(entriesMax: number, revision: number) {
    this.entriesMax = entriesMax
    this.revision = revision
    this.bookmarked = revision
    this.logs = Object.fromEntries(kindNames.map((kind) => [kind, new KindLog(revision)])) as Record<KindName, KindLog>
  }

  append(entry: Entry): void {
    const log = this.logs[entry.kind]
    log.entries.push(entry)
    log.behind = true
    this.order.push(log)
    this.revision = entry.revision
    this.schedule()
  }

  /** The entries of `kind` after `revision`; undefined when that far back is no longer kept, or has not happened. */
  after(kind: KindName, revision: number): Entry[] | undefined {
    const log = this.logs[kind]
    if (!(revision >= log.droppedThrough && revision <= this.revision)) return undefined
    const entries: Entry[] = []
    for (let i = log.firstAfter(revision); i < log.entries.end; i++) {
      const entry = log.entries.at(i)
      if (entry !== undefined) entries.push(entry)
    }
    return entries
  }

  watch(kind: KindName, from: number, selects: Predicate | undefined, sink: WatchSink<Stored>): Stop {
    const log = this.logs[kind]
    const isKept = from >= log.droppedThrough && from <= this.revision
    const watcher: Watcher = {
      sink,
      selects,
      next: isKept ? log.firstAfter(from) : -1,
      bookmarked: from,
      stopped: false,
    }
    log.watchers.add(watcher)
    log.behind = true
    this.schedule()
    return () => {
      watcher.stopped = true
      log.watchers.delete(watcher)
    }
  }

  close(): void {
    this.deliver()
    for (const log of Object.values(this.logs)) {
      for (const watcher of [...log.watchers]) log.end(watcher, 'closed')
    }
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      this.deliver()
    })
  }

  private deliver(): void {
    const isBookmarkDue = this.revision - this.bookmarked >= bookmarkEvery
    if (isBookmarkDue) this.bookmarked = this.revision
    for (const log of Object.values(this.logs)) if (log.behind || isBookmarkDue) log.deliver(this.revision)
    while (this.order.length > this.entriesMax) this.order.shift()?.drop()
  }
}

interface Watcher {
  sink: WatchSink<Stored>
  selects: Predicate | undefined
  /** Position in the log of the next entry to look at; -1: the start is no longer kept. */
  next: number
  bookmarked: number
  stopped: boolean
}

/** A watcher that sees nothing for this many revisions is told how far it is, so that it can come back there. */
const bookmarkEvery = 1_000

class KindLog {
  readonly entries = new Fifo<Entry>()
  readonly watchers = new Set<Watcher>()
  droppedThrough: number
  behind = false

  constructor(revision: number) {
    this.droppedThrough = revision
  }

  /** Position of the first entry after `revision`. */
  firstAfter(revision: number): number {
    let low = this.entries.start
    let high = this.entries.end
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.entries.at(middle)?.revision ?? 0) <= revision) low = middle + 1
      else high = middle
    }
    return low
  }

  deliver(revision: number): void {
    this.behind = false
    for (const watcher of this.watchers) {
      try {
        this.deliverTo(watcher, revision)
      } catch (error) {
        this.watchers.delete(watcher) // what it missed cannot be made up for
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  private deliverTo(watcher: Watcher, revision: number): void {
    if (watcher.next < 0) {
      this.end(watcher, 'expired')
      return
    }
    const { sink, selects } = watcher
    const end = this.entries.end
    while (watcher.next < end && !watcher.stopped) {
      const entry = this.entries.at(watcher.next++)
      if (entry === undefined) continue
      const event = selects === undefined ? entry.event : selected(entry, selects)
      if (event === undefined) continue
      watcher.bookmarked = entry.revision
      sink.event(event)
    }
    if (sink.bookmark !== undefined && !watcher.stopped && revision - watcher.bookmarked >= bookmarkEvery) {
      watcher.bookmarked = revision
      sink.bookmark(String(revision))
    }
  }

  end(watcher: Watcher, reason: 'expired' | 'closed'): void {
    this.watchers.delete(watcher)
    if (watcher.stopped) return
    watcher.stopped = true
    watcher.sink.ended(reason)
  }

  drop(): void {
    this.droppedThrough = this.entries.shift()?.revision ?? this.droppedThrough
  }
}

/** What a change is to someone who sees only what a selector selects: it may come into view, or leave it. */
function selected(entry: Entry, selects: Predicate): WatchEvent<Stored> | undefined {
  const { previous, object } = entry
  const before = previous !== undefined && selects(previous)
  const after = entry.type !== 'DELETED' && selects(object)
  if (before && after) return entry.event
  if (after) return entry.type === 'ADDED' ? entry.event : Object.freeze({ type: 'ADDED', object })
  if (!before) return undefined
  if (entry.type === 'DELETED') return entry.event
  const resourceVersion = String(entry.revision)
  const last = { ...previous, metadata: Object.freeze({ ...previous.metadata, resourceVersion }) }
  return Object.freeze({ type: 'DELETED', object: Object.freeze(last) })
}

/** First in, first out, with positions that stay valid while the front is dropped. */
class Fifo<T> {
  start = 0
  private items: (T | undefined)[] = []
  private head = 0

  get end(): number {
    return this.start + this.items.length - this.head
  }

  get length(): number {
    return this.items.length - this.head
  }

  at(position: number): T | undefined {
    return this.items[position - this.start + this.head]
  }

  push(item: T): void {
    this.items.push(item)
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined
    const item = this.items[this.head]
    this.items[this.head++] = undefined
    this.start++
    if (this.head > 1024 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }
}

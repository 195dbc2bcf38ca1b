import type { KindName } from '../model/registry.ts'
import { kindNames } from '../model/registry.ts'
import type { Stop, WatchEvent, WatchSink } from './contract.ts'
import { bookmarkEvery, FiledWatchers, type Watcher } from './filed-watchers.ts'
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
  private readonly all: readonly KindLog[]
  private watchers = 0

  constructor(entriesMax: number, revision: number) {
    this.entriesMax = entriesMax
    this.revision = revision
    this.bookmarked = revision
    this.logs = Object.fromEntries(kindNames.map((kind) => [kind, new KindLog(revision)])) as Record<KindName, KindLog>
    this.all = Object.values(this.logs)
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

  watch(kind: KindName, from: number, which: Pick<Watcher, 'selects' | 'exact'>, sink: WatchSink<Stored>): Stop {
    const log = this.logs[kind]
    const isKept = from >= log.droppedThrough && from <= this.revision
    const next = isKept ? log.firstAfter(from) : -1
    const watcher: Watcher = { sink, ...which, order: this.watchers++, next, bookmarked: from, stopped: false }
    log.add(watcher)
    this.schedule()
    return () => {
      watcher.stopped = true
      log.remove(watcher)
    }
  }

  close(): void {
    this.deliver()
    for (const log of Object.values(this.logs)) log.close()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    // Cheaper than queueMicrotask, and as soon.
    void settled.then(() => {
      this.scheduled = false
      this.deliver()
    })
  }

  private deliver(): void {
    const isBookmarkDue = this.revision - this.bookmarked >= bookmarkEvery
    if (isBookmarkDue) this.bookmarked = this.revision
    for (const log of this.all) if (log.behind || isBookmarkDue) log.deliver(this.revision)
    while (this.order.length > this.entriesMax) this.order.shift()?.drop()
  }
}

const settled = Promise.resolve()

class KindLog {
  readonly entries = new Fifo<Entry>()
  droppedThrough: number
  behind = false
  /** Who looks at every entry: those whose selector says no value, and those that still have to catch up. */
  private readonly looking = new Set<Watcher>()
  private readonly filed = new FiledWatchers<Entry>()
  /** Up to here everybody has seen what is for them, but for `looking`. */
  private shownThrough = 0

  constructor(revision: number) {
    this.droppedThrough = revision
  }

  add(watcher: Watcher): void {
    this.looking.add(watcher)
    this.behind = true
  }

  remove(watcher: Watcher): void {
    if (!this.looking.delete(watcher)) this.filed.remove(watcher)
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
    const from = this.shownThrough
    this.shownThrough = this.entries.end
    if (this.filed.size === 0) {
      for (const watcher of this.looking) this.show(watcher, revision)
      return
    }
    const concerned = new Map<Watcher, Entry[]>()
    this.filed.collect(concerned, this.entries.between(from, this.entries.end), revision)
    const inTurn = [...this.looking, ...concerned.keys()].sort((a, b) => a.order - b.order)
    for (const watcher of inTurn) this.show(watcher, revision, concerned.get(watcher))
  }

  /** `entries`: those that may be for it; without them it looks at all that it has not seen. */
  private show(watcher: Watcher, revision: number, entries?: readonly Entry[]): void {
    try {
      if (entries !== undefined) for (const entry of entries) showTo(watcher, entry)
      else this.catchUp(watcher)
      if (watcher.sink.bookmark !== undefined && !watcher.stopped && revision - watcher.bookmarked >= bookmarkEvery) {
        watcher.bookmarked = revision
        watcher.sink.bookmark(String(revision))
      }
    } catch (error) {
      this.remove(watcher) // what it missed cannot be made up for
      queueMicrotask(() => {
        throw error
      })
    }
  }

  private catchUp(watcher: Watcher): void {
    if (watcher.stopped) return
    if (watcher.next < 0) {
      this.end(watcher, 'expired')
      return
    }
    const end = this.entries.end
    while (watcher.next < end && !watcher.stopped) {
      const entry = this.entries.at(watcher.next++)
      if (entry !== undefined) showTo(watcher, entry)
    }
    if (watcher.exact === undefined || watcher.stopped || end !== this.shownThrough) return
    this.looking.delete(watcher)
    this.filed.add(watcher, watcher.exact)
  }

  private end(watcher: Watcher, reason: 'expired' | 'closed'): void {
    this.remove(watcher)
    if (watcher.stopped) return
    watcher.stopped = true
    watcher.sink.ended(reason)
  }

  close(): void {
    for (const watcher of [...this.looking, ...this.filed.all()]) this.end(watcher, 'closed')
  }

  drop(): void {
    this.droppedThrough = this.entries.shift()?.revision ?? this.droppedThrough
  }
}

function showTo(watcher: Watcher, entry: Entry): void {
  if (watcher.stopped) return
  const event = watcher.selects === undefined ? entry.event : selected(entry, watcher.selects)
  if (event === undefined) return
  watcher.bookmarked = entry.revision
  watcher.sink.event(event)
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

  /** What lies from one position up to, and without, another. */
  between(from: number, to: number): T[] {
    const first = Math.max(0, from - this.start) + this.head
    return this.items.slice(first, to - this.start + this.head).filter((item) => item !== undefined)
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

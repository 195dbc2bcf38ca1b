import { Heap } from '../base/heap.ts'
import type { WatchSink } from './contract.ts'
import type { Exact, Predicate } from './selectors.ts'
import type { Stored } from './stored.ts'

export interface Watcher {
  sink: WatchSink<Stored>
  selects: Predicate | undefined
  exact: Exact | undefined
  /** Watchers are told in the order in which they came. */
  order: number
  /** Position in the log of the next entry to look at; -1: the start is no longer kept. */
  next: number
  bookmarked: number
  stopped: boolean
}

interface Change {
  readonly revision: number
  readonly object: Stored
  readonly previous: Stored | undefined
}

/** A watcher that sees nothing for this many revisions is told how far it is, so that it can come back there. */
export const bookmarkEvery = 1_000

/**
 * Watchers that see only what has a certain value in one field, such as the agents of thousands of nodes, each of which
 * follows the pods of its own: a change is shown to those filed under its values, and nobody else looks at it.
 */
export class FiledWatchers<Entry extends Change> {
  size = 0
  /** By the path of the field and its value. */
  private readonly files = new Map<string, { read: Exact['read']; byValue: Map<string, Set<Watcher>> }>()
  /** Who is to be told how far it is, by when it heard last (`bookmarked` may have risen since). */
  private readonly idle = new Heap<{ watcher: Watcher; since: number }>((a, b) => a.since - b.since)

  add(watcher: Watcher, { path, value, read }: Exact): void {
    const file = this.files.get(path) ?? { read, byValue: new Map() }
    this.files.set(path, file)
    const filed = file.byValue.get(value) ?? new Set()
    file.byValue.set(value, filed.add(watcher))
    this.size++
    this.waitFor(watcher)
  }

  /** Whether it was filed. */
  remove(watcher: Watcher): boolean {
    const { path = '', value = '' } = watcher.exact ?? {}
    const file = this.files.get(path)
    const filed = file?.byValue.get(value)
    if (file === undefined || filed?.delete(watcher) !== true) return false
    this.size--
    if (filed.size === 0) file.byValue.delete(value)
    if (file.byValue.size === 0) this.files.delete(path)
    return true
  }

  all(): Watcher[] {
    return [...this.files.values()].flatMap(({ byValue }) => [...byValue.values()].flatMap((filed) => [...filed]))
  }

  /** Adds to `concerned` who is to see some of `entries`, or where the log is: each with those that may be for it. */
  collect(concerned: Map<Watcher, Entry[]>, entries: readonly Entry[], revision: number): void {
    for (const { read, byValue } of this.files.values()) {
      for (const entry of entries) {
        const value = read(entry.object)
        const before = entry.previous === undefined ? value : read(entry.previous)
        note(concerned, byValue.get(value), entry)
        if (before !== value) note(concerned, byValue.get(before), entry)
      }
    }
    const told: Watcher[] = []
    for (let next = this.idle.peek(); next !== undefined; next = this.idle.peek()) {
      if (revision - next.since < bookmarkEvery) break
      this.idle.pop()
      const { watcher } = next
      if (watcher.stopped) continue
      if (revision - watcher.bookmarked < bookmarkEvery) this.waitFor(watcher)
      else told.push(watcher)
    }
    for (const watcher of told) {
      const entries = concerned.get(watcher) ?? []
      concerned.set(watcher, entries)
      this.idle.push({ watcher, since: entries[0]?.revision ?? revision })
    }
  }

  private waitFor(watcher: Watcher): void {
    if (watcher.sink.bookmark !== undefined) this.idle.push({ watcher, since: watcher.bookmarked })
  }
}

function note<Entry>(concerned: Map<Watcher, Entry[]>, watchers: Iterable<Watcher> | undefined, entry: Entry): void {
  for (const watcher of watchers ?? []) {
    const known = concerned.get(watcher)
    if (known === undefined) concerned.set(watcher, [entry])
    else known.push(entry)
  }
}

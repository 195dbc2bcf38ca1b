import type { LedgerPage } from '../model/kinds/ledger-page.ts'
import { hourMs, hourOf, Page, pageKey, provisionalKey } from './ledger-page.ts'
import type { Bucket } from './ledger-use.ts'

/** Whose pages: one accelerator model of one node. */
export interface PageOwner {
  node: string
  accelerator: string
}

/** Provisional time on a page: of which incarnation of a gang, after which of its checkpoints. */
export interface Provisional {
  gang: string
  attempt: number
  checkpoint: string
}

/** The pages that can still change: the present hour's, and those that hold time of which it is not known what it was. */
export class LedgerBook {
  readonly #pages = new Map<string, Page>()
  /** The newest page of each owner. */
  readonly #newest = new Map<string, Page>()
  /** Pages that may hold provisional time of a gang. */
  readonly #open = new Map<string, Set<Page>>()

  /** A page of an earlier life. */
  load(spec: LedgerPage['spec'], status: NonNullable<LedgerPage['status']>): void {
    this.add(new Page(spec, status))
  }

  add(page: Page): void {
    this.#pages.set(page.key, page)
    if (page.fromMs >= (this.newest(page)?.fromMs ?? 0)) this.#newest.set(ownerKey(page), page)
    for (const { gang } of page.provisional.values()) this.#opened(gang, page)
  }

  newest(owner: PageOwner): Page | undefined {
    return this.#newest.get(ownerKey(owner))
  }

  /** The owner's page of that hour, its last one where the price changed meanwhile. */
  pageOf(owner: PageOwner, atMs: number): Page | undefined {
    const fromMs = hourOf(atMs)
    const newest = this.newest(owner)
    return newest !== undefined && hourOf(newest.fromMs) === fromMs
      ? newest
      : this.#pages.get(pageKey({ ...owner, fromMs }))
  }

  /** The pages that changed since they were last taken, as they are to be written. */
  take(revision: string): LedgerPage[] {
    const dirty = [...this.#pages.values()].filter((page) => page.dirty)
    return dirty.map((page) => {
      page.dirty = false
      return page.object(revision)
    })
  }

  /** A page could not be written: it is taken again. */
  untake(key: string): void {
    const page = this.#pages.get(key)
    if (page !== undefined) page.dirty = true
  }

  /** Lets go of pages that nothing can change any more. */
  forget(nowMs: number): void {
    for (const [key, page] of this.#pages) {
      const closed = page.fromMs + 2 * hourMs < nowMs
      if (!closed || page.dirty || page.provisional.size > 0) continue
      this.#pages.delete(key)
      if (this.newest(page) === page) this.#newest.delete(ownerKey(page))
    }
  }

  holds(key: string): boolean {
    return this.#pages.has(key)
  }

  // ---- what is provisional ----

  addProvisional(
    page: Page,
    of: Provisional & { owner: string; queue: string },
    slotMs: number,
    isStartup: boolean,
  ): void {
    page.addProvisional(of, slotMs, isStartup)
    this.#opened(of.gang, page)
  }

  /** Gangs that have provisional time. */
  gangs(): string[] {
    return [...this.#open.keys()]
  }

  /** Pages that hold provisional time of a gang, by node, newest first. */
  pagesOf(gang: string): Map<string, Page[]> {
    const found = new Map<string, Page[]>()
    const pages = this.#open.get(gang) ?? []
    for (const page of pages) {
      if (!holds(page, gang)) {
        this.#closed(gang, page)
        continue
      }
      const own = found.get(page.node)
      if (own === undefined) found.set(page.node, [page])
      else own.push(page)
    }
    for (const own of found.values()) if (own.length > 1) own.sort((a, b) => b.fromMs - a.fromMs)
    return found
  }

  settle(gang: string, bucket: Bucket, which?: (each: Provisional) => boolean): void {
    for (const pages of this.pagesOf(gang).values()) {
      for (const page of pages) {
        for (const each of [...page.provisional.values()]) {
          if (each.gang === gang && (which?.(each) ?? true)) page.settle(provisionalKey(each), bucket, each.slotMs)
        }
        // Of a gang that is gone nobody asks again.
        if (!holds(page, gang)) this.#closed(gang, page)
      }
    }
  }

  /**
   * Makes durable all but the last slot-milliseconds of each node: what comes after a new checkpoint, of which they are
   * from now on.
   */
  settleBut(
    gang: string,
    lastSlotMs: (node: string) => number,
    which: (each: Provisional) => boolean,
    checkpoint: string,
  ): void {
    for (const [node, pages] of this.pagesOf(gang)) {
      let kept = Math.floor(lastSlotMs(node))
      for (const page of pages) {
        for (const each of [...page.provisional.values()]) {
          if (each.gang !== gang || !which(each)) continue
          const stays = Math.min(kept, each.slotMs)
          kept -= stays
          page.settle(provisionalKey(each), 'productive', each.slotMs - stays)
          page.rename(provisionalKey(each), checkpoint)
        }
      }
    }
  }

  #opened(gang: string, page: Page): void {
    const pages = this.#open.get(gang) ?? new Set()
    this.#open.set(gang, pages.add(page))
  }

  #closed(gang: string, page: Page): void {
    const pages = this.#open.get(gang)
    pages?.delete(page)
    if (pages?.size === 0) this.#open.delete(gang)
  }
}

export function ownerKey({ node, accelerator }: PageOwner): string {
  return `${node} ${accelerator}`
}

function holds(page: Page, id: string): boolean {
  for (const { gang } of page.provisional.values()) if (gang === id) return true
  return false
}

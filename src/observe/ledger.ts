import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { LedgerPage } from '../model/kinds/ledger-page.ts'
import type { KindMap, KindName } from '../model/registry.ts'
import type { Store } from '../store/contract.ts'
import { createInformer } from '../store/informer.ts'
import { togetherByDay, withoutCovered } from './ledger-days.ts'
import { type LedgerChange, LedgerFold } from './ledger-fold.ts'
import { dayMs } from './ledger-page.ts'

export { withoutCovered } from './ledger-days.ts'
export { type LedgerBy, type LedgerSummary, summarise } from './ledger-summary.ts'

export interface LedgerOptions {
  store: Store
  clock: Clock
  log: Log
  /** Pages are written so often, and no sooner; left out: every ten seconds, and a second after a change. */
  writeEveryMs?: number | undefined
}

export interface Ledger {
  /** Writes what there is, and stops. */
  stop(): Promise<void>
}

/** More often than a silence of our own would be taken for a stop. */
const lookEveryMs = 10_000
/** A change is written after so long: what comes with it goes into the same write. */
const batchMs = 1_000

/**
 * Keeps the account: folds what it sees and writes the pages, seconds and revision in one write. What it did not see,
 * because it was down or stopped, is `unobserved`.
 */
export function startLedger(options: LedgerOptions): Ledger {
  let life = startLife(options, again)

  /** From what is there now: what of that was not seen is `unobserved`. */
  function again(): void {
    life.drop()
    life = startLife(options, again)
  }

  return { stop: () => life.stop() }
}

interface Life extends Ledger {
  /** Writes nothing more. */
  drop(): void
}

/** `onOther`: another ledger's write was under way when this one looked; told once. */
function startLife(options: LedgerOptions, onOther: () => void): Life {
  const { store, clock, log, writeEveryMs } = options
  const writer = createWriter(options, onOther)
  let fold: LedgerFold | undefined
  let revision = '0'
  let stopped = false
  let batch: Cancel | undefined
  const stops: Cancel[] = []

  async function start(): Promise<void> {
    const pages = await readPages()
    if (stopped) return
    const books = new LedgerFold(withoutCovered(pages), clock.now())
    const watches = follow(options, (change) => {
      revision = newer(revision, change.object.metadata.resourceVersion)
      books.apply(change, clock.now())
      if (writeEveryMs === undefined) batch ??= clock.after(batchMs, write)
    })
    stops.push(watches.stop, onDrill(options, writeSoon))
    await watches.synced
    if (stopped) return
    books.synced(clock.now())
    fold = books
    stops.push(clock.every(writeEveryMs ?? lookEveryMs, write))
    stops.push(clock.every(dayMs, () => putTogether()))
    if (writeEveryMs !== undefined) stops.push(clock.every(lookEveryMs, () => books.look(clock.now())))
    write()
    putTogether(pages)
  }

  /** Sooner than it would be its turn. */
  function writeSoon(): void {
    if (fold === undefined) return
    batch?.()
    batch = clock.after(batchMs, write)
  }

  async function readPages(): Promise<LedgerPage[]> {
    for (;;) {
      try {
        const { items } = await store.list('LedgerPage')
        for (const item of items) writer.known(item)
        return [...items]
      } catch (error) {
        if (stopped) return []
        log.warn('the ledger could not be read and is read again', { error: messageOf(error) })
        await clock.sleep(batchMs)
      }
    }
  }

  /** What is long over takes less room. */
  function putTogether(pages?: readonly LedgerPage[]): void {
    void togetherIn(store, clock.now(), () => stopped, pages).catch((error: unknown) =>
      log.warn('pages of hours that are over are put together later', { error: messageOf(error) }),
    )
  }

  function write(): void {
    batch?.()
    batch = undefined
    const books = fold
    if (books === undefined) return
    const nowMs = clock.now()
    books.advance(nowMs)
    writer.write(books, revision, nowMs)
  }

  function end(): void {
    stopped = true
    for (const stop of stops) stop()
    batch?.()
  }

  void start().catch((error: unknown) => log.error('the ledger stopped', { error: messageOf(error) }))
  return {
    drop() {
      end()
      writer.close()
    },
    stop: async () => {
      end()
      write()
      await writer.idle()
    },
  }
}

async function togetherIn(
  store: Store,
  nowMs: number,
  isStopped: () => boolean,
  known?: readonly LedgerPage[],
): Promise<void> {
  const pages = known ?? (await store.list('LedgerPage')).items
  for (const { into, gone } of togetherByDay(pages, nowMs)) {
    if (isStopped()) return
    if (into !== undefined && typeof (await store.updateStatus('LedgerPage', into)) === 'string') continue
    for (const { metadata } of gone) await store.delete('LedgerPage', { name: metadata.name }, uidOf(metadata))
  }
}

function uidOf({ uid }: LedgerPage['metadata']): { uid?: string } {
  return uid === undefined ? {} : { uid }
}

/**
 * Writes one batch of pages at a time; what failed is dirty again and goes with the next. `onOther`: where we began a page
 * there is one already, whose write was under way when we looked.
 */
function createWriter({ store, clock, log }: LedgerOptions, onOther: () => void) {
  const versions = new Map<string, LedgerPage>()
  /** Pages that go on from what was there, or were begun by us, and of which hour they are. */
  const ours = new Map<string, number>()
  let busy: Promise<void> = Promise.resolve()
  let waiting: (() => Promise<void>) | undefined
  let isClosed = false

  async function put(page: LedgerPage): Promise<boolean> {
    const { name } = page.metadata
    const before = versions.get(name) ?? (await store.get('LedgerPage', { name }))
    if (isClosed) return false
    if (before !== undefined && !ours.has(name)) {
      log.info('another ledger had written a page meanwhile; this one begins again from there', { page: name })
      isClosed = true
      onOther()
      return false
    }
    const written =
      before === undefined
        ? await begin(page)
        : await store.updateStatus('LedgerPage', { ...before, status: page.status })
    if (typeof written === 'string') {
      versions.delete(name) // somebody touched it: look at it again
      return false
    }
    versions.set(name, written)
    return true
  }

  async function begin(page: LedgerPage) {
    const { name } = page.metadata
    // It may be there though no answer comes.
    ours.set(name, page.spec.fromMs)
    const begun = await store.create('LedgerPage', page, { withStatus: true })
    if (typeof begun === 'string') ours.delete(name)
    return begun
  }

  async function putAll(books: LedgerFold, revision: string, nowMs: number): Promise<void> {
    const pages = books.take(revision)
    const done = await Promise.all(
      pages.map((page) =>
        put(page).catch((error: unknown) => {
          log.warn('a page of the ledger could not be written', { page: page.metadata.name, error: messageOf(error) })
          return false
        }),
      ),
    )
    pages.forEach((page, index) => {
      if (done[index] === false) books.untake(page.metadata.name)
    })
    books.forget(nowMs) // not before: what could not be written has to be there for the next
    const isOver = (name: string, fromMs: number) => fromMs < clock.now() - keptMs && !books.holds(name)
    for (const [name, page] of versions) if (isOver(name, page.spec.fromMs)) versions.delete(name)
    for (const [name, fromMs] of ours) if (isOver(name, fromMs)) ours.delete(name)
  }

  return {
    known: (page: LedgerPage) => {
      ours.set(page.metadata.name, page.spec.fromMs)
      if (page.spec.fromMs >= clock.now() - keptMs) versions.set(page.metadata.name, page)
    },
    /** While a batch is under way the next one waits, and takes what there is by then. All is accounted for up to `nowMs`. */
    write: (books: LedgerFold, revision: string, nowMs: number) => {
      if (waiting !== undefined) return
      waiting = () => {
        waiting = undefined
        return putAll(books, revision, nowMs)
      }
      busy = busy.then(() => waiting?.())
    },
    idle: () => busy,
    close(): void {
      isClosed = true
    },
  }
}

const keptMs = 3 * 3_600_000

function follow({ store, clock, log }: LedgerOptions, tell: (change: LedgerChange) => void) {
  const informers = [
    watch('Pool', (object, deleted) => ({ kind: 'Pool', object, deleted })),
    watch('Node', (object, deleted) => ({ kind: 'Node', object, deleted })),
    watch('TrainingJob', (object, deleted) => ({ kind: 'TrainingJob', object, deleted })),
    watch('Gang', (object, deleted) => ({ kind: 'Gang', object, deleted })),
    watch('Pod', (object, deleted) => ({ kind: 'Pod', object, deleted })),
    watch('Report', (object, deleted) => ({ kind: 'Report', object, deleted })),
  ]

  function watch<K extends KindName>(kind: K, changeOf: (object: KindMap[K], deleted: boolean) => LedgerChange) {
    const informer = createInformer({ store, clock, log, kind })
    informer.onChange(({ type, object }) => tell(changeOf(object, type === 'DELETED')))
    informer.start()
    return { synced: () => informer.synced(), stop: () => informer.stop() }
  }

  return {
    synced: Promise.all(informers.map((informer) => informer.synced())),
    stop: () => {
      for (const informer of informers) informer.stop()
    },
  }
}

/** A drill wants to know what it did: from just before it to just after it. */
function onDrill({ store, clock, log }: LedgerOptions, changed: () => void): Cancel {
  const drills = createInformer({ store, clock, log, kind: 'Drill' })
  drills.onChange(changed)
  drills.start()
  return () => drills.stop()
}

/** Embedded stores count revisions; of any other store the last one seen is kept. */
function newer(before: string, now: string | undefined): string {
  if (now === undefined) return before
  return Number(now) < Number(before) ? before : now
}

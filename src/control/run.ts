import { type Ages, createAges } from '../base/ages.ts'
import type { Cancel, Clock } from '../base/clock.ts'
import { InvariantError, messageOf, OperatingError } from '../base/errors.ts'
import type { Liveness } from '../base/liveness.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { createWorkQueue, type WorkQueue } from '../base/work-queue.ts'
import type { Blobs } from '../blob/contract.ts'
import type { Sources } from '../blob/sources.ts'
import type { KindMap, KindName } from '../model/registry.ts'
import type { Store } from '../store/contract.ts'
import type { Change } from '../store/informer.ts'
import { createLeaseHolder, type LeaseHolder } from '../store/lease.ts'
import { createEvents } from './events.ts'
import { fenced } from './fenced.ts'
import { controlLease } from './fresh.ts'
import { createLeaving } from './nodes/leaving.ts'
import { createNodeSigns } from './nodes/signs.ts'
import type { Context, Reconciler, ReconcilerFactory, WatchOf } from './reconciler.ts'
import { builtInReconcilers } from './reconcilers.ts'
import { createClosing } from './recovery/closing.ts'
import { createMembers } from './recovery/members.ts'
import type { DecisionSink } from './scheduling/decisions.ts'
import { createViews, type Views } from './views.ts'

export interface ControlOptions {
  store: Store
  blobs: Blobs
  sources?: Sources | undefined
  clock: Clock
  liveness: Liveness
  random: Random
  log: Log
  /** Unique to this process' life. */
  identity: string
  reconcilers?: readonly ReconcilerFactory[]
  /** A dead leader is replaced after so long. */
  leaseSeconds?: number
  gatewayUrl?: string | undefined
  /** Where the scheduler's decisions are recorded, if anywhere. */
  decisions?: DecisionSink | undefined
}

export interface Control {
  /** Resolves when everything under way has ended and the lease is given back. */
  stop(): Promise<void>
  leading(): boolean
}

const leaseSecondsDefault = 15

/**
 * The control plane: takes the lease, runs its reconcilers while it holds it, and stands by while it does not. A term
 * ends with the first refused renewal or write, or the first write after the lease has run out by our own clock, be its
 * renewal still under way; nothing that it still has under way can change anything after that.
 */
export function startControl(options: ControlOptions): Control {
  const { store, clock, log, identity } = options
  const durationMs = (options.leaseSeconds ?? leaseSecondsDefault) * 1000
  const lease = createLeaseHolder({ store, clock, ref: controlLease, identity, durationMs })
  const stopping = new AbortController()
  // Of all terms: the clock may be set while another leads.
  const ages = createAges(clock, lease.holds)
  let term: Term | undefined

  async function live(): Promise<void> {
    while (!stopping.signal.aborted) {
      const epoch = await tryToLead(lease, log)
      if (epoch !== undefined) {
        term = startTerm(options, lease, epoch, ages)
        await untilFirst([stopping.signal, term.over], holdLease)
        await term.end()
        term = undefined
      }
      await clock.sleep(durationMs / 5, stopping.signal)
    }
  }

  /** Returns when the lease is lost, a write was fenced, or we are to stop. */
  async function holdLease(ends: AbortSignal): Promise<void> {
    while (!ends.aborted) {
      await clock.sleep(durationMs / 3, ends)
      if (ends.aborted) return
      try {
        if (await lease.renew()) continue
        log.warn('another control plane took the lease; this one stands by')
        return
      } catch (error) {
        log.warn('the lease could not be renewed', { error: messageOf(error) })
        if (!lease.holds()) return
      }
    }
  }

  const ended = live()
  return {
    leading: () => term !== undefined && !term.over.aborted && lease.holds(),
    stop: async () => {
      stopping.abort()
      await ended
      try {
        await lease.release()
      } catch (error) {
        log.warn('the lease could not be given back; the next leader waits until it runs out', {
          error: messageOf(error),
        })
      }
    },
  }
}

async function tryToLead(lease: LeaseHolder, log: Log): Promise<number | undefined> {
  try {
    return await lease.acquire()
  } catch (error) {
    log.warn('the lease could not be asked for', { error: messageOf(error) })
    return undefined
  }
}

interface Term {
  /** Aborted when the term may change nothing any more. */
  over: AbortSignal
  end(): Promise<void>
}

function startTerm(options: ControlOptions, lease: LeaseHolder, epoch: number, ages: Ages): Term {
  ages.begin()
  const { clock, liveness, random, blobs, sources, gatewayUrl, decisions } = options
  const over = new AbortController()
  const log = options.log.with({ epoch })
  const store = fenced(
    options.store,
    () => (over.signal.aborted || !lease.holds() ? undefined : lease.fence()),
    (kind, object) => views.wrote(kind, object),
  )
  // What another leader did before us is in all that we begin with.
  const notBefore = lease.revision()
  const views = createViews({ store, clock, random: random.split(`views ${epoch}`), log, notBefore })
  const events = createEvents({ store, clock, log, component: 'millwright-control' })
  const signs = createNodeSigns({ views, liveness })
  const leaving = createLeaving(views)
  const closing = createClosing({ store, views, events })
  const members = createMembers({ views, clock })
  const known = { ages, liveness, signs, leaving, closing, members }
  const kit = { store, views, blobs, sources, clock, random, log, events }
  const context: Context = { ...kit, ...known, epoch, gatewayUrl, decisions }
  const loops = (options.reconcilers ?? builtInReconcilers).map((factory) =>
    createLoop(factory(context), { views, clock, random: random.split(`queues ${epoch}`), log, over }),
  )
  log.info('leading')
  const working = views.start().then(() => {
    if (!over.signal.aborted) for (const loop of loops) loop.work()
  })
  return {
    over: over.signal,
    end: async () => {
      await Promise.all(loops.map((loop) => loop.close()))
      await events.flush()
      over.abort()
      signs.stop()
      views.stop()
      await Promise.race([working, clock.sleep(0)])
      log.info('the term has ended')
    },
  }
}

interface LoopKit {
  views: Views
  clock: Clock
  random: Random
  log: Log
  /** Aborted by the first write that a newer leader refused. */
  over: AbortController
}

/** One reconciler's queue: fed by its watches, drained by its workers. */
function createLoop(reconciler: Reconciler, kit: LoopKit): { work(): void; close(): Promise<void> } {
  const { views, clock, over } = kit
  const log = kit.log.with({ reconciler: reconciler.name })
  const queue = createWorkQueue({ clock, random: kit.random.split(reconciler.name) })
  for (const watch of reconciler.watches) feed(views, watch, queue)
  let running: Promise<void> = Promise.resolve()
  let end: Cancel | undefined

  async function once(key: string): Promise<void> {
    if (over.signal.aborted) return
    try {
      const outcome = await reconciler.reconcile(key)
      queue.forget(key)
      for (const other of outcome.wake ?? []) queue.add(other)
      if (outcome.kind === 'again') queue.addAfter(key, outcome.afterMs)
      if (reconciler.resyncMs !== undefined) queue.addAfter(key, reconciler.resyncMs)
    } catch (error) {
      failed(key, error)
    }
  }

  /** The error's policy decides whether the key comes back by itself; a change always brings it back. */
  function failed(key: string, error: unknown): void {
    const fields = { key, error: messageOf(error) }
    if (error instanceof OperatingError && error.code === 'fenced') {
      log.warn('a newer leader exists; this one stops deciding', fields)
      over.abort()
    } else if (error instanceof OperatingError && error.code === 'terminating') {
      log.debug('its namespace is being deleted', fields)
    } else if (error instanceof OperatingError && error.policy === 'give-up') {
      log.error('given up until something changes', fields)
    } else if (error instanceof OperatingError && error.policy !== 'give-up') {
      log.warn('tried again later', fields)
      queue.addAfter(key, error.policy.retryAfterMs)
    } else {
      const stack = error instanceof Error ? error.stack : undefined
      log.error(error instanceof InvariantError ? 'a broken invariant' : 'failed', { ...fields, stack })
      queue.retry(key)
    }
  }

  return {
    work: () => {
      end = reconciler.start?.((key) => queue.add(key))
      running = queue.run(reconciler.workers ?? 8, once, failed)
    },
    close: async () => {
      end?.()
      await queue.close()
      await running
    },
  }
}

function feed<K extends KindName>(views: Views, watch: WatchOf<K>, queue: WorkQueue): void {
  views.of(watch.kind).onChange(({ object, type, previous }: Change<KindMap[K]>) => {
    for (const key of watch.keys(object, type, previous)) queue.add(key)
  })
}

/**
 * With a signal that is given when the first of these is. Not `AbortSignal.any`: while somebody listens to one of those it is kept
 * (Node 20), and with it, for ever, all that belongs to a process of the twin that died as it slept.
 */
async function untilFirst(signals: readonly AbortSignal[], run: (first: AbortSignal) => Promise<void>): Promise<void> {
  const first = new AbortController()
  const give = (): void => first.abort()
  for (const signal of signals) {
    if (signal.aborted) give()
    signal.addEventListener('abort', give)
  }
  try {
    await run(first.signal)
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', give)
  }
}

import type { Clock } from '../base/clock.ts'
import { assert, OperatingError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { type KindMap, type KindName, kindNames, kinds } from '../model/registry.ts'
import type { Binding, DeleteOptions, Fence, Listed, ListOptions, PatchOptions, Ref, Store } from './contract.ts'
import { type Entry, History } from './history.ts'
import { invalid } from './json.ts'
import {
  bound,
  checkEpochRises,
  checkFence,
  created,
  type Decision,
  deleted,
  disowned,
  patched,
  stamped,
  statusUpdated,
  timestamp,
  updated,
} from './mutations.ts'
import { admitInto } from './namespaces.ts'
import { exactOf, type Predicate, predicateOf } from './selectors.ts'
import { handedOut, keyOf, revisionOf, type Stored, sinkOf } from './stored.ts'
import { Table } from './table.ts'

/**
 * The store in memory, over a journal that makes writes durable. A write is decided at once, against everything decided
 * before it (`head`), and queued; one commit to the journal carries all that queued up meanwhile; only then do readers
 * and watchers see it (`visible`) and its caller learns of it. An answer that rests on an undurable write waits for it
 * too. Without a journal the two are one.
 */
export interface Journal<Prepared = unknown> {
  /** Puts a change into the form that `commit` writes, while the disk is busy with other ones. */
  prepare(change: PreparedChange): Prepared
  /** Resolves when the batch is durable, whole; rejects when nothing of it is, also after a restart. Never called twice at once. */
  commit(batch: Batch<Prepared>): Promise<void>
  /** Puts off the start of a commit until those who write now have done so. */
  soon(run: () => void): void
}

export interface PreparedChange {
  kind: KindName
  key: string
  /** Undefined: it is gone. */
  object: Stored | undefined
}

export interface Batch<Prepared> {
  /** The newest revision in it. */
  revision: number
  changes: readonly Prepared[]
}

export interface CoreOptions<Prepared = unknown> {
  clock: Clock
  random: Random
  /** Changes kept for watchers. */
  history?: number | undefined
  /** Whether writes under a lease are checked against its epoch. */
  fencing?: boolean | undefined
  /** Events kept, and for how long after their last write. */
  events?: { max: number; ageMsMax: number } | undefined
  journal?: Journal<Prepared> | undefined
  /** Hears each change as it becomes visible, before anybody else. */
  onEntry?: ((entry: Entry) => void) | undefined
  /** Hook for tests that stop the process between two steps. */
  onPoint?: ((point: CorePoint) => void) | undefined
}
export type CorePoint = 'before-commit' | 'after-commit' | 'after-visible'

export interface Core extends Store {
  /** Ends watches and refuses everything from now on; resolves when writes under way are durable. */
  close(): Promise<void>
  readonly revision: number
  /** Everything visible at one revision. */
  snapshot(): { revision: number; objects: { kind: KindName; key: string; object: Stored }[] }
}

export interface Loaded {
  revision: number
  /** In order of their last write. */
  objects: readonly { kind: KindName; key: string; object: Stored }[]
}

type Tables = Record<KindName, Table>
interface Queued<Prepared> {
  entries: Entry[]
  changes: Prepared[]
  done(): void
  fail(error: unknown): void
}

/** On the disk, and not yet shown to anyone. */
interface DurableBatch {
  batch: readonly Queued<unknown>[]
  entries: readonly Entry[]
}

const historyDefault = 10_000
const eventsDefault = { max: 5_000, ageMsMax: 3_600_000 }
/** Old Events are removed by whoever writes a new one, a few at a time. */
const prunedPerWrite = 32

export function createCore<Prepared>(
  options: CoreOptions<Prepared>,
  loaded: Loaded = { revision: 0, objects: [] },
): Core {
  const { clock, random, journal, onPoint } = options
  const fencing = options.fencing ?? true
  const eventLimits = options.events ?? eventsDefault
  const visible = newTables()
  for (const { kind, key, object } of loaded.objects) visible[kind].put(key, object)
  let head = journal === undefined ? visible : copyOf(visible)
  let headRevision = loaded.revision
  let visibleRevision = loaded.revision
  let isTelling = false
  const history = new History(options.history ?? historyDefault, loaded.revision)
  let queue: Queued<Prepared>[] = []
  let lastBatchSize = 0
  let isStarting = false
  let committing = false
  const durableBatches: DurableBatch[] = []
  let whenSettled = () => {}
  let closed = false
  let broken: OperatingError | undefined

  // Reading: what is durable.

  async function get<K extends KindName>(kind: K, ref: Ref): Promise<KindMap[K] | undefined> {
    requireOpen()
    const object = visible[kind].get(keyOf(kind, ref))
    return object === undefined ? undefined : handedOut(kind, object)
  }

  async function list<K extends KindName>(kind: K, asked: ListOptions = {}): Promise<Listed<KindMap[K]>> {
    requireOpen()
    requireKind(kind)
    const selects = predicateOf({ labels: asked.labels, fields: asked.fields })
    const table = visible[kind]
    if (asked.continue === undefined && asked.limit === undefined) {
      const items = select(table, table.sortedKeys(asked.namespace), selects)
      return { items: items.map((item) => handedOut(kind, item)), resourceVersion: String(visibleRevision) }
    }
    return page(kind, asked, selects)
  }

  /** Pages of one list show one revision: the state is wound back to that of the first page. */
  function page<K extends KindName>(kind: K, asked: ListOptions, selects: Predicate | undefined): Listed<KindMap[K]> {
    const token = asked.continue === undefined ? undefined : parseToken(asked.continue)
    const revision = token?.revision ?? visibleRevision
    const changedSince = history.after(kind, revision)
    if (changedSince === undefined) {
      throw new OperatingError('expired', 'give-up', 'this list has become too old to be continued: list again')
    }
    const before = new Map<string, Stored | undefined>()
    for (const entry of changedSince) if (!before.has(entry.key)) before.set(entry.key, entry.previous)
    const keys = woundBack(visible[kind].sortedKeys(asked.namespace), before, asked.namespace)
    const limit = asked.limit !== undefined && asked.limit > 0 ? asked.limit : Number.POSITIVE_INFINITY
    const items: KindMap[K][] = []
    let last: string | undefined
    for (const key of keys) {
      if (token !== undefined && key <= token.after) continue
      const object = before.has(key) ? before.get(key) : visible[kind].get(key)
      if (object === undefined || (selects !== undefined && !selects(object))) continue
      if (items.length === limit) return { items, resourceVersion: String(revision), continue: tokenOf(revision, last) }
      items.push(handedOut(kind, object))
      last = key
    }
    return { items, resourceVersion: String(revision) }
  }

  const watch: Store['watch'] = (kind, asked, sink) => {
    requireOpen()
    requireKind(kind)
    const from = revisionOf(asked.from)
    if (Number.isNaN(from)) throw invalid(`"${asked.from}" is no resourceVersion that this store gave out`)
    return history.watch(kind, from, { selects: predicateOf(asked), exact: exactOf(asked) }, sinkOf(kind, sink))
  }

  // Writing: decided against the head, answered when durable.

  async function create<K extends KindName>(
    kind: K,
    object: KindMap[K],
    asked: CreateOptions = {},
  ): Promise<KindMap[K] | 'exists'> {
    requireWritable(asked.fence)
    requireKind(kind)
    const moment = { nowMs: clock.now(), random }
    let born = created(kind, object, asked, moment)
    let key = keyOf(kind, born.metadata)
    for (let tries = 1; head[kind].has(key) && !object.metadata.name && tries < 8; tries++) {
      born = created(kind, object, asked, moment)
      key = keyOf(kind, born.metadata)
    }
    if (head[kind].has(key)) return durable([], 'exists')
    const entries = namespaceFor(kind, born)
    const entry = decide(kind, key, undefined, born)
    entries.push(entry)
    if (kind === 'Event') entries.push(...pruneEvents(entry.key))
    return durable(entries, handedOut(kind, entry.object))
  }

  /** A namespace comes into being with the first resource in it. */
  function namespaceFor(kind: KindName, object: Stored): Entry[] {
    const name = object.metadata.namespace
    if (!kinds[kind].namespaced || name === undefined) return []
    if (admitInto(head.Namespace.get(`/${name}`), name, kind, object) === 'there') return []
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
    return [
      decide('Namespace', `/${name}`, undefined, created('Namespace', namespace, {}, { nowMs: clock.now(), random })),
    ]
  }

  function pruneEvents(justWritten: string): Entry[] {
    const table = head.Event
    const keptSince = timestamp(clock.now() - eventLimits.ageMsMax)
    const pruned: Entry[] = []
    for (const [key, event] of table.entries()) {
      const isOld = lastTime(event) < keptSince
      if (key === justWritten || pruned.length === prunedPerWrite || !(isOld || table.size > eventLimits.max)) break
      pruned.push(end('Event', key, event, event))
    }
    return pruned
  }

  const update: Store['update'] = (kind, object, asked = {}) =>
    change(kind, object.metadata, asked.fence, (stored) => updated(kind, stored, object))

  const updateStatus: Store['updateStatus'] = (kind, object, asked = {}) =>
    change(kind, object.metadata, asked.fence, (stored) => statusUpdated(kind, stored, object))

  const patch: Store['patch'] = (kind, ref, wanted, asked: PatchOptions = {}) =>
    change(kind, ref, asked.fence, (stored) => patched(kind, stored, wanted, asked))

  const bind: Store['bind'] = (ref, binding: Binding, asked = {}) =>
    change('Pod', ref, binding.fence ?? asked.fence, (stored) => bound(stored, binding, clock.now()))

  async function change<K extends KindName, Word extends string>(
    kind: K,
    ref: Ref,
    fence: Fence | undefined,
    decideOn: (stored: Stored) => Decision<Word>,
  ): Promise<KindMap[K] | Word | 'missing'> {
    requireWritable(fence)
    const key = keyOf(kind, ref)
    const stored = head[kind].get(key)
    if (stored === undefined) return durable([], 'missing')
    const decision = decideOn(stored)
    if ('word' in decision) return durable([], decision.word)
    if ('kept' in decision) return durable([], handedOut(kind, decision.kept))
    if (kind === 'Lease' && fencing && 'next' in decision) checkEpochRises(stored, decision.next)
    const entry = 'next' in decision ? decide(kind, key, stored, decision.next) : end(kind, key, stored, decision.ended)
    return durable([entry], handedOut(kind, entry.object))
  }

  async function remove(
    kind: KindName,
    ref: Ref,
    asked: DeleteOptions = {},
  ): Promise<'deleted' | 'deleting' | 'missing' | 'stale'> {
    requireWritable(asked.fence)
    const key = keyOf(kind, ref)
    const stored = head[kind].get(key)
    if (stored === undefined) return durable([], 'missing')
    const decision = deleted(kind, stored, asked, clock.now())
    if ('word' in decision) return durable([], decision.word)
    const orphans = asked.propagation === 'Orphan' ? orphan(stored) : []
    if ('ended' in decision) return durable([...orphans, end(kind, key, stored, decision.ended)], 'deleted')
    if ('next' in decision) return durable([...orphans, decide(kind, key, stored, decision.next)], 'deleting')
    return durable(orphans, 'deleting')
  }

  /** What `owner` owned goes on without it, in the same commit. */
  function orphan(owner: Stored): Entry[] {
    const uid = owner.metadata.uid ?? ''
    return kindNames.flatMap((kind) =>
      [...head[kind].entries()].flatMap(([key, object]) => {
        const freed = disowned(object, uid)
        return freed === undefined ? [] : [decide(kind, key, object, freed)]
      }),
    )
  }

  const evict: Store['evict'] = async (ref, asked) => {
    if (asked.uid === undefined) throw invalid(`an eviction must name the uid of pod "${ref.name}"`)
    return remove('Pod', ref, asked)
  }

  function decide(kind: KindName, key: string, previous: Stored | undefined, next: Stored): Entry {
    const object = stamped(next, ++headRevision)
    head[kind].put(key, object)
    return entryOf(kind, key, previous === undefined ? 'ADDED' : 'MODIFIED', object, previous)
  }

  function end(kind: KindName, key: string, previous: Stored, last: Stored): Entry {
    const object = stamped(last, ++headRevision)
    head[kind].remove(key)
    return entryOf(kind, key, 'DELETED', object, previous)
  }

  function entryOf(
    kind: KindName,
    key: string,
    type: Entry['type'],
    object: Stored,
    previous: Stored | undefined,
  ): Entry {
    return { kind, key, revision: headRevision, type, object, previous, event: Object.freeze({ type, object }) }
  }

  // Becoming durable.

  /** Answers once the entries, and all that was decided before them, are durable. */
  function durable<T>(entries: Entry[], answer: T): T | Promise<T> {
    if (journal === undefined) {
      publish(entries)
      return answer
    }
    if (entries.length === 0 && isSettled()) return answer
    return new Promise<T>((resolve, reject) => {
      const changes = entries.map((entry) => journal.prepare(changeOf(entry)))
      queue.push({ entries, changes, done: () => resolve(answer), fail: reject })
      startSoon(journal)
    })
  }

  const isSettled = () => queue.length === 0 && !committing && durableBatches.length === 0

  /**
   * The next commit starts when half as many writes wait as the last one carried, or else as soon as nobody else writes
   * any more: of many writers one half then decides its next writes while those of the other half go to the disk.
   */
  function startSoon(to: Journal<Prepared>): void {
    if (committing || queue.length === 0) return
    if (queue.length * 2 >= lastBatchSize) start(to)
    else if (!isStarting) {
      isStarting = true
      to.soon(() => {
        isStarting = false
        if (!committing && queue.length > 0) start(to)
      })
    }
  }

  function start(to: Journal<Prepared>): void {
    const batch = queue
    queue = []
    committing = true
    lastBatchSize = batch.length
    const entries = batch.flatMap((queued) => queued.entries)
    onPoint?.('before-commit')
    const changes = batch.flatMap((queued) => queued.changes)
    commit(to, entries.at(-1)?.revision, changes).then(
      () => committed(to, { batch, entries }),
      (error: unknown) => undo(to, batch, error),
    )
  }

  async function commit(
    to: Journal<Prepared>,
    revision: number | undefined,
    changes: readonly Prepared[],
  ): Promise<void> {
    if (revision !== undefined) await to.commit({ revision, changes })
  }

  /** The next commit is on its way before anyone hears of this one, so that the disk does not wait for them. */
  function committed(to: Journal<Prepared>, done: DurableBatch): void {
    committing = false
    onPoint?.('after-commit')
    durableBatches.push(done)
    startSoon(to)
    if (committing) to.soon(release)
    else release()
  }

  function release(): void {
    for (let next = durableBatches.shift(); next !== undefined; next = durableBatches.shift()) {
      publish(next.entries)
      onPoint?.('after-visible')
      for (const queued of next.batch) queued.done()
    }
    if (isSettled()) whenSettled()
  }

  function publish(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (visible !== head) {
        if (entry.type === 'DELETED') visible[entry.kind].remove(entry.key)
        else visible[entry.kind].put(entry.key, entry.object)
      }
      visibleRevision = entry.revision
      if (options.onEntry !== undefined) tell(options.onEntry, entry)
      history.append(entry)
    }
  }

  /** Who writes meanwhile would be shown first. */
  function tell(onEntry: (entry: Entry) => void, entry: Entry): void {
    assert(!isTelling, 'a write in the midst of another one')
    isTelling = true
    try {
      onEntry(entry)
    } finally {
      isTelling = false
    }
  }

  /** Nothing of the batch is durable, so nothing decided after it stands either. Its revisions are not given again. */
  function undo(to: Journal<Prepared>, batch: readonly Queued<Prepared>[], error: unknown): void {
    release()
    committing = false
    const failed = [...batch, ...queue]
    queue = []
    head = copyOf(visible)
    if (error instanceof OperatingError && error.policy === 'give-up') broken = error
    for (const queued of failed) queued.fail(error)
    startSoon(to)
    if (isSettled()) whenSettled()
  }

  function requireWritable(fence: Fence | undefined): void {
    requireOpen()
    if (broken !== undefined) throw broken
    if (fence === undefined || !fencing) return
    checkFence(head.Lease.get(keyOf('Lease', fence.lease)), fence.lease.name, fence.epoch)
  }

  function requireOpen(): void {
    if (closed) throw new OperatingError('store-closed', 'give-up', 'the store is closed: the factory is shutting down')
  }

  async function close(): Promise<void> {
    closed = true
    await new Promise<void>((resolve) => {
      whenSettled = resolve
      if (isSettled()) resolve()
    })
    history.close()
  }

  return {
    get,
    list,
    watch,
    create,
    update,
    updateStatus,
    patch,
    delete: remove,
    bind,
    evict,
    close,
    get revision() {
      return visibleRevision
    },
    snapshot: () => ({
      revision: visibleRevision,
      objects: kindNames.flatMap((kind) =>
        [...visible[kind].entries()].map(([key, object]) => ({ kind, key, object })),
      ),
    }),
  }
}

type CreateOptions = NonNullable<Parameters<Store['create']>[2]>

function requireKind(kind: KindName): void {
  if (kinds[kind] === undefined) throw invalid(`"${String(kind)}" is no kind; allowed: ${kindNames.join(', ')}`)
}

function select(table: Table, keys: readonly string[], selects: Predicate | undefined): Stored[] {
  const items: Stored[] = []
  for (const key of keys) {
    const object = table.get(key)
    if (object !== undefined && (selects === undefined || selects(object))) items.push(object)
  }
  return items
}

function woundBack(
  keys: readonly string[],
  before: ReadonlyMap<string, Stored | undefined>,
  namespace: string | undefined,
): readonly string[] {
  if (before.size === 0) return keys
  const inside = (key: string) => namespace === undefined || namespace === '' || key.startsWith(`${namespace}/`)
  return [...new Set([...keys, ...[...before.keys()].filter(inside)])].sort()
}

function tokenOf(revision: number, after: string | undefined): string {
  return `${revision}:${after ?? ''}`
}

function parseToken(token: string): { revision: number; after: string } {
  const parts = /^([0-9]{1,15}):(.*)$/.exec(token)
  if (parts?.[1] === undefined) throw invalid('this is no continue token that this store gave out')
  return { revision: Number(parts[1]), after: parts[2] ?? '' }
}

function changeOf(entry: Entry): PreparedChange {
  return { kind: entry.kind, key: entry.key, object: entry.type === 'DELETED' ? undefined : entry.object }
}

/** When an Event was last seen, in whole seconds, so that texts compare as times do. */
function lastTime(event: Stored): string {
  const last = event['lastTimestamp']
  const time = typeof last === 'string' ? last : event.metadata.creationTimestamp
  return typeof time === 'string' ? time : ''
}

function newTables(): Tables {
  return Object.fromEntries(kindNames.map((kind) => [kind, new Table(kind === 'Event')])) as Tables
}

function copyOf(tables: Tables): Tables {
  const copies = newTables()
  for (const kind of kindNames) for (const [key, object] of tables[kind].entries()) copies[kind].put(key, object)
  return copies
}

import { setTimeout as pause } from 'node:timers/promises'
import { OperatingError } from '../base/errors.ts'
import type { LogOptions } from '../model/kinds/kubernetes.ts'
import type { KindMap, KindName, Resource } from '../model/registry.ts'
import type { DeleteOptions, Listed, ListOptions, Ref, Selectors, WatchEvent } from '../store/contract.ts'
import { columnsOf } from './columns.ts'
import type { Status } from './failure.ts'
import { pathOfAll, pathOfOne } from './places.ts'
import type { Table } from './table.ts'
import { nodeTransport, type Transport, type Trust, type WireRequest, type WireResponse } from './transport.ts'

export type { ColumnDefinition, Table } from './table.ts'

export interface ClientOptions extends Trust {
  /** `http://127.0.0.1:PORT`, or `https://…` elsewhere. */
  server: string
  /** Left out where a client certificate says who we are. */
  token?: string | undefined
  /** Ends everything that the client does. */
  signal?: AbortSignal | undefined
  /** Another way to the server than Node's HTTP. */
  transport?: Transport | undefined
}

export interface WriteRequest {
  /** Everything but the write. */
  dryRun?: boolean | undefined
}
export interface PatchRequest extends WriteRequest {
  type?: 'merge' | 'json' | undefined
  status?: boolean | undefined
}
export interface TableRow {
  cells: (string | number | null)[]
  object: { metadata: { name: string; namespace?: string } }
}
export interface NamedTable extends Omit<Table, 'rows'> {
  rows: TableRow[]
}

/** The resource API, typed. What the server refuses is thrown as an ApiError, except where a word is named. */
export interface Client {
  get<K extends KindName>(kind: K, ref: Ref): Promise<KindMap[K] | undefined>
  list<K extends KindName>(kind: K, options?: ListOptions): Promise<Listed<KindMap[K]>>
  /** Rows for people, as the server words them. */
  table(kind: KindName, options?: ListOptions): Promise<NamedTable>
  /** The cells of one object, under the same columns. */
  row(kind: KindName, object: Resource): (string | number | null)[]
  create<K extends KindName>(kind: K, object: object, options?: WriteRequest): Promise<KindMap[K]>
  update<K extends KindName>(kind: K, object: KindMap[K], options?: WriteRequest): Promise<KindMap[K]>
  updateStatus<K extends KindName>(kind: K, object: KindMap[K], options?: WriteRequest): Promise<KindMap[K]>
  patch<K extends KindName>(kind: K, ref: Ref, patch: object, options?: PatchRequest): Promise<KindMap[K]>
  delete(kind: KindName, ref: Ref, options?: DeleteOptions & WriteRequest): Promise<'deleted' | 'deleting' | 'missing'>
  /**
   * What is there now as ADDED (with `from`: nothing), then every change. It outlives a server that goes away and a
   * history that has expired: after that, what changed meanwhile comes as ADDED, MODIFIED and DELETED. Ends when
   * `signal` aborts; throws only what trying again cannot mend.
   */
  watch<K extends KindName>(
    kind: K,
    options?: Selectors & { from?: string | undefined },
    signal?: AbortSignal,
  ): AsyncIterable<WatchEvent<KindMap[K]>>
  /** Of a pod; with `job: true`, of rank 0 of a training job. */
  logs(ref: Ref, options?: LogOptions & { job?: boolean | undefined }, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** A file of a model, by its checksum, as it comes: whoever reads it compares the checksum. */
  modelFile(ref: Ref, sha256: string, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** Any path; the body as text, whatever the status. */
  raw(
    path: string,
    request?: { method?: string; body?: unknown; accept?: string },
  ): Promise<{ status: number; body: string }>
  close(): void
}

/** A request that the server refused, with its reasons. The message is the server's sentence. */
export class ApiError extends Error {
  readonly status: Status

  constructor(status: Status) {
    super(status.message ?? status.reason ?? `the server answered ${status.code}`)
    this.name = 'ApiError'
    this.status = status
  }

  get code(): number {
    return this.status.code
  }

  get reason(): string {
    return this.status.reason ?? ''
  }
}

export function createClient(options: ClientOptions): Client {
  const transport = options.transport ?? nodeTransport(options.server, options)
  const caller = new Caller(transport, options.token, options.signal)
  return {
    get: async (kind, ref) => missingIsFine(caller.json(pathOfOne(kind, ref))),
    list: async (kind, options = {}) =>
      listed(await caller.json(`${pathOfAll(kind, options.namespace)}${queryOf(options)}`)),
    table: (kind, options = {}) =>
      caller.json(`${pathOfAll(kind, options.namespace)}${queryOf(options)}`, { accept: asTable }),
    row: (kind, object) => columnsOf(kind).map((column) => column.cell(object, Date.now())),
    create: (kind, object, options) =>
      caller.json(`${pathOfAll(kind, namespaceOf(object) ?? 'default')}${dryRunOf(options)}`, {
        method: 'POST',
        body: object,
      }),
    update: (kind, object, options) =>
      caller.json(`${pathOfOne(kind, object.metadata)}${dryRunOf(options)}`, { method: 'PUT', body: object }),
    updateStatus: (kind, object, options) =>
      caller.json(`${pathOfOne(kind, object.metadata, 'status')}${dryRunOf(options)}`, { method: 'PUT', body: object }),
    patch: (kind, ref, patch, options) =>
      caller.json(`${pathOfOne(kind, ref, options?.status === true ? 'status' : undefined)}${dryRunOf(options)}`, {
        method: 'PATCH',
        body: patch,
        contentType: options?.type === 'json' ? 'application/json-patch+json' : 'application/merge-patch+json',
      }),
    delete: (kind, ref, options) => deleteOne(caller, kind, ref, options),
    watch: (kind, options, signal) => watch(caller, kind, options ?? {}, signal),
    logs: (ref, options, signal) => logs(caller, ref, options ?? {}, signal),
    modelFile: (ref, sha256, signal) => modelFile(caller, ref, sha256, signal),
    raw: (path, request) => caller.text(path, request ?? {}),
    close: () => transport.close(),
  }
}

interface CallOptions {
  method?: string
  body?: unknown
  accept?: string
  contentType?: string
  signal?: AbortSignal | undefined
  hurry?: WireRequest['hurry']
}

const asTable = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'

class Caller {
  readonly #transport: Transport
  readonly #token: string | undefined
  readonly #signal: AbortSignal | undefined

  constructor(transport: Transport, token: string | undefined, signal: AbortSignal | undefined) {
    this.#transport = transport
    this.#token = token
    this.#signal = signal
  }

  async json<T>(path: string, options: CallOptions = {}): Promise<T> {
    const { body } = await this.stream(path, options)
    return JSON.parse(await textOf(body))
  }

  async text(path: string, options: CallOptions): Promise<{ status: number; body: string }> {
    const { status, body } = await this.send(path, options)
    return { status, body: await textOf(body) }
  }

  /** Throws what the server says when it refuses. */
  async stream(path: string, options: CallOptions): Promise<WireResponse> {
    const response = await this.send(path, options)
    if (response.status < 400) return response
    throw new ApiError(statusIn(await textOf(response.body), response.status))
  }

  signalWith(signal: AbortSignal | undefined): AbortSignal | undefined {
    if (signal === undefined || this.#signal === undefined) return signal ?? this.#signal
    return AbortSignal.any([signal, this.#signal])
  }

  private send(path: string, options: CallOptions): Promise<WireResponse> {
    const body = options.body === undefined ? undefined : JSON.stringify(options.body)
    return this.#transport.send({
      method: options.method ?? 'GET',
      path,
      headers: {
        ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
        accept: options.accept ?? 'application/json',
        'user-agent': 'millwright',
        ...(body !== undefined && { 'content-type': options.contentType ?? 'application/json' }),
      },
      body,
      signal: this.signalWith(options.signal),
      hurry: options.hurry,
    })
  }
}

async function missingIsFine<T>(wanted: Promise<T>): Promise<T | undefined> {
  try {
    return await wanted
  } catch (error) {
    if (error instanceof ApiError && error.code === 404) return undefined
    throw error
  }
}

interface WireList<T> {
  metadata: { resourceVersion: string; continue?: string }
  items: T[]
}

function listed<T>(list: WireList<T>): Listed<T> {
  return { items: list.items, ...list.metadata }
}

async function deleteOne(
  caller: Caller,
  kind: KindName,
  ref: Ref,
  options: DeleteOptions & WriteRequest = {},
): Promise<'deleted' | 'deleting' | 'missing'> {
  const { gracePeriodSeconds, propagation, uid, resourceVersion, dryRun } = options
  const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion }
  const body = {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds,
    propagationPolicy: propagation,
    preconditions,
    ...(dryRun === true && { dryRun: ['All'] }),
  }
  const answer = await missingIsFine(caller.json<{ kind: string }>(pathOfOne(kind, ref), { method: 'DELETE', body }))
  if (answer === undefined) return 'missing'
  return answer.kind === 'Status' ? 'deleted' : 'deleting'
}

async function* logs(
  caller: Caller,
  ref: Ref,
  { job, signal: inner, ...options }: LogOptions & { job?: boolean | undefined },
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(options))
    if (value !== undefined && value !== false) query.set(name, String(value))
  const path = pathOfOne(job === true ? 'TrainingJob' : 'Pod', ref, 'log')
  const until = signal ?? inner
  try {
    // A pod may be silent for as long as it likes.
    const hurry = options.follow === true ? 'never' : 'answer'
    const { body } = await caller.stream(`${path}?${query}`, { signal: until, hurry })
    yield* body
  } catch (error) {
    if (caller.signalWith(until)?.aborted !== true) throw cutShort(error, 'the log')
  }
}

/** Unlike a log, a part of a file is worth nothing: an abort throws. */
async function* modelFile(
  caller: Caller,
  ref: Ref,
  sha256: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const path = `${pathOfOne('Model', ref, 'files')}/${encodeURIComponent(sha256)}`
  try {
    const { body } = await caller.stream(path, { accept: '*/*', signal })
    yield* body
  } catch (error) {
    if (caller.signalWith(signal)?.aborted === true) throw error
    throw cutShort(error, 'the file')
  }
}

function cutShort(error: unknown, what: string): unknown {
  if (error instanceof ApiError || error instanceof OperatingError) return error
  return new OperatingError(
    'cut',
    { retryAfterMs: 1000 },
    `the connection to the factory was cut while reading ${what}`,
    { cause: error },
  )
}

const retryMs = { first: 100, max: 5_000 }

async function* watch<K extends KindName>(
  caller: Caller,
  kind: K,
  options: Selectors & { from?: string | undefined },
  signal: AbortSignal | undefined,
): AsyncGenerator<WatchEvent<KindMap[K]>> {
  const known = new Map<string, KindMap[K]>()
  const until = caller.signalWith(signal)
  let from = options.from
  let waitMs = retryMs.first
  while (!isAborted(until)) {
    try {
      if (from === undefined) {
        const list: WireList<KindMap[K]> = await caller.json(
          `${pathOfAll(kind, options.namespace)}${queryOf(options)}`,
          { signal },
        )
        from = list.metadata.resourceVersion
        yield* changesTo(known, list.items)
      }
      for await (const event of changesAfter<KindMap[K]>(caller, kind, options, from, signal)) {
        if (event.type === 'ERROR') throw new ApiError(event.object)
        from = event.object.metadata.resourceVersion ?? from
        waitMs = retryMs.first
        if (event.type === 'BOOKMARK') continue
        if (event.type === 'DELETED') known.delete(idOf(event.object))
        else known.set(idOf(event.object), event.object)
        yield { type: event.type, object: event.object }
      }
    } catch (error) {
      if (isAborted(until)) return
      if (error instanceof ApiError && error.code === 410) from = undefined
      else if (error instanceof ApiError && error.code < 500 && error.code !== 429) throw error
    }
    await pause(waitMs, undefined, until === undefined ? {} : { signal: until }).catch(() => undefined)
    waitMs = Math.min(waitMs * 2, retryMs.max)
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

/** What a fresh list says has changed since the last event. */
function* changesTo<T extends Resource>(known: Map<string, T>, items: readonly T[]): Generator<WatchEvent<T>> {
  const gone = new Map(known)
  for (const object of items) {
    const id = idOf(object)
    const before = known.get(id)
    gone.delete(id)
    known.set(id, object)
    if (before === undefined) yield { type: 'ADDED', object }
    else if (before.metadata.resourceVersion !== object.metadata.resourceVersion) yield { type: 'MODIFIED', object }
  }
  for (const [id, object] of gone) {
    known.delete(id)
    yield { type: 'DELETED', object }
  }
}

/** A namesake made since is another one. */
function idOf(object: Resource): string {
  const { namespace = '', name, uid = '' } = object.metadata
  return `${namespace}/${name}/${uid}`
}

type WireEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T }
  | { type: 'ERROR'; object: Status }

async function* changesAfter<T>(
  caller: Caller,
  kind: KindName,
  options: Selectors,
  from: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<WireEvent<T>> {
  const query = queryOf(options, { watch: '1', allowWatchBookmarks: 'true', resourceVersion: from })
  const { body } = await caller.stream(`${pathOfAll(kind, options.namespace)}${query}`, { signal, hurry: 'head' })
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield JSON.parse(line)
  }
}

function queryOf(options: ListOptions, more: Record<string, string> = {}): string {
  const query = new URLSearchParams(more)
  if (options.labels) query.set('labelSelector', options.labels)
  if (options.fields) query.set('fieldSelector', options.fields)
  if (options.limit !== undefined) query.set('limit', String(options.limit))
  if (options.continue) query.set('continue', options.continue)
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

function dryRunOf(options: WriteRequest | undefined): string {
  return options?.dryRun === true ? '?dryRun=All' : ''
}

function namespaceOf(object: object): string | undefined {
  const metadata = 'metadata' in object ? object.metadata : undefined
  const namespace =
    typeof metadata === 'object' && metadata !== null && 'namespace' in metadata ? metadata.namespace : undefined
  return typeof namespace === 'string' && namespace !== '' ? namespace : undefined
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function statusIn(text: string, code: number): Status {
  try {
    const status: unknown = JSON.parse(text)
    if (isStatus(status)) return status
  } catch {
    // Not ours: a proxy's page, say.
  }
  const message = `the server answered ${code}: ${text.slice(0, 200)}`
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason: 'Unknown', code }
}

function isStatus(value: unknown): value is Status {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'Status' && 'code' in value
}

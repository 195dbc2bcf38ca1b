import { randomInt } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { admit, admitUpdate } from '../model/admission.ts'
import { type FieldError, formatFieldError } from '../model/field-error.ts'
import { apiVersionOf, type KindInfo, type Resource } from '../model/registry.ts'
import type { Store } from '../store/contract.ts'
import { type Answer, type Call, json } from './answer.ts'
import { recordBare, warningOf } from './bare-pod.ts'
import { isObject, type JsonObject } from './body.ts'
import { alreadyExists, badRequest, conflict, invalid, modified, namespaceNotFound, notFound } from './failure.ts'
import { patched, patchTypeOf } from './patch.ts'
import type { Target } from './path.ts'
import type { Reading } from './read.ts'

/** A write that finds another one in between starts again from what is there now, as kube-apiserver does. */
const triesMax = 8

export async function createOne(reading: Reading, target: Target, call: Call): Promise<Answer> {
  const { store } = reading
  const { info } = target
  const asked = identified(info, call.body, target)
  if (metadataOf(asked)['resourceVersion'])
    throw badRequest('resourceVersion should not be set on objects to be created')
  const object = admitted(info, fresh(info, asked), target.namespace)
  const ref = { name: object.metadata.name, namespace: object.metadata.namespace }
  await requireNamespace(store, ref.namespace)
  if (isDryRun(call)) {
    if ((await store.get(info.kind, ref)) !== undefined) throw alreadyExists(info, ref.name)
    return warned(object)
  }
  const created = await store.create(info.kind, object)
  if (created === 'exists') throw alreadyExists(info, ref.name)
  // The pod is made, and the answer says it already: an event that cannot be written is no failure of this request.
  if (created.kind === 'Pod' && warningOf(created) !== undefined) await recordBare(reading, created).catch(() => {})
  return warned(created)
}

function warned(created: Resource): Answer {
  const warning = warningOf(created)
  return { kind: 'json', code: 201, body: created, ...(warning === undefined ? {} : { warning }) }
}

/** A namespace is made on purpose: one that a typo made would hide what is in it. `default` is always there. */
async function requireNamespace(store: Store, name: string | undefined): Promise<void> {
  if (name === undefined || name === 'default') return
  if ((await store.get('Namespace', { name })) === undefined) throw namespaceNotFound(name)
}

export async function updateOne(reading: Reading, target: Target, name: string, call: Call): Promise<Answer> {
  const asked = identified(target.info, call.body, target)
  return json(200, await replace(reading.store, target, name, call, () => asked))
}

export async function patchOne(reading: Reading, target: Target, name: string, call: Call): Promise<Answer> {
  const type = patchTypeOf(call.contentType, target.info.ours)
  const change = (current: Resource) => identified(target.info, patched(current, call.body, type), target)
  return json(200, await replace(reading.store, target, name, call, change))
}

/**
 * Compare-and-set on the main door or the status door. Whoever names a `resourceVersion` loses against a newer one;
 * whoever names none is tried again on top of it.
 */
export async function replace(
  store: Store,
  target: Target,
  name: string,
  call: Call,
  change: (current: Resource) => JsonObject,
): Promise<Resource> {
  const { info } = target
  const ref = { name, namespace: target.namespace }
  for (let tries = 0; tries < triesMax; tries++) {
    const current = await store.get(info.kind, ref)
    if (current === undefined) throw notFound(info, name)
    const asked = change(current)
    refuseOther(info, current, asked)
    const status = target.subresource === 'status'
    const wanted = admittedUpdate(
      info,
      current,
      status ? withStatusOf(current, asked) : withoutStatus(info, current, asked),
    )
    if (isDeepStrictEqual(wanted, current)) return current
    if (isDryRun(call)) return wanted
    const written = await (status ? store.updateStatus(info.kind, wanted) : store.update(info.kind, wanted))
    if (written === 'missing') throw notFound(info, name)
    if (written !== 'stale') return written
  }
  throw conflict(info, name, modified)
}

export function isDryRun(call: Call): boolean {
  const body = isObject(call.body) && call.method === 'DELETE' ? call.body['dryRun'] : undefined
  const asked = [...call.query.getAll('dryRun'), ...(Array.isArray(body) ? body : [])]
  if (asked.some((value) => value !== 'All')) throw badRequest('dryRun: the only value allowed is "All"')
  return asked.length > 0
}

/** A body that says what it is must say what its path says; what it leaves out comes from the path. */
function identified(info: KindInfo, body: unknown, target: Target): JsonObject {
  if (!isObject(body)) throw badRequest(`the body must be a ${info.kind} object`)
  const { apiVersion = apiVersionOf(info), kind = info.kind, metadata = {} } = body
  if (apiVersion !== apiVersionOf(info) || kind !== info.kind) {
    throw badRequest(
      `the body is a ${String(apiVersion).slice(0, 100)} ${String(kind).slice(0, 100)}, but this path takes ${apiVersionOf(info)} ${info.kind}`,
    )
  }
  if (!isObject(metadata)) throw badRequest('metadata must be an object')
  const namespace = metadata['namespace'] || target.namespace
  const name = metadata['name'] || target.name || generated(metadata['generateName'])
  if (target.namespace !== undefined && namespace !== target.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  if (target.name !== undefined && name !== target.name) {
    throw badRequest(
      `the name of the object (${String(name).slice(0, 253)}) does not match the name on the URL (${target.name})`,
    )
  }
  const { namespace: _, ...unplaced } = metadata
  return {
    ...body,
    apiVersion,
    kind,
    metadata: { ...unplaced, ...(name !== undefined && { name }), ...(namespace !== undefined && { namespace }) },
  }
}

function generated(prefix: unknown): string | undefined {
  if (typeof prefix !== 'string' || prefix === '') return undefined
  const letters = 'bcdfghjklmnpqrstvwxz2456789' // Kubernetes' choice: makes no words
  const suffix = Array.from({ length: 5 }, () => letters[randomInt(letters.length)]).join('')
  return `${prefix.slice(0, 248)}${suffix}`
}

/** What the store fills in, and status, are not the creator's to give. */
function fresh(info: KindInfo, object: JsonObject): JsonObject {
  const { status: _, ...rest } = object
  const metadata = without(metadataOf(object), storeOwned)
  const born = info.hasStatus ? rest : object
  return { ...(info.kind === 'Secret' && { type: 'Opaque' }), ...born, metadata }
}

function withoutStatus(info: KindInfo, current: Resource, asked: JsonObject): JsonObject {
  const metadata = keptMetadata(current, metadataOf(asked))
  if (!info.hasStatus) return { ...asked, metadata }
  const { status: _, ...rest } = asked
  return { ...rest, metadata, ...('status' in current && current.status !== undefined && { status: current.status }) }
}

/** Through the status door only status changes. */
function withStatusOf(current: Resource, asked: JsonObject): JsonObject {
  return { ...current, status: asked['status'] }
}

function keptMetadata(current: Resource, asked: JsonObject): JsonObject {
  const kept = Object.entries(current.metadata).filter(([field]) => storeOwned.has(field))
  return { ...without(asked, storeOwned), ...Object.fromEntries(kept) }
}

const storeOwned: ReadonlySet<string> = new Set([
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'selfLink',
])

function without(object: JsonObject, fields: ReadonlySet<string>): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([field]) => !fields.has(field)))
}

function metadataOf(object: JsonObject): JsonObject {
  return isObject(object['metadata']) ? object['metadata'] : {}
}

/** A writer that names a revision or a uid means that one and no other. */
function refuseOther(info: KindInfo, current: Resource, asked: JsonObject): void {
  const { resourceVersion, uid } = metadataOf(asked)
  if (resourceVersion && resourceVersion !== current.metadata.resourceVersion)
    throw conflict(info, current.metadata.name, modified)
  if (uid && uid !== current.metadata.uid) {
    throw conflict(
      info,
      current.metadata.name,
      `the object has another uid (${current.metadata.uid}); it was deleted and made again`,
    )
  }
}

function admitted(info: KindInfo, object: JsonObject, namespace: string | undefined): Resource {
  const verdict = admit(info, withSecretData(info, object), { namespaceDefault: namespace ?? 'default' })
  if ('object' in verdict) return verdict.object
  throw invalid(info, String(metadataOf(object)['name'] ?? ''), verdict.errors.map(problemOf))
}

function admittedUpdate(info: KindInfo, current: Resource, object: JsonObject): Resource {
  const verdict = admitUpdate(info, current, withSecretData(info, object))
  if ('object' in verdict) return verdict.object
  throw invalid(info, current.metadata.name, verdict.errors.map(problemOf))
}

/** A Secret's `stringData` is only written, never kept: it goes into `data`, as on Kubernetes. */
function withSecretData(info: KindInfo, object: JsonObject): JsonObject {
  const { stringData, ...rest } = object
  if (info.kind !== 'Secret' || !isObject(stringData)) return object
  const texts = Object.entries(stringData).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  if (texts.length < Object.keys(stringData).length) return object // admission says which is no string
  const added = Object.fromEntries(texts.map(([key, text]) => [key, Buffer.from(text).toString('base64')]))
  return { ...rest, data: { ...(isObject(object['data']) && object['data']), ...added } }
}

function problemOf(error: FieldError): { field: string; message: string } {
  return { field: error.path, message: formatFieldError({ ...error, path: '' }) }
}

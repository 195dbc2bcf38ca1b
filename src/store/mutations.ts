import { OperatingError } from '../base/errors.ts'
import { mergePatch } from '../base/merge-patch.ts'
import type { Random } from '../base/random.ts'
import { resourceName } from '../model/metadata.ts'
import { apiVersionOf, type KindName, kinds } from '../model/registry.ts'
import type { Binding, DeleteOptions, PatchOptions, WriteOptions } from './contract.ts'
import { equalJson, frozenCopy, invalid, isObject } from './json.ts'
import { terminating } from './namespaces.ts'
import { type Stored, type StoredMeta, takeIn } from './stored.ts'

/**
 * What each write does to one resource: pure rules, as Kubernetes' API server has them. A decision is either a word
 * for the caller, `kept` (nothing to write), the next state, or the end of the resource.
 */
export type Decision<Word extends string> = { word: Word } | { kept: Stored } | { next: Stored } | { ended: Stored }

interface Moment {
  nowMs: number
  random: Random
}

export function created(kind: KindName, object: unknown, options: WriteOptions, moment: Moment): Stored {
  const info = kinds[kind]
  const taken = takeIn(object)
  const { metadata } = taken
  if (taken['kind'] !== kind || taken['apiVersion'] !== apiVersionOf(info)) {
    throw invalid(`kind ${kind} is written as apiVersion: ${apiVersionOf(info)}, kind: ${kind}`)
  }
  if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== '') {
    throw invalid(`${kind} "${metadata.name}" has a resourceVersion, but is about to be created: leave it out`)
  }
  const name = metadata.name || generatedName(metadata, moment.random)
  checkName(kind, name)
  const keepsStatus = !info.hasStatus || options.withStatus === true
  const { status, ...rest } = taken
  const born: StoredMeta = Object.assign(withoutEmpty(metadata, serverFields), {
    name,
    uid: moment.random.uuid(),
    creationTimestamp: timestamp(moment.nowMs),
    generation: 1,
  })
  const initial = keepsStatus && status !== undefined ? status : initialStatus(kind)
  return initial === undefined ? { ...rest, metadata: born } : { ...rest, metadata: born, status: initial }
}

const plainName = /^[a-z0-9][-a-z0-9]{0,100}[a-z0-9]$/ // most names; spares them the full check

function checkName(kind: KindName, name: string): void {
  if (plainName.test(name)) return
  const checked = resourceName.safeParse(name)
  if (checked.success) return
  const why = checked.error.issues[0]?.message ?? 'invalid'
  throw invalid(`"${name.slice(0, 300)}" is no name for a ${kind}: ${why}`)
}

const serverFields = ['resourceVersion', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink']

/** An empty map or list says the same as none; so Kubernetes leaves it out, and a patch that empties nothing is none. */
function withoutEmpty(metadata: StoredMeta, without: readonly string[] = []): StoredMeta {
  const kept: Record<string, unknown> = {}
  for (const key of Object.keys(metadata)) {
    const value = metadata[key]
    if (!isEmpty(value) && !without.includes(key)) kept[key] = value
  }
  return Object.assign(kept, { name: metadata.name })
}

function isEmpty(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0
}

const pending = Object.freeze({ phase: 'Pending' })
const active = Object.freeze({ phase: 'Active' })

function initialStatus(kind: KindName): unknown {
  if (kind === 'Pod') return pending
  if (kind === 'Namespace') return active
  return undefined
}

/** Kubernetes' alphabet: no vowels, so no words; no characters that look like others. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'

function generatedName(metadata: StoredMeta, random: Random): string {
  const prefix = metadata.generateName ?? ''
  if (prefix === '') throw invalid('metadata.name is missing: give a name, or a generateName to start one')
  let name = prefix
  for (let i = 0; i < 5; i++) name += alphabet.charAt(random.int(0, alphabet.length - 1))
  return name
}

export function updated(kind: KindName, stored: Stored, object: unknown): Decision<'stale'> {
  const taken = takeIn(object)
  if (!isCurrent(kind, stored, taken.metadata)) return { word: 'stale' }
  return replaced(kind, stored, taken)
}

export function statusUpdated(kind: KindName, stored: Stored, object: unknown): Decision<'stale'> {
  requireStatus(kind)
  const taken = takeIn(object)
  if (!isCurrent(kind, stored, taken.metadata)) return { word: 'stale' }
  return statusReplaced(kind, stored, taken)
}

function isCurrent(kind: KindName, stored: Stored, given: StoredMeta): boolean {
  if (given.resourceVersion === undefined || given.resourceVersion === '') {
    throw invalid(`an update of ${kind} "${stored.metadata.name}" must carry the resourceVersion that it changes`)
  }
  return meets(stored, { resourceVersion: given.resourceVersion, uid: given.uid })
}

export function patched(kind: KindName, stored: Stored, patch: unknown, options: PatchOptions): Decision<'stale'> {
  if (!isObject(patch)) throw invalid(`a patch of ${kind} "${stored.metadata.name}" must be an object`)
  if (options.status === true) requireStatus(kind)
  if (!meets(stored, options)) return { word: 'stale' }
  const wanted = isObject(patch['metadata']) ? patch['metadata'] : {}
  const { resourceVersion, uid } = wanted
  if (!meets(stored, { resourceVersion: textOrNone(resourceVersion), uid: textOrNone(uid) })) return { word: 'stale' }
  const merged = takeIn(mergePatch(stored, patch))
  return options.status === true ? statusReplaced(kind, stored, merged) : replaced(kind, stored, merged)
}

function textOrNone(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function requireStatus(kind: KindName): void {
  if (!kinds[kind].hasStatus) throw invalid(`${kind} has no status of its own: write the whole object`)
}

function meets(stored: Stored, wanted: { resourceVersion?: string | undefined; uid?: string | undefined }): boolean {
  return (
    (wanted.resourceVersion === undefined || wanted.resourceVersion === stored.metadata.resourceVersion) &&
    (wanted.uid === undefined || wanted.uid === stored.metadata.uid)
  )
}

/** All but status, and but what only the store writes in metadata. */
function replaced(kind: KindName, stored: Stored, object: Stored): Decision<never> {
  const old = stored.metadata
  const { status: given, ...rest } = object
  const status = kinds[kind].hasStatus ? stored.status : given
  const specChanged = !equalJson(stored.spec, object.spec)
  checkSameIdentity(kind, stored, object)
  const metadata: StoredMeta = {
    ...withoutEmpty(object.metadata),
    name: old.name,
    namespace: old.namespace,
    uid: old.uid,
    resourceVersion: old.resourceVersion,
    creationTimestamp: old.creationTimestamp,
    deletionTimestamp: old.deletionTimestamp,
    deletionGracePeriodSeconds: old.deletionGracePeriodSeconds,
    generation: specChanged ? (old.generation ?? 1) + 1 : old.generation,
  }
  return written(kind, stored, { ...rest, metadata, status })
}

function checkSameIdentity(kind: KindName, stored: Stored, object: Stored): void {
  if (object['kind'] !== stored['kind'] || object['apiVersion'] !== stored['apiVersion']) {
    throw invalid(`${kind} "${stored.metadata.name}" cannot become another kind or apiVersion`)
  }
  if (kind === 'Pod' && field(object.spec, 'nodeName') !== field(stored.spec, 'nodeName')) {
    throw invalid(`pod "${stored.metadata.name}": spec.nodeName is set by binding, and only once`)
  }
  if (stored.metadata.deletionTimestamp === undefined) return
  const known = stored.metadata.finalizers ?? []
  const added = (object.metadata.finalizers ?? []).find((finalizer) => !known.includes(finalizer))
  if (added !== undefined) {
    throw invalid(`${kind} "${stored.metadata.name}" is being deleted: finalizer "${added}" comes too late`)
  }
}

function statusReplaced(kind: KindName, stored: Stored, object: Stored): Decision<never> {
  return written(kind, stored, { ...stored, status: object.status })
}

/** The next state, unless it is the same, or the last thing that kept the resource from ending is gone. */
function written(kind: KindName, stored: Stored, next: Stored): Decision<never> {
  if (equalJson(stored, next)) return { kept: stored }
  if (next.metadata.deletionTimestamp !== undefined && !isKept(kind, next.metadata)) return { ended: next }
  return { next }
}

/** Being deleted, but finalizers remain, or a pod's agent has not yet said that its processes are gone. */
function isKept(kind: KindName, metadata: StoredMeta): boolean {
  if ((metadata.finalizers ?? []).length > 0) return true
  return kind === 'Pod' && (metadata.deletionGracePeriodSeconds ?? 0) > 0
}

export function deleted(
  kind: KindName,
  stored: Stored,
  options: DeleteOptions,
  nowMs: number,
): Decision<'stale' | 'deleting'> {
  if (!meets(stored, options)) return { word: 'stale' }
  const isFirst = stored.metadata.deletionTimestamp === undefined
  const leaving = kind === 'Namespace' && isFirst ? terminating(stored) : stored
  const old = leaving.metadata
  const graceSeconds = kind === 'Pod' ? podGraceSeconds(stored, options) : 0
  const since = old.deletionTimestamp
  const isShorter = since === undefined || graceSeconds < (old.deletionGracePeriodSeconds ?? 0)
  const metadata: StoredMeta = isShorter
    ? {
        ...old,
        deletionTimestamp: timestamp(nowMs + graceSeconds * 1000),
        deletionGracePeriodSeconds: graceSeconds,
        generation: since === undefined ? (old.generation ?? 1) + 1 : (old.generation ?? 1),
      }
    : old
  if (!isKept(kind, metadata)) return { ended: stored }
  return isShorter ? { next: { ...leaving, metadata } } : { word: 'deleting' }
}

/** Only a pod that an agent may be running needs time to stop. */
function podGraceSeconds(pod: Stored, options: DeleteOptions): number {
  const phase = field(pod.status, 'phase')
  if (field(pod.spec, 'nodeName') === undefined || phase === 'Succeeded' || phase === 'Failed') return 0
  const asked = options.gracePeriodSeconds ?? field(pod.spec, 'terminationGracePeriodSeconds')
  return typeof asked === 'number' && asked >= 0 ? asked : 30
}

export function bound(pod: Stored, binding: Binding, nowMs: number): Decision<'stale' | 'bound'> {
  if (binding.uid !== undefined && binding.uid !== pod.metadata.uid) return { word: 'stale' }
  if (field(pod.spec, 'nodeName') !== undefined) return { word: 'bound' }
  if (!meets(pod, binding) || pod.metadata.deletionTimestamp !== undefined) return { word: 'stale' }
  const annotations = { ...asObject(pod.metadata['annotations']), ...binding.annotations }
  const scheduled = { type: 'PodScheduled', status: 'True', lastTransitionTime: timestamp(nowMs) }
  const status = asObject(pod.status)
  const conditions = Array.isArray(status['conditions']) ? status['conditions'] : []
  return {
    next: {
      ...pod,
      metadata: { ...pod.metadata, annotations, generation: (pod.metadata.generation ?? 1) + 1 },
      spec: { ...asObject(pod.spec), nodeName: binding.node },
      status: {
        ...status,
        conditions: [...conditions.filter((known) => field(known, 'type') !== 'PodScheduled'), scheduled],
      },
    },
  }
}

/** Whoever writes under a lease is of its epoch: an older one has ended, and a newer one was of a lease that was deleted. */
export function checkFence(lease: Stored | undefined, name: string, epoch: number): void {
  if (lease === undefined) throw fenced(`lease "${name}" is gone, so nobody leads by it: acquire it again`)
  const current = leaseEpoch(lease)
  if (epoch !== current) {
    throw fenced(`another leader (epoch ${current}) took lease "${name}"; epoch ${epoch} may change nothing any more`)
  }
}

/** A lease's epoch never falls, whoever writes it. */
export function checkEpochRises(stored: Stored, next: Stored): void {
  const current = leaseEpoch(stored)
  if (leaseEpoch(next) < current) {
    throw fenced(`lease "${stored.metadata.name}" is at epoch ${current}, which cannot fall to ${leaseEpoch(next)}`)
  }
}

function leaseEpoch(lease: Stored): number {
  const epoch = field(lease.spec, 'leaseTransitions')
  return typeof epoch === 'number' ? epoch : 0
}

function fenced(message: string): OperatingError {
  return new OperatingError('fenced', 'give-up', message)
}

/** Without the owner `uid`; undefined when it did not own this. */
export function disowned(object: Stored, uid: string): Stored | undefined {
  const owners = object.metadata.ownerReferences
  if (owners === undefined || !owners.some((owner) => owner.uid === uid)) return undefined
  return {
    ...object,
    metadata: { ...object.metadata, ownerReferences: owners.filter((owner) => owner.uid !== uid) },
  }
}

/**
 * The state as it is kept: stamped with its revision and frozen, without the fields that are undefined. What is frozen
 * in it came in through `takeIn` or out of the store, and so is frozen to the leaves.
 */
export function stamped(object: Stored, revision: number): Stored {
  const { name } = object.metadata
  const metadata = Object.assign(frozenFields(object.metadata), { name, resourceVersion: String(revision) })
  return Object.freeze(Object.assign(frozenFields(object), { metadata: Object.freeze(metadata) }))
}

function frozenFields(object: object): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const key of Object.keys(object)) {
    const value: unknown = Reflect.get(object, key)
    if (value !== undefined && key !== 'metadata') fields[key] = Object.isFrozen(value) ? value : frozenCopy(value)
  }
  return fields
}

/** Kubernetes' timestamps have whole seconds. */
export function timestamp(ms: number): string {
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond.number) {
    lastSecond = { number: second, text: `${new Date(second * 1000).toISOString().slice(0, 19)}Z` }
  }
  return lastSecond.text
}

/** Many writes share a second, and the text costs more than all else in a timestamp. */
let lastSecond = { number: 0, text: '1970-01-01T00:00:00Z' }

function field(object: unknown, name: string): unknown {
  return isObject(object) ? object[name] : undefined
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {}
}

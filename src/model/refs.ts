import { assert } from '../base/errors.ts'
import type { OwnerReference } from './metadata.ts'

/** Anything that has a place in the store. */
export interface Named {
  metadata: { name: string; namespace?: string | undefined }
}
export interface Owned {
  metadata: { ownerReferences?: OwnerReference[] | undefined }
}
export interface Identified extends Named {
  apiVersion: string
  kind: string
  metadata: Named['metadata'] & { uid?: string | undefined }
}

/** `namespace/name`, or `name` where there is no namespace: one string for maps and work queues. */
export function keyOf(object: Named): string {
  return keyOfRef(object.metadata)
}

export function keyOfRef(ref: { name: string; namespace?: string | undefined }): string {
  return ref.namespace === undefined ? ref.name : `${ref.namespace}/${ref.name}`
}

/** The inverse of `keyOf`. */
export function refOfKey(key: string): { name: string; namespace?: string } {
  const slash = key.indexOf('/')
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

export function refOf(object: Named): { name: string; namespace?: string } {
  const { name, namespace } = object.metadata
  return namespace === undefined ? { name } : { name, namespace }
}

/** Makes its holder go when `owner` goes. Only what the store has given a uid can own. */
export function ownerReferenceTo(owner: Identified): OwnerReference {
  const { name, uid } = owner.metadata
  assert(uid !== undefined, `${owner.kind} ${name} has no uid yet and cannot own anything`)
  return { apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller: true, blockOwnerDeletion: true }
}

/** The one owner that controls `object`, if any. */
export function controllerOf(object: Owned): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true)
}

export function isOwnedBy(object: Owned, owner: { metadata: { uid?: string | undefined } }): boolean {
  const uid = owner.metadata.uid
  return uid !== undefined && (object.metadata.ownerReferences ?? []).some((reference) => reference.uid === uid)
}

/** How an Event names what it is about. */
export function involvedObjectOf(object: Identified): {
  apiVersion: string
  kind: string
  name: string
  namespace?: string
  uid?: string
} {
  const { uid } = object.metadata
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    ...refOf(object),
    ...(uid === undefined ? {} : { uid }),
  }
}

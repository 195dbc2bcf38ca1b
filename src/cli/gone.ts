import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from '../api/client.ts'
import { type KindInfo, kinds, type Resource } from '../model/registry.ts'

export interface Target {
  info: KindInfo
  ref: { name: string; namespace?: string | undefined }
}
/** What is to go, and all that it owns, by uid: a namesake that is made meanwhile is another one. */
export interface Family extends Target {
  uids: Set<string>
}

/** Owners, before what they own. */
const owned = [kinds.Gang, kinds.Pod]
const lookMs = { first: 50, max: 500 }

/** Looked up before a deletion: an owner may be gone before what it owns. */
export async function familyOf(client: Client, target: Target): Promise<Family> {
  const uid = (await client.get(target.info.kind, target.ref))?.metadata.uid
  const family = { ...target, uids: new Set(uid === undefined ? [] : [uid]) }
  await membersLeft(client, family)
  return family
}

/**
 * Resolves once what was deleted is gone, and all gangs and pods that it owns with it: only then are its seats free.
 * `waiting` hears, at each look, what is still there.
 */
export async function whenGone(
  client: Client,
  family: Family,
  waiting: (names: readonly string[]) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let waitMs = lookMs.first; !signal.aborted; waitMs = Math.min(lookMs.max, waitMs * 2)) {
    const found = await client.get(family.info.kind, family.ref)
    const isThere = found?.metadata.uid !== undefined && family.uids.has(found.metadata.uid)
    const left = [...(isThere ? [held(family.info, found)] : []), ...(await membersLeft(client, family))]
    if (left.length === 0) return
    waiting(left)
    await pause(waitMs, undefined, { signal }).catch(() => undefined)
  }
}

/** The gangs and pods of a family; those not known yet are added to it. */
async function membersLeft(client: Client, { info, ref, uids }: Family): Promise<string[]> {
  const left: string[] = []
  for (const kind of info.namespaced ? owned : []) {
    const { items } = await client.list(kind.kind, { namespace: ref.namespace })
    for (const object of items) {
      if (!(object.metadata.ownerReferences ?? []).some((owner) => uids.has(owner.uid))) continue
      if (object.metadata.uid !== undefined) uids.add(object.metadata.uid)
      left.push(named(kind, object))
    }
  }
  return left
}

/** With what keeps it, where its conditions say so. */
function held(info: KindInfo, object: Resource): string {
  const conditions = object.kind === 'Queue' || object.kind === 'Namespace' ? object.status?.conditions : undefined
  const keeps = conditions?.find(({ type, status }) => status === 'True' && keeping.includes(type))
  return keeps?.message === undefined ? named(info, object) : `${named(info, object)} (${keeps.message})`
}

const keeping: readonly string[] = ['InUse', 'NamespaceContentRemaining']

const named = (info: KindInfo, object: Resource) => `${info.singular}/${object.metadata.name}`

import type { KindInfo, Resource } from '../model/registry.ts'
import type { DeleteOptions, Store } from '../store/contract.ts'
import { type Answer, type Call, json } from './answer.ts'
import { isObject } from './body.ts'
import { badRequest, conflict, modified, notFound, succeeded } from './failure.ts'
import type { Target } from './path.ts'
import { type Reading, selectorsOf, shaped, wholeNumber } from './read.ts'
import { isDryRun } from './write.ts'

/** Answers Success when the object is gone, and the object when it stays until its finalizers or its agent let go. */
export async function deleteOne({ store }: Reading, target: Target, name: string, call: Call): Promise<Answer> {
  const { info } = target
  const ref = { name, namespace: target.namespace }
  const current = await store.get(info.kind, ref)
  if (current === undefined) throw notFound(info, name)
  const options = deleteOptionsOf(call)
  refuseOther(info, current, options)
  const details = {
    name,
    kind: info.plural,
    ...(info.group !== '' && { group: info.group }),
    uid: current.metadata.uid ?? '',
  }
  if (isDryRun(call)) return json(200, succeeded(200, details))
  const outcome = await store.delete(info.kind, ref, options)
  if (outcome === 'missing') throw notFound(info, name)
  if (outcome === 'stale') throw conflict(info, name, modified)
  const left = outcome === 'deleting' ? await store.get(info.kind, ref) : undefined
  return json(200, left ?? succeeded(200, details))
}

export async function deleteMany({ store, clock }: Reading, target: Target, call: Call): Promise<Answer> {
  const listed = await store.list(target.info.kind, selectorsOf(target, call))
  const { gracePeriodSeconds, propagation } = deleteOptionsOf(call)
  if (!isDryRun(call)) {
    for (const object of listed.items)
      await deleteListed(store, target.info, object, { gracePeriodSeconds, propagation })
  }
  return json(200, shaped(target, listed.items, { resourceVersion: listed.resourceVersion }, call, clock.now()))
}

/** `missing` is fine: what was to be deleted is. The uid keeps a namesake made since from harm. */
async function deleteListed(store: Store, info: KindInfo, object: Resource, options: DeleteOptions): Promise<void> {
  const { name, namespace, uid } = object.metadata
  await store.delete(info.kind, { name, namespace }, { ...options, uid })
}

/** `DeleteOptions` in the body, or the same as query parameters. */
export function deleteOptionsOf(call: Call): DeleteOptions {
  const body = isObject(call.body) ? call.body : {}
  const preconditions = isObject(body['preconditions']) ? body['preconditions'] : {}
  return {
    gracePeriodSeconds: graceOf(body['gracePeriodSeconds']) ?? wholeNumber(call.query, 'gracePeriodSeconds'),
    propagation: propagationOf(
      body['propagationPolicy'] ?? call.query.get('propagationPolicy') ?? undefined,
      body,
      call,
    ),
    uid: textOf(preconditions['uid'], 'preconditions.uid'),
    resourceVersion: textOf(preconditions['resourceVersion'], 'preconditions.resourceVersion'),
  }
}

function refuseOther(info: KindInfo, current: Resource, { uid, resourceVersion }: DeleteOptions): void {
  const { name } = current.metadata
  if (uid !== undefined && uid !== current.metadata.uid) {
    throw conflict(
      info,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`,
    )
  }
  if (resourceVersion !== undefined && resourceVersion !== current.metadata.resourceVersion)
    throw conflict(info, name, modified)
}

function graceOf(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  throw badRequest('gracePeriodSeconds must be a whole number, 0 or more')
}

/** Foreground is carried out as Background: the owner goes at once, what it owns follows. */
function propagationOf(value: unknown, body: object, call: Call): 'Background' | 'Orphan' | undefined {
  const orphans =
    'orphanDependents' in body ? body.orphanDependents === true : call.query.get('orphanDependents') === 'true'
  if (value === undefined || value === null || value === '') return orphans ? 'Orphan' : undefined
  if (value === 'Orphan') return 'Orphan'
  if (value === 'Background' || value === 'Foreground') return 'Background'
  throw badRequest('propagationPolicy must be one of Background, Foreground, Orphan')
}

function textOf(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  throw badRequest(`${field} must be a string`)
}

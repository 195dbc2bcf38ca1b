import type { Clock } from '../base/clock.ts'
import { apiVersionOf, type KindName, type Resource } from '../model/registry.ts'
import type { Store } from '../store/contract.ts'
import { type Answer, type Call, json, type Shape, shapeOf } from './answer.ts'
import { badRequest, expired, notFound } from './failure.ts'
import type { Target } from './path.ts'
import { type IncludeObject, partialOf, tableOf } from './table.ts'

export interface Reading {
  store: Store
  clock: Clock
}

export async function getOne({ store, clock }: Reading, target: Target, name: string, call: Call): Promise<Answer> {
  const object = await store.get(target.info.kind, { name, namespace: target.namespace })
  if (object === undefined) throw notFound(target.info, name)
  const shape = shapeOf(call.accept)
  if (shape === 'object') return json(200, object)
  if (shape === 'partial') return json(200, partialOf(object))
  const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' }
  return json(200, tableOf(target.info.kind, [object], metadata, includeOf(call), clock.now()))
}

export async function listAll({ store, clock }: Reading, target: Target, call: Call): Promise<Answer> {
  const { kind } = target.info
  const listed = await store.list(kind, {
    ...selectorsOf(target, call),
    limit: wholeNumber(call.query, 'limit') || undefined, // 0 means no limit
    continue: call.query.get('continue') || undefined,
  })
  refuseOtherVersion(call, listed.resourceVersion)
  const metadata = {
    resourceVersion: listed.resourceVersion,
    ...(listed.continue !== undefined && { continue: listed.continue }),
  }
  return json(200, shaped(target, listed.items, metadata, call, clock.now()))
}

/** A list in the shape that the client asked for. */
export function shaped(
  target: Target,
  items: readonly Resource[],
  metadata: { resourceVersion: string; continue?: string },
  call: Call,
  nowMs: number,
): object {
  const shape = shapeOf(call.accept)
  if (shape === 'table') return tableOf(target.info.kind, items, metadata, includeOf(call), nowMs)
  if (shape === 'partial') {
    return { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items: items.map(partialOf) }
  }
  return { kind: `${target.info.kind}List`, apiVersion: apiVersionOf(target.info), metadata, items }
}

/** One object as a watcher gets it. */
export function shapedOne(
  kind: KindName,
  object: Resource,
  shape: Shape,
  include: IncludeObject,
  nowMs: number,
): object {
  if (shape === 'object') return object
  if (shape === 'partial') return partialOf(object)
  return tableOf(kind, [object], { resourceVersion: object.metadata.resourceVersion ?? '' }, include, nowMs)
}

export function selectorsOf(target: Target, call: Call) {
  const byName = target.name === undefined ? [] : [`metadata.name=${target.name}`]
  const fields = [...byName, call.query.get('fieldSelector') ?? ''].filter((selector) => selector !== '').join(',')
  return {
    namespace: target.namespace,
    labels: call.query.get('labelSelector') || undefined,
    fields: fields || undefined,
  }
}

export function includeOf(call: Call): IncludeObject {
  const asked = call.query.get('includeObject')
  return asked === 'None' || asked === 'Object' ? asked : 'Metadata'
}

export function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  if (!/^[0-9]{1,15}$/.test(text)) throw badRequest(`${name}=${text.slice(0, 50)} is not a whole number`)
  return Number(text)
}

export function isTrue(query: URLSearchParams, name: string): boolean {
  const text = query.get(name)
  return text === 'true' || text === '1'
}

/** Lists are always the newest, which satisfies every `resourceVersion` except an exact older one. */
function refuseOtherVersion(call: Call, present: string): void {
  const asked = call.query.get('resourceVersion') ?? ''
  if (call.query.get('resourceVersionMatch') !== 'Exact' || asked === present) return
  throw expired(`the list as of resourceVersion ${asked.slice(0, 50)} is no longer kept; list without it`)
}

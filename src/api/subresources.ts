import type { KindName } from '../model/registry.ts'

/** A door of a resource beside its main one, as discovery announces it. */
export interface Subresource {
  name: string
  verbs: readonly string[]
  /** It holds several, each with a path of its own below it, and is nothing by itself. */
  hasParts?: true
  /** What goes through it, where that is not the resource itself. */
  kind?: { group: string; version: string; kind: string }
}

const scale: Subresource = {
  name: 'scale',
  verbs: ['get', 'patch', 'update'],
  kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
}
const log: Subresource = { name: 'log', verbs: ['get'] }
const why: Subresource = { name: 'why', verbs: ['get'] }
const files: Subresource = { name: 'files', verbs: ['get'], hasParts: true }
const status: Subresource = { name: 'status', verbs: ['get', 'patch', 'update'] }

export function subresourcesOf(info: { kind: KindName; hasStatus: boolean }): readonly Subresource[] {
  return [...(info.hasStatus ? [status] : []), ...(special[info.kind] ?? [])]
}

const special: { readonly [K in KindName]?: readonly Subresource[] } = {
  TrainingJob: [scale, log, why],
  InferenceService: [scale, why],
  Gang: [why],
  Model: [files],
  Pod: [
    log,
    { name: 'binding', verbs: ['create'], kind: { group: '', version: 'v1', kind: 'Binding' } },
    { name: 'eviction', verbs: ['create'], kind: { group: 'policy', version: 'v1', kind: 'Eviction' } },
  ],
}

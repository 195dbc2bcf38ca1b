import { type InferenceService, inferenceService } from '../../model/kinds/inference-service.ts'
import type { PodTemplate } from '../../model/kinds/kubernetes.ts'
import { templateOf, withEnv } from '../../model/pods.ts'
import type { Missing } from '../missing.ts'
import type { Context } from '../reconciler.ts'
import { resolveModel, type Served } from './model.ts'

/** What a replica is made of: replicas of one revision are interchangeable. */
export interface Revision {
  id: string
  template: PodTemplate
  served: Served | undefined
  /** The spec it was made from, with the model's version written out: enough to make it again. */
  spec: InferenceService['spec']
}

/**
 * Counts, limits and priority are not part of it: changing those restarts nothing. Nor are queue and capacity: replicas that
 * have seats of others are replaced, and what serves is the same.
 */
export function revisionOf(context: Context, service: InferenceService): Revision | { problem: Missing } {
  const resolved = resolveModel(context, service)
  if ('problem' in resolved) return resolved
  const { served } = resolved
  const template = withEnv(templateOf(service), [{ name: 'MILLWRIGHT_MODEL_NAME', value: service.metadata.name }])
  const spec = served === undefined ? service.spec : { ...service.spec, model: served.name }
  return { id: shortHash(canonical({ template, digest: served?.digest ?? '' })), template, served, spec }
}

/** The revision that served last, from the snapshot in the status; undefined when it cannot be made any more. */
export function lastGoodOf(context: Context, service: InferenceService): Revision | undefined {
  const snapshot = service.status?.lastGood
  if (snapshot === undefined) return undefined
  const spec = inferenceService.shape.spec.safeParse(snapshot.spec)
  if (!spec.success) return undefined
  const revision = revisionOf(context, { ...service, spec: spec.data })
  // A newer program may write templates another way: the name still says which replicas are of it.
  return 'problem' in revision ? undefined : { ...revision, id: snapshot.revision }
}

/** JSON with keys in order, so that the same content is the same text. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null)
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join(',')}}`
}

/** FNV-1a, two lanes of 32 bit, the first 40 bits of them: a name, not a proof. */
function shortHash(text: string): string {
  let low = 0x811c9dc5
  let high = 0x9747b28c
  for (let i = 0; i < text.length; i++) {
    low = Math.imul(low ^ text.charCodeAt(i), 0x01000193)
    high = Math.imul(high ^ text.charCodeAt(text.length - 1 - i), 0x01000193)
  }
  const hex = (lane: number) => (lane >>> 0).toString(16).padStart(8, '0')
  return `${hex(low)}${hex(high)}`.slice(0, 10)
}

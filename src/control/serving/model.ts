import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { Model } from '../../model/kinds/model.ts'
import type { Missing } from '../missing.ts'
import type { Context } from '../reconciler.ts'

/** What a service serves. `source` is for `agent/pod`: a manifest key, or a URI. Nothing where the server brings its own. */
export interface Served {
  name: string
  source: string
  /** Changes when the content does. */
  digest: string
}
export type Resolved = { served: Served | undefined } | { problem: Missing }

/** The newest version of a Model, one exact version of it, or a URI as it is. */
export function resolveModel({ views }: Context, service: InferenceService): Resolved {
  const { model } = service.spec
  const { namespace } = service.metadata
  if (model === undefined) return { served: undefined }
  if (/^[a-z][a-z0-9+.-]*:/.test(model)) return { served: { name: model, source: model, digest: model } }
  const exact = views.of('Model').get({ name: model, namespace })
  const found = exact ?? newestVersion(views.of('Model').list(namespace), model)
  if (found !== undefined) {
    const { manifest, digest } = found.spec
    return { served: { name: found.metadata.name, source: manifest, digest } }
  }
  const message = `model ${model} has no version in namespace ${namespace ?? 'default'} yet; train one that has it as spec.output.model, or name a file (file:///path)`
  return { problem: { reason: 'ModelMissing', message } }
}

export function newestVersion(models: readonly Model[], name: string): Model | undefined {
  return models
    .filter((model) => model.spec.model === name && model.metadata.deletionTimestamp === undefined)
    .reduce<Model | undefined>(
      (best, model) => (best && best.spec.version >= model.spec.version ? best : model),
      undefined,
    )
}

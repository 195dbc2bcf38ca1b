import type { ModelList } from './responses.ts'

/** `createdSeconds` is Unix time, the same for all models of a list. */
export function listModels(names: readonly string[], createdSeconds: number): ModelList {
  return {
    object: 'list',
    data: names.map((id) => ({ id, object: 'model', created: createdSeconds, owned_by: 'millwright' })),
  }
}

export { envName } from './metadata.ts'

import type { Env } from './kinds/fields.ts'
import type { EnvVar } from './kinds/kubernetes.ts'

/** `NAME: value` or Kubernetes' list, as Kubernetes' list. Order is kept: later entries may refer to earlier ones. */
export function envList(env: Env | undefined): EnvVar[] {
  if (env === undefined) return []
  if (Array.isArray(env)) return env
  return Object.entries(env).map(([name, value]) => ({ name, value: String(value) }))
}

/** `first`, then `then`; where both set a name, `then`'s value stands, in the place of the first. */
export function mergeEnv(first: readonly EnvVar[], then: readonly EnvVar[]): EnvVar[] {
  const merged = new Map<string, EnvVar>()
  for (const entry of [...first, ...then]) merged.set(entry.name, entry)
  return [...merged.values()]
}

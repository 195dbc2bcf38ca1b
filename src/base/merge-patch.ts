import { OperatingError } from './errors.ts'

/** RFC 7386; a field that is undefined is not there. Shares what the patch does not touch. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged: Record<string, unknown> = isObject(target) ? { ...target } : {}
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) delete merged[field]
    else if (field === '__proto__')
      throw new OperatingError('invalid', 'give-up', '__proto__ is not allowed as a field name')
    else if (value !== undefined) merged[field] = mergePatch(merged[field], value)
  }
  return merged
}

/** The merge patch that makes of `before` what `after` is: what is no longer said is taken out by name. */
export function mergePatchTo(before: unknown, after: unknown): unknown {
  if (after === undefined) return null
  if (!isObject(before) || !isObject(after)) return after
  const gone = Object.keys(before).filter((key) => after[key] === undefined)
  const said = Object.keys(after).filter((key) => after[key] !== undefined)
  return Object.fromEntries([...gone, ...said].map((key) => [key, mergePatchTo(before[key], after[key])]))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

import { type FieldError, fieldError } from './field-error.ts'
import type { TrainingJob } from './kinds/training-job.ts'
import type { Resource } from './registry.ts'
import { valueAt } from './schema-errors.ts'

/** Changes that the running work cannot follow. What they are about must be stopped, or made anew. */
export function immutableErrors(before: Resource, after: Resource): FieldError[] {
  if (before.kind !== after.kind) return [fieldError(['kind'], `cannot change from ${before.kind}`)]
  switch (after.kind) {
    case 'TrainingJob':
      return before.kind === 'TrainingJob' ? trainingErrors(before, after) : []
    case 'Model':
      return frozen(before, after, [['spec']], 'never changes: publish a new version instead')
    case 'Drill':
      return frozen(before, after, [['spec']], 'never changes: a Drill strikes once; make another')
    case 'Report':
    case 'LedgerPage':
      return frozen(before, after, [['spec']], 'never changes: it says whose it is')
    case 'Pool':
      return frozen(before, after, [['spec', 'accelerator']], 'cannot change: make another Pool')
    case 'Gang':
      return before.kind === 'Gang' && after.spec.attempt < before.spec.attempt
        ? [fieldError(['spec', 'attempt'], `cannot go back from ${before.spec.attempt}`)]
        : []
    default:
      return []
  }
}

/** What a running gang is made of; it changes between two attempts, and only when somebody stopped it on purpose. */
export const trainingJobShape = [
  'queue',
  'workers',
  'minWorkers',
  'groups',
  'command',
  'args',
  'image',
  'workingDir',
  'env',
  'resources',
  'capacityType',
  'dataset',
  'topology',
  'together',
  'failurePolicy.restart',
] as const

function trainingErrors(before: TrainingJob, after: TrainingJob): FieldError[] {
  const shape = trainingJobShape.map((field) => ['spec', ...field.split('.')])
  const phase = before.status?.phase
  if (phase === 'Succeeded' || phase === 'Failed') {
    return frozen(before, after, shape, `cannot change any more: the job has ended; run it again under another name`)
  }
  if (before.spec.suspend || after.spec.suspend) return []
  return frozen(before, after, shape, 'cannot change while the job may run; suspend it first (spec.suspend: true)')
}

function frozen(before: Resource, after: Resource, paths: readonly string[][], message: string): FieldError[] {
  return paths
    .filter((path) => !isSame(valueAt(before, path), valueAt(after, path)))
    .map((path) => fieldError(path, message))
}

/** Equality of JSON values; a field set to undefined is a field that isn't there. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...keys].every((key) => isSame(Reflect.get(a, key), Reflect.get(b, key)))
}

import { type FieldError, fieldError } from './field-error.ts'
import type { Drill } from './kinds/drill.ts'
import type { TrainingJob } from './kinds/training-job.ts'
import { workersOf } from './pods.ts'

/** What is wrong with the rank that a drill names, of a job that is there: it would never be struck. */
export function rankErrors({ spec }: Drill, job: TrainingJob | undefined): FieldError[] {
  const { rank } = spec.target ?? {}
  if (job === undefined || rank === undefined) return []
  const workers = workersOf(job)
  if (rank < workers) return []
  const more = { found: String(rank), allowed: workers === 1 ? '0' : `0 to ${workers - 1}` }
  return [fieldError(['spec', 'target', 'rank'], `names no rank of job ${job.metadata.name}`, more)]
}

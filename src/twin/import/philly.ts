import { numberIn, RowErrors, textIn } from './cells.ts'
import { keep, type PastJob } from './past-job.ts'
import { type Dialect, rowsOf } from './table.ts'

const form: Dialect = {
  delimiter: ',',
  isQuoted: false,
  columns: ['submit_s', 'gpus', 'duration_s', 'duration_extrapolated', 'model'],
  required: ['submit_s', 'gpus', 'duration_s', 'model'],
  hasOthers: false,
}

/**
 * Jobs of one virtual cluster of Microsoft's Philly, as Gavel derived them (`stanford-futuredata/gavel`): the queue has its
 * name, and `model` is what was trained.
 *
 * @throws TableError with the lines that are wrong.
 */
export async function readPhilly(bytes: AsyncIterable<Uint8Array>, queue: string): Promise<PastJob[]> {
  const jobs: PastJob[] = []
  const errors = new RowErrors()
  for await (const row of rowsOf(bytes, form)) {
    const job = {
      submitSeconds: numberIn(row, 'submit_s', errors, { min: 0 }) ?? 0,
      gpus: numberIn(row, 'gpus', errors, { min: 1, isWhole: true }) ?? 1,
      durationSeconds: numberIn(row, 'duration_s', errors, { min: 0, isAbove: true }) ?? 1,
      nodes: undefined,
      limitSeconds: undefined,
      waitSeconds: undefined,
      queue,
      user: undefined,
      workload: textIn(row, 'model'),
      model: undefined,
      priority: undefined,
    }
    keep(jobs, job, row.line)
  }
  errors.throwAny()
  return jobs.sort((a, b) => a.submitSeconds - b.submitSeconds)
}

import { numberIn, RowErrors, textIn } from './cells.ts'
import { InOrder, jobsMax, type PastJobs } from './past-job.ts'
import { type Dialect, rowsOf } from './table.ts'

const form: Dialect = {
  delimiter: ',',
  isQuoted: false,
  columns: ['submit_s', 'gpus', 'duration_s', 'duration_extrapolated', 'model'],
  required: ['submit_s', 'gpus', 'duration_s', 'model'],
}

/**
 * Jobs of one virtual cluster of Microsoft's Philly, as Gavel derived them (`stanford-futuredata/gavel`): the queue has its
 * name, and `model` is what was trained. Rows that are not sorted are put in order, and the first of them is told.
 *
 * @throws TableError with the lines that are wrong.
 */
export async function readPhilly(bytes: AsyncIterable<Uint8Array>, queue: string, most = jobsMax): Promise<PastJobs> {
  const errors = new RowErrors()
  const jobs = new InOrder('submit_s', { most, errors })
  for await (const row of rowsOf(bytes, form)) {
    const job = {
      submitSeconds: numberIn(row, 'submit_s', errors, { min: 0 }) ?? 0,
      gpus: numberIn(row, 'gpus', errors, { min: 1, isWhole: true }) ?? 1,
      durationSeconds: numberIn(row, 'duration_s', errors, { min: 0, isAbove: true }) ?? 1,
      nodes: undefined,
      limitSeconds: undefined,
      waitSeconds: undefined,
      id: undefined,
      queue,
      user: undefined,
      workload: textIn(row, 'model'),
      model: undefined,
      priority: undefined,
    }
    jobs.add(job, row.line)
  }
  errors.throwAny()
  return jobs.sorted()
}

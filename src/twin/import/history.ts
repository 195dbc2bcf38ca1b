import { numberIn, type Range, RowErrors, textIn } from './cells.ts'
import { jobsMax, keep, type PastJob } from './past-job.ts'
import { type Dialect, type Row, rowsOf } from './table.ts'

/** The columns of our own form, in the order in which it is written, and what they say. */
export const historyColumns = {
  submit_s: 'when it was handed in, in seconds from the start of the history; rows are sorted by it',
  gpus: 'accelerators that it held, of all nodes together',
  duration_s: 'how long it ran',
  nodes: 'over how many nodes they were spread',
  limit_s: 'how long it was to run at most, as its user declared',
  wait_s: 'how long it waited',
  queue: 'its queue, partition or account',
  user: 'who handed it in',
  workload: 'what jobs that are alike have in common: a name, a model',
  model: 'model of the accelerators',
  priority: 'higher goes first, and displaces what is lower within its queue',
  id: 'what it was called there: its name in the twin, where that may be one',
} as const

type Column = keyof typeof historyColumns

/** As a TrainingJob may have. */
const priorityMax = 1_000_000_000

const required: readonly Column[] = ['submit_s', 'gpus', 'duration_s']

const form: Dialect = {
  delimiter: ',',
  isQuoted: true,
  columns: Object.keys(historyColumns),
  required,
}

/**
 * Jobs in our own form, CSV with a header, in order.
 *
 * @throws TableError with the lines that are wrong; rows that are not sorted are.
 */
export async function readHistory(bytes: AsyncIterable<Uint8Array>, most = jobsMax): Promise<PastJob[]> {
  const jobs: PastJob[] = []
  const errors = new RowErrors()
  let last = { submitSeconds: 0, line: 1 }
  for await (const row of rowsOf(bytes, form)) {
    const job = jobIn(row, errors)
    if (job === undefined) continue
    if (job.submitSeconds < last.submitSeconds) {
      const message = `is before that of line ${last.line}; sort the rows by submit_s`
      errors.add({ line: row.line, column: 'submit_s', message })
      continue
    }
    last = { submitSeconds: job.submitSeconds, line: row.line }
    keep(jobs, job, row.line, { most, errors })
  }
  errors.throwAny()
  return jobs
}

function jobIn(row: Row, errors: RowErrors): PastJob | undefined {
  const before = errors.count
  for (const column of required) {
    if (row.cell(column) === '') errors.add({ line: row.line, column, message: 'must be there' })
  }
  const number = (column: Column, range: Range = { min: 0 }) => numberIn(row, column, errors, range)
  const job = {
    submitSeconds: number('submit_s') ?? 0,
    gpus: number('gpus', { min: 0, isAbove: true }) ?? 0,
    durationSeconds: number('duration_s', { min: 0, isAbove: true }) ?? 0,
    nodes: number('nodes', { min: 1, isWhole: true }),
    limitSeconds: number('limit_s'),
    waitSeconds: number('wait_s'),
    id: textIn(row, 'id'),
    queue: textIn(row, 'queue'),
    user: textIn(row, 'user'),
    workload: textIn(row, 'workload'),
    model: textIn(row, 'model'),
    priority: number('priority', { min: -priorityMax, max: priorityMax }),
  }
  return errors.count === before ? job : undefined
}

/** The same in our own form, line by line. */
export function* historyLines(jobs: Iterable<PastJob>): Generator<string> {
  yield Object.keys(historyColumns).join()
  for (const job of jobs) {
    const cells: Record<Column, string | number | undefined> = {
      submit_s: job.submitSeconds,
      gpus: job.gpus,
      duration_s: job.durationSeconds,
      nodes: job.nodes,
      limit_s: job.limitSeconds,
      wait_s: job.waitSeconds,
      queue: job.queue,
      user: job.user,
      workload: job.workload,
      model: job.model,
      priority: job.priority,
      id: job.id,
    }
    yield Object.values(cells).map(quoted).join()
  }
}

function quoted(cell: string | number | undefined): string {
  const text = String(cell ?? '')
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

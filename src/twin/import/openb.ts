import { numberIn, RowErrors, textIn } from './cells.ts'
import { InOrder, jobsMax, type PastJob, type PastJobs } from './past-job.ts'
import { type Dialect, type Row, rowsOf } from './table.ts'

const times = ['creation_time', 'deletion_time', 'scheduled_time'] as const
const required = ['num_gpu', 'gpu_milli', ...times] as const
type Column = (typeof required)[number]

const form: Dialect = {
  delimiter: ',',
  isQuoted: false,
  columns: [...['name', 'cpu_milli', 'memory_mib', 'num_gpu', 'gpu_milli', 'gpu_spec', 'qos', 'pod_phase'], ...times],
  required,
}

/** What a list of pods tells of a cluster. */
export interface OpenbHistory extends PastJobs {
  /** Pods that are no jobs with accelerators that ran, by why not. */
  passedOver: Record<'withoutAccelerators' | 'neverStarted', number>
}

/**
 * Pods of Alibaba's cluster-trace-gpu-v2023, as its lists have them: each is a job on one node, alike to those of its QoS class.
 * Where several models would do (`gpu_spec`), none is said; what a pod took of cores and memory has no place in a history. Rows
 * that are not sorted are put in order, and the first of them is told.
 *
 * @throws TableError with the lines that are wrong.
 */
export async function readOpenb(bytes: AsyncIterable<Uint8Array>, most = jobsMax): Promise<OpenbHistory> {
  const passedOver = { withoutAccelerators: 0, neverStarted: 0 }
  const errors = new RowErrors()
  const jobs = new InOrder('creation_time', { most, errors })
  for await (const row of rowsOf(bytes, form)) {
    const job = jobIn(row, errors)
    if (job === undefined) continue
    if (typeof job === 'string') passedOver[job]++
    else jobs.add(job, row.line)
  }
  errors.throwAny()
  return { ...jobs.sorted(), passedOver }
}

function jobIn(row: Row, errors: RowErrors): PastJob | keyof OpenbHistory['passedOver'] | undefined {
  const before = errors.count
  const number = (column: Column, range = {}) => {
    if (row.cell(column) === '') errors.add({ line: row.line, column, message: 'must be there' })
    return numberIn(row, column, errors, { min: 0, ...range }) ?? 0
  }
  const count = number('num_gpu', { isWhole: true })
  const milli = number('gpu_milli', { isWhole: true, max: 1000 })
  const created = number('creation_time')
  const deleted = number('deletion_time')
  const scheduled = numberIn(row, 'scheduled_time', errors, { min: 0 })
  if (errors.count > before) return undefined
  const notBefore = (column: Column, time: number, first: Column, firstTime: number) => {
    if (time >= firstTime) return
    errors.add({ line: row.line, column, message: `is before ${first}, ${firstTime}, found ${time}` })
  }
  notBefore('deletion_time', deleted, 'creation_time', created)
  if (scheduled !== undefined) {
    notBefore('scheduled_time', scheduled, 'creation_time', created)
    notBefore('deletion_time', deleted, 'scheduled_time', scheduled)
  }
  if (errors.count > before) return undefined
  if (count * milli === 0) return 'withoutAccelerators'
  if (scheduled === undefined || scheduled === deleted) return 'neverStarted'
  const [model, ...others] = (textIn(row, 'gpu_spec') ?? '').split('|')
  return {
    submitSeconds: created,
    gpus: (count * milli) / 1000,
    durationSeconds: deleted - scheduled,
    nodes: 1,
    limitSeconds: undefined,
    waitSeconds: scheduled - created,
    id: textIn(row, 'name'),
    queue: undefined,
    user: undefined,
    workload: textIn(row, 'qos'),
    model: model === '' || others.length > 0 ? undefined : model,
    priority: undefined,
  }
}

import { printable } from '../../model/field-error.ts'
import { numberIn, RowErrors, textIn } from './cells.ts'
import { jobsMax, keep, type PastJob, type PastJobs } from './past-job.ts'
import { type Dialect, type Row, type RowError, rowsOf } from './table.ts'

const required = ['JobID', 'Submit', 'Start', 'End', 'AllocTRES']

const form: Dialect = {
  delimiter: '|',
  isQuoted: false,
  columns: [...required, 'JobName', 'User', 'Account', 'Partition', 'State', 'Timelimit', 'NNodes'],
  required,
}

/** What `sacct` tells of a cluster. */
export interface SlurmHistory extends PastJobs {
  /** Lines that are no jobs with accelerators that ran and ended, by why not. */
  passedOver: Record<PassedOver, number>
  /** Of the jobs, those that ended otherwise than COMPLETED, by how. */
  ended: Map<string, number>
}

export type PassedOver = 'steps' | 'withoutAccelerators' | 'neverStarted' | 'stillRunning' | 'outOfOrder' | 'twice'

/**
 * Jobs as `sacct --parsable2` (`-P`) lists them, in any order, with times from 1970 on, so that several files of one cluster
 * go together. It has over a hundred columns: that others are not read is told. `Priority` is one of them: Slurm's is an order
 * made of age, size and shares, and displaces nobody, where ours does within a queue.
 * Times are taken as UTC. In local time a job may end before it starts, where clocks went back meanwhile: how long it took is not
 * known, and it is passed over; the first such line is told. What is listed again with the same start is passed over; of the
 * tries of a job that was requeued (`-D`) each is a job of its own. However a job ended, it ran for that long.
 *
 * `seen` has jobs of other files, and those of this one are added to it.
 * @throws TableError with the lines that are wrong.
 */
export async function readSlurm(
  bytes: AsyncIterable<Uint8Array>,
  { most = jobsMax, seen = new Set<string>() } = {},
): Promise<SlurmHistory> {
  const passedOver = { steps: 0, withoutAccelerators: 0, neverStarted: 0, stillRunning: 0, outOfOrder: 0, twice: 0 }
  const ended = new Map<string, number>()
  const { jobs, remarks }: PastJobs = { jobs: [], remarks: [] }
  const errors = new RowErrors()
  const remark = (one: RowError) => remarks.push(one)
  let areModelsTold = false
  for await (const row of rowsOf(bytes, { ...form, onRemark: remark })) {
    const job = jobIn(row, errors)
    if (job === undefined) continue
    if (typeof job === 'string') {
      if (passedOver[job]++ === 0 && job === 'outOfOrder') remark(outOfOrder(row))
      continue
    }
    const name = `${row.cell('JobID')} ${row.cell('Start')}`
    if (seen.has(name)) {
      passedOver.twice++
      continue
    }
    seen.add(name)
    keep(jobs, job, row.line, { most, errors })
    const [state = ''] = row.cell('State').split(' ') // CANCELLED by 1000
    if (state !== '' && state !== 'COMPLETED') ended.set(state, (ended.get(state) ?? 0) + 1)
    const { models } = acceleratorsIn(row.cell('AllocTRES'))
    if (models.length < 2 || areModelsTold) continue
    areModelsTold = true
    const message = `the job held ${models.join(' and ')}: it comes without a model, and so does any other like it`
    remark({ line: row.line, column: 'AllocTRES', message })
  }
  errors.throwAny()
  return { jobs, passedOver, remarks, ended }
}

/** In order, with times from the first of them on. */
export function fromTheFirst(jobs: readonly PastJob[]): PastJob[] {
  const inOrder = jobs.toSorted((a, b) => a.submitSeconds - b.submitSeconds)
  const first = inOrder[0]?.submitSeconds ?? 0
  return inOrder.map((job) => ({ ...job, submitSeconds: job.submitSeconds - first }))
}

function jobIn(row: Row, errors: RowErrors): PastJob | PassedOver | undefined {
  if (row.cell('JobID').includes('.')) return 'steps'
  const before = errors.count
  const time = (column: string) => timeIn(row, column, errors)
  const [submit, start, end] = [time('Submit'), time('Start'), time('End')]
  const { count, models } = acceleratorsIn(row.cell('AllocTRES'))
  const nodes = numberIn(row, 'NNodes', errors, { min: 0, isWhole: true })
  const limitSeconds = limitIn(row, errors)
  if (count === undefined)
    wrong(errors, row, 'AllocTRES', `must count accelerators as gres/gpu=4, found ${printable(row.cell('AllocTRES'))}`)
  if (errors.count > before || count === undefined) return undefined
  if (submit === undefined) return wrong(errors, row, 'Submit', 'must be there')
  if (start === undefined) return 'neverStarted'
  if (end === undefined) return 'stillRunning'
  if (start < submit || end < start) return 'outOfOrder'
  if (end === start) return 'neverStarted'
  if (count === 0) return 'withoutAccelerators'
  return {
    submitSeconds: submit,
    gpus: count,
    // Of more nodes than accelerators some had none, and it is not told which.
    nodes: nodes === 0 || (nodes ?? 0) > count ? undefined : nodes,
    durationSeconds: end - start,
    limitSeconds,
    waitSeconds: start - submit,
    id: textIn(row, 'JobID'),
    queue: textIn(row, 'Account') ?? textIn(row, 'Partition'),
    user: textIn(row, 'User'),
    workload: textIn(row, 'JobName'),
    model: models.length === 1 ? models[0] : undefined,
    priority: undefined,
  }
}

function outOfOrder(row: Row): RowError {
  const [submit, start, end] = [row.cell('Submit'), row.cell('Start'), row.cell('End')]
  // Written like this they are ordered as the times are.
  const [column, found, before] =
    start < submit ? ['Start', start, `Submit, ${submit}`] : ['End', end, `Start, ${start}`]
  const message = `is before ${before}, found ${printable(found)}; the job is passed over, and so is any other like it`
  return { line: row.line, column, message }
}

function wrong(errors: RowErrors, { line }: Row, column: string, message: string): undefined {
  errors.add({ line, column, message })
}

/** Seconds from 1970 on. */
function timeIn(row: Row, column: string, errors: RowErrors): number | undefined {
  const text = row.cell(column)
  if (text === '' || text === 'Unknown' || text === 'None') return undefined
  const time = new Date(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(text) ? `${text}Z` : Number.NaN)
  // The 30th of February is a Date, too: the 2nd of March.
  if (Number.isFinite(time.getTime()) && time.toISOString().startsWith(text)) return time.getTime() / 1000
  const allowed = 'a time like 2026-01-31T12:00:00, as sacct writes it where SLURM_TIME_FORMAT is not set, or Unknown'
  return wrong(errors, row, column, `must be ${allowed}, found ${printable(text)}`)
}

/** `billing=8,cpu=8,gres/gpu=4,gres/gpu:a100=4,mem=64G,node=1`: four of that model; how many is undefined where it is not told so. */
function acceleratorsIn(tres: string): { count: number | undefined; models: string[] } {
  const found = [...tres.matchAll(/(?:^|,)gres\/gpu(?::([^=,]+))?=([^,]*)/g)].map(([, model, text = '']) => {
    return { model, count: /^\d+$/.test(text) ? Number(text) : undefined }
  })
  const models = [...new Set(found.flatMap(({ model, count }) => (model === undefined || count === 0 ? [] : [model])))]
  if (found.some(({ count }) => count === undefined)) return { count: undefined, models }
  const all = found.find(({ model }) => model === undefined)
  return { count: all?.count ?? found.reduce((sum, { count = 0 }) => sum + count, 0), models }
}

/** `[days-]hours:minutes:seconds`. */
function limitIn(row: Row, errors: RowErrors): number | undefined {
  const text = row.cell('Timelimit')
  if (text === '' || text === 'UNLIMITED' || text === 'Partition_Limit') return undefined
  const [, days = '0', hours = '0', minutes, seconds] = /^(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)$/.exec(text) ?? []
  if (minutes === undefined) {
    return wrong(errors, row, 'Timelimit', `must be like 1-00:00:00 or UNLIMITED, found ${printable(text)}`)
  }
  return ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)
}

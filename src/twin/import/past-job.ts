import { counted } from '../../scheduler/why/counted.ts'
import { type RowErrors, roomFor } from './cells.ts'
import type { RowError } from './table.ts'

/**
 * A job as it once ran, here or elsewhere: what a workload is made of. Of its times only `submitSeconds` is known to whoever
 * schedules it again; the others are what then happened, or what its user declared.
 */
export interface PastJob {
  /** When it was handed in, from the start of the history. */
  submitSeconds: number
  /** Accelerators that it held, of all nodes together; a share counts as such. */
  gpus: number
  /** Nodes over which they were spread; undefined where the history does not say. */
  nodes: number | undefined
  /** How long it ran, from its first start to its end. */
  durationSeconds: number
  /** How long it was to run at most, as its user declared. */
  limitSeconds: number | undefined
  /** How long it waited. */
  waitSeconds: number | undefined
  /** What it was called there. */
  id: string | undefined
  queue: string | undefined
  user: string | undefined
  /** What jobs that are alike have in common: a name, a model. */
  workload: string | undefined
  /** Model of the accelerators. */
  model: string | undefined
  /** Our own: higher goes first, and displaces what is lower within its queue. */
  priority: number | undefined
}

/** What a file of jobs holds, and what is to be said of lines that did not keep it from being read. */
export interface PastJobs {
  jobs: PastJob[]
  remarks: RowError[]
}

/**
 * Jobs in the order of a file that ought to be sorted and need not be; the first line that is before the one above it is told.
 */
export class InOrder {
  readonly #read: PastJobs = { jobs: [], remarks: [] }
  readonly #column: string
  readonly #keeping: Keeping
  #last = { submitSeconds: 0, line: 1 }

  constructor(column: string, keeping: Keeping) {
    this.#column = column
    this.#keeping = keeping
  }

  /** @throws TableError when there are too many. */
  add(job: PastJob, line: number): void {
    const { jobs, remarks } = this.#read
    if (job.submitSeconds < this.#last.submitSeconds && remarks.length === 0) {
      const message = `is before that of line ${this.#last.line}, found ${job.submitSeconds}; rows that are not sorted are put in order`
      remarks.push({ line, column: this.#column, message })
    }
    this.#last = { submitSeconds: job.submitSeconds, line }
    keep(jobs, job, line, this.#keeping)
  }

  sorted(): PastJobs {
    this.#read.jobs.sort((a, b) => a.submitSeconds - b.submitSeconds)
    return this.#read
  }
}

/** More are not held in memory at once. */
export const jobsMax = 2_000_000

/** As many workers as a TrainingJob may have, an accelerator each: on whatever nodes it comes back, it can. */
const gpusMax = 100_000
/** As long as a TrainingJob may declare. */
const durationSecondsMax = 315_360_000

/**
 * Adds it; what no job of ours can be is noted as an error.
 *
 * @throws TableError when there are too many of either.
 */
export function keep(jobs: PastJob[], job: PastJob, line: number, { most, errors }: Keeping): void {
  const { gpus, nodes = 1, durationSeconds } = job
  const refuse = (message: string) => errors.add({ line, message })
  if (gpus > gpusMax) refuse(`holds ${gpus} accelerators; a job may hold ${gpusMax} at most`)
  if (durationSeconds > durationSecondsMax)
    refuse(`ran for ${durationSeconds} s; a job may for ${durationSecondsMax} at most`)
  if (nodes > Math.ceil(gpus)) refuse(`was spread over ${nodes} nodes, and held ${counted(gpus, 'accelerator')}`)
  roomFor('job', jobs.length, most, line)
  jobs.push(job)
}

interface Keeping {
  most: number
  errors: RowErrors
}

/**
 * The members that it comes back with, on nodes of so many accelerators at most: as it was spread over nodes, where these are
 * large enough; else over as few of them as hold it.
 */
export function membersOf({ gpus, nodes }: PastJob, perNode: number): { workers: number; count: number } {
  if (gpus < 1) return { workers: 1, count: Math.max(1, Math.round(gpus * 1000)) / 1000 }
  const whole = Math.ceil(gpus)
  const spread = nodes === undefined ? Number.POSITIVE_INFINITY : Math.ceil(whole / nodes)
  const count = Math.min(spread === Number.POSITIVE_INFINITY ? whole : spread, perNode)
  return { workers: Math.ceil(whole / count), count }
}

import { once } from 'node:events'
import { formatDuration } from '../../model/duration.ts'
import { counted } from '../../scheduler/why/counted.ts'
import { historyLines, readHistory } from '../../twin/import/history.ts'
import { readOpenb } from '../../twin/import/openb.ts'
import type { PastJob, PastJobs } from '../../twin/import/past-job.ts'
import { readPhilly } from '../../twin/import/philly.ts'
import { fromTheFirst, type PassedOver, readSlurm } from '../../twin/import/slurm.ts'
import { formatRowError } from '../../twin/import/table.ts'
import { oneOf } from '../arguments.ts'
import { readTable } from '../read-table.ts'

/** Writes a history of jobs in our own form to standard output, and what it comes to, to standard error. */
export async function importHistory(format: string, files: readonly string[]): Promise<void> {
  const kind = oneOf('FORMAT', format, ['slurm', 'philly', 'openb', 'history'], 'history')
  const reader: Read = readers()[kind]
  const read: PastJob[] = []
  const [passedOver, ended] = [new Map<string, number>(), new Map<string, number>()]
  const count = (counts: Map<string, number>, found: Iterable<[string, number]>) => {
    for (const [what, more] of found) counts.set(what, (counts.get(what) ?? 0) + more)
  }
  for (const file of files) {
    const found = await readTable(file, reader, 'nothing was written')
    for (const job of found.jobs) read.push(job)
    for (const remark of found.remarks) console.error(`${file}:${formatRowError(remark)}`)
    count(passedOver, found.passedOver)
    count(ended, found.ended ?? [])
  }
  const all = kind === 'slurm' ? fromTheFirst(read) : read.toSorted((a, b) => a.submitSeconds - b.submitSeconds)
  for (const line of historyLines(all)) if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain')
  console.error(said(all, passedOver, ended))
}

interface Found extends PastJobs {
  passedOver: [string, number][]
  ended?: ReadonlyMap<string, number>
}
type Read = (bytes: AsyncIterable<Uint8Array>, name: string) => Promise<Found>

/** For the files of one history. */
function readers() {
  const seen = new Set<string>()
  return {
    slurm: async (bytes) => named(await readSlurm(bytes, { seen })),
    philly: async (bytes, name) => ({ ...(await readPhilly(bytes, name)), passedOver: [] }),
    openb: async (bytes) => named(await readOpenb(bytes)),
    history: async (bytes) => ({ jobs: await readHistory(bytes), remarks: [], passedOver: [] }),
  } satisfies Record<string, Read>
}

function named<T extends { passedOver: Partial<Record<PassedOver, number>> }>({ passedOver, ...read }: T) {
  const named = Object.entries(passedOver).map(([why, count]): [string, number] => [words[why as PassedOver], count])
  return { ...read, passedOver: named }
}

const words: Record<PassedOver, string> = {
  steps: 'steps of jobs',
  withoutAccelerators: 'without accelerators',
  neverStarted: 'never started',
  stillRunning: 'still running',
  twice: 'listed twice',
  outOfOrder: 'with times out of order (list them with TZ=UTC)',
}

function said(
  jobs: readonly PastJob[],
  passedOver: ReadonlyMap<string, number>,
  ended: ReadonlyMap<string, number>,
): string {
  const sentence = (about: string, counts: ReadonlyMap<string, number>) => {
    const some = [...counts].filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`)
    return some.length === 0 ? '' : ` ${about}: ${some.join(', ')}.`
  }
  const rest =
    sentence('Passed over', passedOver) + sentence('Not COMPLETED, and played for as long as they ran', ended)
  const [first] = jobs
  if (first === undefined) return `No jobs.${rest}`
  const gpuSeconds = jobs.reduce((sum, { gpus, durationSeconds }) => sum + gpus * durationSeconds, 0)
  const endSeconds = jobs.reduce((last, job) => Math.max(last, endOf(job)), 0)
  const spanSeconds = endSeconds - first.submitSeconds
  const hours = gpuSeconds / 3600
  const took = counted(Number(hours.toFixed(hours < 10 ? 1 : 0)), 'accelerator-hour')
  const demand = `${(gpuSeconds / spanSeconds).toFixed(1)} in demand on average`
  return `${counted(jobs.length, 'job')} over ${formatDuration(spanSeconds * 1000)}, ${took}, ${demand}.${rest}`
}

function endOf({ submitSeconds, waitSeconds = 0, durationSeconds }: PastJob): number {
  return submitSeconds + waitSeconds + durationSeconds
}

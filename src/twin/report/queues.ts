import { summarise } from '../../observe/ledger.ts'
import type { JobRecord, Recording } from '../play/recording.ts'
import { type Distribution, distributionOf } from './distribution.ts'

/** What came of a queue: its jobs, and what these and its services held. */
export interface QueueSums {
  queue: string
  jobs: { submitted: number; succeeded: number }
  waitSeconds: Distribution | undefined
  completionSeconds: Distribution | undefined
  /** Accelerator-hours, whatever was done with them. */
  heldHours: number
}

const hourMs = 3_600_000

/** Of queues that had a job or held anything, by name. */
export function queueSums({ jobs, pages }: Pick<Recording, 'jobs' | 'pages'>): QueueSums[] {
  const held = new Map<string, number>()
  for (const { key, slotMs } of summarise(pages, 'queue').rows) {
    const [queue = ''] = key
    if (queue !== nobody) held.set(queue, (held.get(queue) ?? 0) + slotMs)
  }
  return [...new Set([...held.keys(), ...jobs.map(({ queue }) => queue)])].toSorted().map((queue) => {
    const own = jobs.filter((job) => job.queue === queue)
    return {
      queue,
      jobs: { submitted: own.length, succeeded: own.filter(({ outcome }) => outcome === 'Succeeded').length },
      waitSeconds: waitOf(own),
      completionSeconds: completionOf(own),
      heldHours: (held.get(queue) ?? 0) / hourMs,
    }
  })
}

/** What the ledger calls the queue of time that was nobody's. */
const nobody = '-'

/** From when a job was handed in to its first seats, of those that got any. */
export function waitOf(jobs: readonly JobRecord[]): Distribution | undefined {
  return distributionOf(
    jobs.flatMap(({ submittedMs, startedMs }) => (startedMs === undefined ? [] : [(startedMs - submittedMs) / 1000])),
  )
}

/** From when a job was handed in to its end, of those that succeeded. */
export function completionOf(jobs: readonly JobRecord[]): Distribution | undefined {
  return distributionOf(
    jobs.flatMap(({ submittedMs, endedMs, outcome }) =>
      endedMs === undefined || outcome !== 'Succeeded' ? [] : [(endedMs - submittedMs) / 1000],
    ),
  )
}

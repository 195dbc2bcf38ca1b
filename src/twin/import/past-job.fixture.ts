import type { PastJob } from './past-job.ts'

/** One of which nothing is known but what it must say. */
export function pastJob(over: Partial<PastJob> = {}): PastJob {
  return {
    submitSeconds: 0,
    gpus: 1,
    durationSeconds: 1,
    nodes: undefined,
    limitSeconds: undefined,
    waitSeconds: undefined,
    id: undefined,
    queue: undefined,
    user: undefined,
    workload: undefined,
    model: undefined,
    priority: undefined,
    ...over,
  }
}

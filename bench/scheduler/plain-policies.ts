import type { PastJob } from '../../src/twin/import/past-job.ts'

/** What became of a job; times in seconds. */
export interface Outcome {
  submit: number
  end: number
  duration: number
}

/** Whose turn it is: the lowest first, known when the job is handed in. What has ended may be learnt from. */
export interface Policy {
  rank(job: PastJob): number
  learn(job: PastJob): void
  /** Where given, whoever's tenant holds least goes first, and only among those of one tenant the lowest. */
  tenantOf?(job: PastJob): string
}

export const inOrderOfAge: Policy = { rank: ({ submitSeconds }) => submitSeconds, learn: () => {} }

/** By what is trained, as no users are named. */
export const fairShares: Policy = { ...inOrderOfAge, tenantOf: ({ workload = '' }) => workload }

/** An hour is expected while nothing is known. */
const unknownSeconds = 3600
/** So many that are alike must have ended. */
const alikeMin = 3

/** By the median of those that have ended of the same workload and size, else of the workload, else of all. */
export function shortestFirst(): Policy {
  const ended = new Map<string, number[]>()
  const keysOf = ({ workload = '', gpus }: PastJob) => [`${workload} ${gpus}`, workload, '']
  return {
    rank: (job) => {
      const known = keysOf(job).map((key) => ended.get(key) ?? [])
      const alike = known.find(({ length }) => length >= alikeMin)
      return alike === undefined ? unknownSeconds : (alike[alike.length >> 1] ?? unknownSeconds)
    },
    learn: (job) => {
      for (const key of keysOf(job)) {
        const durations = ended.get(key) ?? []
        ended.set(key, durations)
        durations.splice(placeIn(durations, job.durationSeconds), 0, job.durationSeconds)
      }
    },
  }
}

function placeIn(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** Nobody is displaced. `passes`: whoever does not fit is passed over; else nobody behind him starts. */
export function plainly(jobs: readonly PastJob[], gpus: number, policy: Policy, passes: boolean): Outcome[] {
  const outcomes = jobs.map(({ submitSeconds: submit, durationSeconds: duration }) => ({ submit, end: 0, duration }))
  const waiting: Waiting[] = []
  const held = new Map<string, number>()
  const hold = (job: PastJob, gpus: number) => {
    const tenant = policy.tenantOf?.(job) ?? ''
    held.set(tenant, (held.get(tenant) ?? 0) + gpus)
  }
  const running = new Set<number>()
  let [next, done, free, now] = [0, 0, gpus, 0]
  while (done < jobs.length) {
    const ends = [...running].map((index) => outcomes[index]?.end ?? 0)
    now = Math.min(...ends, jobs[next]?.submitSeconds ?? Number.POSITIVE_INFINITY)
    for (const index of running) {
      const job = jobs[index]
      if (job === undefined || (outcomes[index]?.end ?? 0) > now) continue
      running.delete(index)
      free += job.gpus
      hold(job, -job.gpus)
      policy.learn(job)
      done++
    }
    for (let job = jobs[next]; job !== undefined && job.submitSeconds <= now; job = jobs[++next]) {
      const one = { index: next, rank: policy.rank(job), gpus: job.gpus, tenant: policy.tenantOf?.(job) ?? '' }
      const at = waiting.findIndex(({ rank }) => rank > one.rank)
      waiting.splice(at < 0 ? waiting.length : at, 0, one)
    }
    for (let at = turnOf(waiting, free, held, passes); at >= 0; at = turnOf(waiting, free, held, passes)) {
      const [one] = waiting.splice(at, 1)
      const job = one === undefined ? undefined : jobs[one.index]
      const outcome = one === undefined ? undefined : outcomes[one.index]
      if (one === undefined || job === undefined || outcome === undefined) break
      free -= one.gpus
      hold(job, one.gpus)
      outcome.end = now + outcome.duration
      running.add(one.index)
    }
  }
  return outcomes
}

interface Waiting {
  index: number
  rank: number
  gpus: number
  tenant: string
}

/** Where in the line the one stands who starts next; -1 for nobody. */
function turnOf(waiting: readonly Waiting[], free: number, held: ReadonlyMap<string, number>, passes: boolean): number {
  let [best, least] = [-1, Number.POSITIVE_INFINITY]
  if (free === 0) return best
  for (const [at, { gpus, tenant }] of waiting.entries()) {
    const has = held.get(tenant) ?? 0
    if (gpus <= free && has < least) [best, least] = [at, has]
    else if (gpus > free && !passes) break
  }
  return best
}

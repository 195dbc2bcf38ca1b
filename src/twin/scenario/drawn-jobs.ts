import { assert } from '../../base/errors.ts'
import type { Random } from '../../base/random.ts'
import type { DocumentError } from '../../compile/documents.ts'
import { acceleratorsOf, isMeant } from '../../model/accelerators.ts'
import { durationMs } from '../../model/duration.ts'
import { fieldError, shown } from '../../model/field-error.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { nearest } from '../../model/nearest.ts'
import { type Course, timesOf } from '../traffic/arrivals.ts'
import { type Duration, durationDraws } from '../traffic/draws.ts'
import type { Performance } from '../work/workload.ts'
import { acceleratorsOfNode } from './fleet.ts'
import type { JobMixSpec } from './job-mix.ts'
import { plainJob } from './past-jobs.ts'
import { performanceOf } from './performance.ts'
import type { ReadScenario } from './read.ts'
import type { PerformanceSpec } from './scenario.ts'
import { courseOf } from './traffic.ts'

/** Jobs that come at a rate: which, and when, is drawn with each run. */
export interface JobMix {
  name: string
  course: Course
  sizes: JobMixSpec['sizes']
  duration: Duration
  queue: string
  priority: number
  performance: PerformanceSpec
}

export interface DrawnJob {
  atMs: number
  object: TrainingJob
  performance: Performance
}

export function jobMixesOf({ scenario }: ReadScenario): JobMix[] {
  const { jobs, performance } = scenario.spec
  return jobs.map(({ name, rate, cv, daily, bursts, sizes, duration, queue, priority }) => ({
    name,
    course: courseOf(rate / 3600, { cv, daily, bursts }),
    sizes,
    duration: durationOf(duration),
    queue,
    priority,
    performance,
  }))
}

/** As long as a job may declare. */
const longestMs = 315_360_000_000

function durationOf(spec: JobMixSpec['duration']): Duration {
  if (typeof spec === 'string') return { medianMs: durationMs(spec), maxMs: longestMs }
  const { median, p90, max } = spec
  return {
    medianMs: durationMs(median),
    p90Ms: p90 === undefined ? undefined : durationMs(p90),
    maxMs: Math.min(longestMs, max === undefined ? longestMs : durationMs(max)),
  }
}

/** The jobs of a mix, in order. What is drawn is a function of the generator and the mix's name: another beside it moves none. */
export function* drawJobs(mix: JobMix, random: Random): Generator<DrawnJob> {
  const own = random.split(mix.name)
  const duration = durationDraws(own.split('durations'), mix.duration)
  const size = sizeDraws(own.split('sizes'), mix.sizes)
  let count = 0
  for (const atMs of timesOf(mix.course, 0, own)) {
    const { workers, accelerators } = size()
    const object = plainJob(`${mix.name}-${count++}`, {
      queue: mix.queue,
      workers,
      accelerators,
      priority: mix.priority,
      seconds: Math.max(1, Math.round(duration() / 1000)),
    })
    const performance = performanceOf(mix.performance, mix.name, { job: object })
    yield { atMs: Math.round(atMs), object, performance }
  }
}

function sizeDraws(random: Random, sizes: JobMix['sizes']): () => JobMix['sizes'][number] {
  const all = sizes.reduce((sum, { weight }) => sum + weight, 0)
  return () => {
    let left = random.float() * all
    const size =
      sizes.find(({ weight }) => {
        left -= weight
        return left < 0
      }) ?? sizes.at(-1)
    assert(size !== undefined, 'a mix of jobs has no sizes')
    return size
  }
}

/** What of the mixes is not in the scenario, or is there twice. */
export function unknownOfMixes(
  { file, scenario, positionOf }: ReadScenario,
  queues: readonly string[],
  work: readonly { metadata: { name: string } }[],
): DocumentError[] {
  const { jobs, fleet } = scenario.spec
  const models = [...new Set(fleet.map((shape) => acceleratorsOfNode(shape).model))]
  const error = (at: (string | number)[], message: string, found: string, allowed?: readonly string[]) => {
    const suggestion = nearest(found, allowed ?? [])
    const others = suggestion === undefined ? allowed?.join(', ') : undefined
    const more = { found: shown(found), suggestion, allowed: others }
    return [{ ...fieldError(at, message, more), file, ...positionOf(at) }]
  }
  return jobs.flatMap(({ name, queue, sizes }, index) => {
    const at = ['spec', 'jobs', index]
    const alike = work.find(({ metadata }) => new RegExp(`^${name}-\\d+$`).test(metadata.name))
    return [
      ...(alike === undefined
        ? []
        : error(
            [...at, 'name'],
            `makes jobs called ${name}-0, ${name}-1, …, and there is ${alike.metadata.name}`,
            name,
          )),
      ...(queues.includes(queue) ? [] : error([...at, 'queue'], 'is no Queue of this scenario', queue, queues)),
      ...sizes.flatMap(({ accelerators }, place) => {
        const asked = acceleratorsOf(accelerators).map(({ model }) => model)
        if (models.some((model) => asked.some((one) => isMeant(one, model)))) return []
        const field = [...at, 'sizes', place, 'accelerators']
        return error(field, `asks for no model of this fleet, ${models.join(', ')}`, accelerators)
      }),
    ]
  })
}

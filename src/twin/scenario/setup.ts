import type { NodeDescription } from '../../agent/contract.ts'
import { type DocumentError, readDocuments, type TextFile } from '../../compile/documents.ts'
import { durationMs } from '../../model/duration.ts'
import { fieldError, shown } from '../../model/field-error.ts'
import type { Drill } from '../../model/kinds/drill.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { Namespace } from '../../model/kinds/kubernetes.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { nearest } from '../../model/nearest.ts'
import type { PastJob } from '../import/past-job.ts'
import type { ServiceTraffic } from '../traffic/traffic.ts'
import type { Performance } from '../work/workload.ts'
import { type Cause, causesOf, missingNodes } from './causes.ts'
import { type JobMix, jobMixesOf, unknownOfMixes } from './drawn-jobs.ts'
import { type ReadDrill, unknownTargets } from './drills.ts'
import { fleetOf } from './fleet.ts'
import { jobsOfHistory } from './past-jobs.ts'
import { performanceOf } from './performance.ts'
import type { ReadScenario } from './read.ts'
import { noTraces, type Traces, trafficOf, unknownEngines, unknownServices } from './requests.ts'

/** A scenario with all that it names: what a run is made of beside its seed. */
export interface Setup {
  name: string
  horizonMs: number
  pools: readonly Pool[]
  nodes: readonly NodeDescription[]
  /** In the order of their times. */
  arrivals: readonly Arrival[]
  /** Of the jobs of its history, how many come within the horizon and how many would come later; left out without a history. */
  history?: { within: number; later: number }
  /** Jobs that come at a rate: each run draws its own. */
  jobs: readonly JobMix[]
  /** How a job or service performs, by `namespace/name`. */
  performances: ReadonlyMap<string, Performance>
  /** The requests of services; no gateway runs where there are none. */
  traffic: readonly ServiceTraffic[]
  causes: readonly Cause[]
  openAfterMs: number
  controlPlane: { replicas: number; leaseSeconds: number }
}

export type Work = TrainingJob | InferenceService
export interface Arrival {
  atMs: number
  object: Namespace | Queue | Work | Drill
}

/** A file that the scenario names, as it was found. */
export interface NamedFile extends TextFile {
  /** When it is applied, from the start. */
  atMs: number
}

/** The files of resources that a scenario names, and when each is applied. */
export function resourcesNamed({ scenario }: ReadScenario): { path: string; atMs: number }[] {
  return scenario.spec.resources.map((one) =>
    typeof one === 'string' ? { path: one, atMs: 0 } : { path: one.file, atMs: durationMs(one.at) },
  )
}

/** Every file that a scenario names, and where it does. */
export function filesNamed({ scenario }: ReadScenario): { path: string; at: (string | number)[] }[] {
  const { resources, history, traffic } = scenario.spec
  return [
    ...resources.map((one, index) =>
      typeof one === 'string'
        ? { path: one, at: ['spec', 'resources', index] }
        : { path: one.file, at: ['spec', 'resources', index, 'file'] },
    ),
    ...(history === undefined ? [] : [{ path: history.file, at: ['spec', 'history', 'file'] }]),
    ...traffic.flatMap(({ trace, clients }, index) => [
      ...(trace === undefined ? [] : [{ path: trace.file, at: ['spec', 'traffic', index, 'trace', 'file'] }]),
      ...(clients?.files ?? []).map((path, of) => ({ path, at: ['spec', 'traffic', index, 'clients', 'files', of] })),
    ]),
  ]
}

/** Puts a scenario together. What does not go together comes back, all of it, with its place. */
export function setupOf(
  read: ReadScenario,
  files: readonly NamedFile[],
  history: readonly PastJob[],
  traces: Traces = noTraces,
): { setup: Setup } | { errors: DocumentError[] } {
  const { metadata, spec } = read.scenario
  const documents = documentsOf(files)
  if ('errors' in documents) return documents
  const queues = documents.arrivals.flatMap(({ object }) => (object.kind === 'Queue' ? [object.metadata.name] : []))
  queues.unshift('default')
  const taken = documents.arrivals.map(({ object }) => object.metadata.name)
  const past = jobsOfHistory(read, history, { queues, taken })
  if ('errors' in past) return past
  const arrivals = [...documents.arrivals, ...past.arrivals].toSorted((a, b) => a.atMs - b.atMs)
  const work = arrivals.flatMap(({ object }) => (isWork(object) ? [object] : []))
  const laidOut = fleetOf(spec.fleet)
  const nodes = laidOut.nodes.map(({ name }) => name)
  const errors = [
    ...unknownNames(read, work),
    ...missingNodes(read),
    ...unknownTargets(documents.drills, work, nodes),
    ...unknownOfMixes(read, queues, work),
    ...unknownServices(read, work),
    ...unknownEngines(read),
  ]
  if (errors.length > 0) return { errors }
  const { controlPlane, faults, performance, horizon } = spec
  const horizonMs = durationMs(horizon)
  const within = past.arrivals.filter(({ atMs }) => atMs < horizonMs).length
  const traffic = trafficOf(read, arrivals, traces)
  const served = new Set(traffic.map(({ service }) => service))
  return {
    setup: {
      name: metadata.name,
      horizonMs,
      ...laidOut,
      arrivals,
      ...(spec.history === undefined ? {} : { history: { within, later: past.arrivals.length - within } }),
      jobs: jobMixesOf(read),
      performances: new Map(
        work.map((object) => {
          const job = object.kind === 'TrainingJob' ? object : undefined
          const { name, namespace } = object.metadata
          const key = `${namespace}/${name}`
          return [key, performanceOf(performance, name, { job, hasTraffic: job === undefined && served.has(key) })]
        }),
      ),
      traffic,
      causes: causesOf(spec),
      openAfterMs: durationMs(faults.openAfter),
      controlPlane,
    },
  }
}

function isWork(object: Arrival['object']): object is Work {
  return object.kind === 'TrainingJob' || object.kind === 'InferenceService'
}

const allowed = ['Namespace', 'Queue', 'TrainingJob', 'InferenceService', 'Drill'] as const

function documentsOf(
  files: readonly NamedFile[],
): { arrivals: Arrival[]; drills: ReadDrill[] } | { errors: DocumentError[] } {
  const read = readDocuments(files)
  if ('errors' in read) return read
  const times = new Map(files.map(({ name, atMs }) => [name, atMs]))
  const errors: DocumentError[] = []
  const arrivals: Arrival[] = []
  const drills: ReadDrill[] = []
  for (const { file, admitted: object, positionOf } of read.documents) {
    const atMs = times.get(file) ?? 0
    if (object.kind === 'Namespace' || object.kind === 'Queue') arrivals.push({ atMs, object })
    else if (object.kind === 'TrainingJob' || object.kind === 'InferenceService') arrivals.push({ atMs, object })
    else if (object.kind === 'Drill') {
      arrivals.push({ atMs, object })
      drills.push({ drill: object, file, positionOf })
    } else {
      const more = { found: shown(object.kind), allowed: allowed.join(', ') }
      errors.push({ ...fieldError(['kind'], 'has no place in a scenario', more), file, ...positionOf(['kind']) })
    }
  }
  return errors.length > 0 ? { errors } : { arrivals, drills }
}

function unknownNames({ file, scenario, positionOf }: ReadScenario, work: readonly Work[]): DocumentError[] {
  const names = [...work.map(({ metadata }) => metadata.name), ...scenario.spec.jobs.map(({ name }) => name)]
  const known = new Set(names)
  return Object.keys(scenario.spec.performance.of)
    .filter((name) => !known.has(name))
    .map((name) => {
      const at = ['spec', 'performance', 'of', name]
      const more = { found: shown(name), suggestion: nearest(name, names) }
      return { ...fieldError(at, 'names no job or service of this scenario', more), file, ...positionOf(at) }
    })
}

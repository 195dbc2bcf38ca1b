import { type Demand, wantedReplicas } from '../../autoscaler/replicas.ts'
import { defaultLimits } from '../../gateway/decide.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import { label } from '../../model/names.ts'
import { keyOf } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import { requestsBetween, type Traffic } from '../traffic/arrivals.ts'
import type { ServiceTraffic } from '../traffic/traffic.ts'
import type { Performance } from '../work/workload.ts'
import { ServingModel, steadyLoadMax } from './serving.ts'

/** The requests of a service in the coming hours, and what its replicas make of them. */
export interface Serving {
  service: InferenceService
  traffic: Traffic
  /** From now. */
  fromMs: number
  hasSlo: boolean
  model: ServingModel
  /** From its seats until a replica serves. */
  readyMs: number
}

/** A service that answers nobody as things stand, and what it says of that. */
export interface Unready {
  service: string
  why: string
}

/** Those whose replicas sit, and of which none can serve by what was last seen. */
export function unreadyOf(services: readonly InferenceService[], gangs: readonly Gang[]): Unready[] {
  const sitting = new Set(
    gangs.flatMap((gang) => {
      const service = gang.metadata.labels?.[label.service]
      return service === undefined || seatsNow(gang) === undefined ? [] : `${gang.metadata.namespace}/${service}`
    }),
  )
  return services.flatMap((service): Unready[] => {
    const { phase, readyReplicas = 0, message } = service.status ?? {}
    if (phase === undefined || readyReplicas > 0 || service.spec.suspend) return []
    if (phase !== 'Failed' && !sitting.has(keyOf(service))) return []
    return [{ service: keyOf(service), why: message === undefined ? phase : `${phase}: ${message}` }]
  })
}

/** As a scenario says it: of services that are there, by their keys. */
export function servingsOf(
  services: readonly InferenceService[],
  { traffic, performances }: { traffic: readonly ServiceTraffic[]; performances: ReadonlyMap<string, Performance> },
): ReadonlyMap<string, Serving> {
  const byKey = new Map(services.map((service) => [keyOf(service), service]))
  return new Map(
    traffic.flatMap(({ service: key, fromMs, traffic, slo }) => {
      const [service, performance] = [byKey.get(key), performances.get(key)]
      const engine = performance?.replica.engine
      // Of an empty trace nobody comes.
      if (traffic.kind === 'past' && traffic.requests.times.length === 0) return []
      if (service === undefined || service.spec.suspend || performance === undefined || engine === undefined) return []
      const atOnceMax = service.spec.target * defaultLimits.targetFactor
      const model = new ServingModel({ engine, traffic, slo, atOnceMax })
      const readyMs = performance.prepareMs + performance.replica.loadMs
      return [[key, { service, traffic, fromMs, hasSlo: slo !== undefined, model, readyMs }] as const]
    }),
  )
}

/** What came of a service's requests in a course. */
export interface ServiceFate {
  service: string
  hasSlo: boolean
  requests: number
  /** Of them, those that were given up while they waited. */
  refused: number
  /** Those whose first token, whose further tokens, and of whom both came in time. */
  ttft: number
  tpot: number
  both: number
}

/**
 * One service through a course: how many requests come, wait and are answered, and how many replicas it wants. Requests are
 * not simulated one by one: what comes within a step is answered as at a steady rate, and what is more than the replicas
 * can answer waits before them. The production autoscaler decides.
 */
export class ServiceCourse {
  readonly fate: ServiceFate
  readonly serving: Serving
  readonly #normal: () => number
  /** Requests that wait because more came than could be answered. */
  #backlog = 0
  #wanted: number
  #history: Demand[] | undefined

  /** @param normal Draws of a standard normal. */
  constructor(serving: Serving, replicas: number, normal: () => number) {
    this.serving = serving
    this.#normal = normal
    this.#wanted = replicas
    const { service, hasSlo } = serving
    this.fate = {
      service: keyOf(service),
      hasSlo,
      requests: 0,
      refused: 0,
      ttft: 0,
      tpot: 0,
      both: 0,
    }
  }

  /** @returns How many replicas it wants from then on. */
  step(fromMs: number, toMs: number, ready: number): number {
    const { model, traffic, fromMs: startMs } = this.serving
    const { fate } = this
    const seconds = (toMs - fromMs) / 1000
    const before = this.#backlog
    const perSecond = ready * model.capacity
    const most = perSecond * seconds
    const expected = requestsBetween(traffic, startMs, fromMs, toMs)
    const isSteady = before + expected <= steadyLoadMax * most
    // Near what they can answer, by how much that is exceeded at times makes the line: a random walk that ends at nobody.
    const swing = isSteady ? 0 : this.#normal() * Math.sqrt(expected * (model.gaps + model.sizes))
    const left = isSteady ? 0 : Math.max(0, before + expected + swing - most)
    // The gateway refuses who has waited for too long, and who finds its line full; others wait at replicas.
    const room = ready * model.atOnceMax + Math.min(defaultLimits.held, (perSecond * defaultLimits.heldMs) / 1000)
    this.#backlog = Math.min(left, ready === 0 ? defaultLimits.held : room)
    const refused = Math.min(expected, left - this.#backlog)
    const answered = expected - refused
    const fare = ready === 0 ? nothing : model.at(ready, (before + expected) / seconds)
    const waitMs = ready === 0 ? toMs - fromMs : (1000 * (before + this.#backlog)) / 2 / perSecond
    const isLate = waitMs > (model.slo?.ttftMs ?? Number.POSITIVE_INFINITY)
    fate.requests += expected
    fate.refused += refused
    fate.ttft += isLate ? 0 : answered * fare.ttft
    fate.tpot += answered * fare.tpot
    fate.both += isLate ? 0 : answered * fare.both
    return this.#scale(toMs, fare.atOnce, expected > 0)
  }

  #scale(nowMs: number, atOnce: number, hasCome: boolean): number {
    const { service, model } = this.serving
    const { minReplicas: min, maxReplicas: max, target, scaleDownSeconds } = service.spec
    // The autoscaler sees every second how many are under way, and keeps to the most of late.
    const inFlight = atOnce + peakDeviations * Math.sqrt((atOnce * (model.gaps + 1)) / 2)
    const lastRequestAtMs = hasCome ? nowMs : undefined
    const signals = { nowMs, current: this.#wanted, inFlight, held: this.#backlog, lastRequestAtMs }
    const limits = { min, max: Math.max(min, max), target, scaleDownMs: 1000 * scaleDownSeconds }
    const decision = wantedReplicas(signals, limits, this.#history)
    this.#history = decision.history
    this.#wanted = decision.replicas
    return decision.replicas
  }
}

/** Nobody is served. */
const nothing = { ttft: 0, tpot: 0, both: 0, atOnce: 0 }

/**
 * Of the looks of a minute, one a second and each much like the one before it, the highest lies about so many standard
 * deviations above the mean of how many are under way: of a Poisson process as many as the root of the mean, of burstier ones
 * more.
 */
const peakDeviations = 2

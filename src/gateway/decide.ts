import type { Random } from '../base/random.ts'
import { conditionOf } from '../model/conditions.ts'
import type { InferenceService } from '../model/kinds/inference-service.ts'

/**
 * Everything that the gateway decides, as pure functions: the twin routes with the same ones. Work in flight is counted
 * at the moment of the decision, never from a report, so a burst cannot herd onto one replica (facts/inference.md §5).
 */

export interface ReplicaView {
  key: string
  inFlight: number
  breaker: Breaker
}

/**
 * Remembers, across requests, that a replica refuses connections. Only connections count: what an engine answers (4xx,
 * 429, 503, 500) says something of the request or of its load, never that it should be taken out.
 */
export type Breaker =
  | { state: 'closed'; failures: number }
  | { state: 'open'; failures: number; untilMs: number }
  | { state: 'probing'; failures: number; untilMs: number }

export const closedBreaker: Breaker = { state: 'closed', failures: 0 }

const ejectionFirstMs = 500
const ejectionMaxMs = 30_000

export type Choice = { kind: 'send'; key: string; probe: boolean } | { kind: 'none'; retryAtMs?: number }

/**
 * The least loaded replica with room, ties drawn at random. A replica whose ejection has run out gets one request as a
 * probe before all others: a refused connection costs that request nothing, and half-open always resolves.
 */
export function chooseReplica(
  replicas: Iterable<ReplicaView>,
  perReplica: number,
  nowMs: number,
  random: Random,
): Choice {
  let retryAtMs = Number.POSITIVE_INFINITY
  let least = perReplica
  let tied: string[] = []
  for (const { key, inFlight, breaker } of replicas) {
    if (breaker.state === 'open') {
      if (breaker.untilMs <= nowMs) return { kind: 'send', key, probe: true }
      retryAtMs = Math.min(retryAtMs, breaker.untilMs)
    } else if (breaker.state === 'closed' && inFlight < perReplica) {
      if (inFlight < least) tied = []
      least = Math.min(least, inFlight)
      if (inFlight === least) tied.push(key)
    }
  }
  const key = tied.length > 1 ? tied[random.int(0, tied.length - 1)] : tied[0]
  if (key !== undefined) return { kind: 'send', key, probe: false }
  return Number.isFinite(retryAtMs) ? { kind: 'none', retryAtMs } : { kind: 'none' }
}

/** The probe of a half-open replica is on its way: nobody else is sent there until it resolves. */
export function probing(breaker: Breaker): Breaker {
  return breaker.state === 'open' ? { ...breaker, state: 'probing' } : breaker
}

/** A connection was accepted: whatever is answered on it, the replica is there. */
export function accepted(): Breaker {
  return closedBreaker
}

/** A connection was refused, or broken before a byte came: out at once, longer each time. */
export function refused(breaker: Breaker, nowMs: number): Breaker {
  const failures = breaker.failures + 1
  let waitMs = ejectionFirstMs
  for (let i = 1; i < failures && waitMs < ejectionMaxMs; i++) waitMs *= 2
  return { state: 'open', failures, untilMs: nowMs + Math.min(waitMs, ejectionMaxMs) }
}

/** The probe was given up before it resolved (its client left): the next request probes. */
export function abandoned(breaker: Breaker): Breaker {
  return breaker.state === 'probing' ? { ...breaker, state: 'open' } : breaker
}

export interface Limits {
  headerBytes: number
  bodyBytes: number
  /** Longest that a client may take to send a request. */
  receiveMs: number
  /** Requests of one service under way at replicas. */
  inFlight: number
  /** Requests of one service that wait for a replica, the bytes of all that wait, and how long each may. */
  held: number
  heldBytes: number
  heldMs: number
  /** Requests per replica, in multiples of the service's target; more wait in the gateway, where they bind late. */
  targetFactor: number
  /** Least time between two reports of a service; the first request that waits is told at once. */
  reportMs: number
}

export const defaultLimits: Limits = {
  headerBytes: 16_384,
  bodyBytes: 33_554_432,
  receiveMs: 300_000,
  inFlight: 4096,
  held: 512,
  heldBytes: 134_217_728,
  heldMs: 120_000,
  targetFactor: 4,
  reportMs: 1000,
}

export interface Load {
  suspended: boolean
  /** Why no replica will come as things stand; undefined while one may. */
  broken: string | undefined
  inFlight: number
  held: number
  /** Bytes of all held requests, of every service. */
  heldBytes: number
  requestBytes: number
}

export type Admission = { kind: 'admit' } | Refused

export interface Refused {
  kind: 'refuse'
  status: 429 | 503
  code: string
  message: string
  retryAfterSeconds: number
}

/** Whether a request may enter at all. */
export function admit(service: string, load: Load, limits: Limits): Admission {
  if (load.suspended) return suspended(service)
  if (load.inFlight >= limits.inFlight)
    return refusal(429, 'too_many_requests', `${service} has ${load.inFlight} requests under way; try again later`, 1)
  return { kind: 'admit' }
}

/** Whether a request that no replica can take now may wait for one. */
export function admitHeld(service: string, load: Load, limits: Limits): Admission {
  const vain = inVain(service, load)
  if (vain !== undefined) return vain
  if (load.held >= limits.held)
    return refusal(429, 'too_many_held', `${load.held} requests already wait for a replica of ${service}`, 5)
  if (load.heldBytes + load.requestBytes > limits.heldBytes)
    return refusal(429, 'too_many_held', `the requests that wait for a replica of ${service} are too large together`, 5)
  return { kind: 'admit' }
}

/** Nothing will come that could take a request: whoever waits is told so at once. */
export function inVain(service: string, load: Pick<Load, 'suspended' | 'broken'>): Refused | undefined {
  if (load.suspended) return suspended(service)
  if (load.broken === undefined) return undefined
  const message = `${service} cannot answer: ${load.broken}. See: millwright describe service ${service}`
  return refusal(503, 'service_failed', message, 10)
}

/**
 * Why waiting for a first replica is in vain, in the service's own words. What was said of an older spec does not count,
 * and neither does a missing model while what served last can be woken.
 */
export function brokenBecause({ metadata, spec, status }: InferenceService): string | undefined {
  const ready = conditionOf(status?.conditions, 'Ready')
  if (ready?.status !== 'False' || (ready.observedGeneration ?? 0) < (metadata.generation ?? 0)) return undefined
  if (ready.reason === 'ModelMissing' && status?.lastGood !== undefined) return undefined
  const known = hopeless.get(ready.reason ?? '')
  return known === undefined ? undefined : (status?.message ?? known(spec))
}

/** Reasons of the Ready condition that no waiting mends, and what they mean where the service has no sentence. */
const hopeless: ReadonlyMap<string, (spec: InferenceService['spec']) => string> = new Map<
  string,
  (spec: InferenceService['spec']) => string
>([
  ['CrashLoop', () => 'its replicas fail again and again'],
  ['ModelMissing', ({ model }) => `its model ${model ?? ''} is not there`],
  [
    'ProgressDeadlineExceeded',
    (spec) => `no replica became ready within progressDeadlineSeconds: ${spec.progressDeadlineSeconds}`,
  ],
])

function suspended(service: string): Refused {
  return refusal(503, 'service_suspended', `${service} is suspended; resume it with: millwright resume ${service}`, 30)
}

function refusal(status: 429 | 503, code: string, message: string, retryAfterSeconds: number): Refused {
  return { kind: 'refuse', status, code, message, retryAfterSeconds }
}

/** How a try at sending a request to a replica failed. */
export interface Failure {
  /** The request was handed to an open connection. */
  sent: boolean
  /** That connection had carried a request before: the replica may have closed it while ours was on its way. */
  reused: boolean
  responseBytes: boolean
}

/** What was done about the request before it failed. */
export interface Try {
  /** From when it was handed over until it failed. */
  tookMs: number
  /** It was sent again before, after a first replica may have had it. */
  again: boolean
}

export type AfterFailure = { retry: boolean; ejects: boolean }

/**
 * A request is sent again only where the first try cannot have been worked on: the connection was never accepted, or
 * it was a kept one that closed at once, without a byte of an answer. Anything else could burn the same prefill twice
 * (facts/inference.md §8), or take down one replica after another; for the same reason a kept connection is an excuse
 * only once.
 */
export function afterFailure(failure: Failure, { tookMs, again }: Try): AfterFailure {
  if (failure.responseBytes) return { retry: false, ejects: false }
  if (!failure.sent) return { retry: true, ejects: true }
  return { retry: failure.reused && !again && tookMs <= keptClosedMsMax, ejects: false }
}

/** The news that a kept connection is closed takes one round trip; the rest is for a busy gateway. */
const keptClosedMsMax = 500

import type { Cancel } from '../base/clock.ts'
import type { InferenceService } from '../model/kinds/inference-service.ts'
import type { WireError } from '../wire/errors.ts'
import type { Usage } from '../wire/responses.ts'
import type { Breaker, Failure, Refused } from './decide.ts'

/**
 * One client's request, from the moment that it is read until the last byte of its answer, over whatever it came: a
 * socket, or the twin's virtual time. It ends exactly once: refused, failed, cut, left by its client, or as `send` says.
 */
export interface Exchange {
  readonly service: Service
  /** Length of what the replica is sent. */
  readonly bytes: number
  readonly arrivedMs: number
  /** A part of an answer has gone to the client: from here on it can only be cut. */
  readonly isAnswering: boolean
  /** Sends it to a replica and the answer to the client. Returns what stops both at once; nothing is told after that. */
  send(replica: Replica, events: SendEvents): (why: Error) => void
  refuse(refusal: Refused): void
  fail(error: WireError): void
  /** Ends so that the client cannot take what it has for the whole. */
  cut(): void
  /** Calls `left` when the client goes before its answer is whole. */
  onLeave(left: () => void): void
}

export interface SendEvents {
  /** The replica accepted the connection. */
  sent(): void
  firstByte(): void
  /** The answer is whole, or was cut and the client told so. */
  ended(usage: Usage | undefined): void
  /** No byte has gone to the client: the request may be tried again or answered. */
  failed(error: Error, failure: Failure): void
}

/** An admitted request on its way through the gateway. */
export interface Flight {
  readonly exchange: Exchange
  /** Where it is under way, and what stops it there. */
  replica: Replica | undefined
  cancel: ((why: Error) => void) | undefined
  /** When it was last handed to a replica, by the steady clock, and whether one may have had it before. */
  sentMs: number
  again: boolean
  timers: Cancel[]
  over: boolean
}

/** A service as the gateway sees it, with what is under way for it. */
export interface Service {
  key: string
  object: InferenceService
  /** It was deleted: what is under way for it goes on to its end, and nothing waits for it or is told of it any more. */
  isGone: boolean
  /** The replicas that may be sent requests, by pod uid. */
  replicas: Map<string, Replica>
  /** Requests under way at replicas, also at those that are leaving. */
  inFlight: Set<Flight>
  /** Requests that wait for a replica, oldest first. */
  waiting: Flight[]
  traffic: Traffic
}

export interface Replica {
  /** The uid of its pod. */
  key: string
  pod: string
  origin: string
  inFlight: number
  breaker: Breaker
}

/** Counted since the gateway started. */
export interface Traffic {
  requests: number
  promptTokens: number
  completionTokens: number
  lastRequestAtMs: number | undefined
  /** Sum and number of the times to the first byte, and the request-milliseconds, since the last report. */
  firstByteMs: number
  firstBytes: number
  busyMs: number
  busySinceMs: number
}

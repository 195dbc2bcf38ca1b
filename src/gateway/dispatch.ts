import type { Cancel, Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { serverError, timedOut, unavailable, type WireError } from '../wire/errors.ts'
import type { Usage } from '../wire/responses.ts'
import type { Exchange, Flight, Replica, Service } from './contract.ts'
import {
  abandoned,
  admit,
  admitHeld,
  afterFailure,
  brokenBecause,
  chooseReplica,
  type Failure,
  inVain,
  type Limits,
  type Load,
  probing,
  refused,
} from './decide.ts'
import { type Hears, Sending } from './sending.ts'

export interface DispatchHandles {
  clock: Clock
  random: Random
  log: Log
  limits: Limits
  /** Something that a report tells has changed; `urgent`: the first request waits. */
  changed(service: Service, urgent: boolean): void
}

/** Brings every admitted request to a replica, or keeps it until there is one, and sees it to its end. */
export class Dispatch {
  readonly #handles: DispatchHandles
  readonly #retries = new Map<Service, Cancel>()
  readonly #hears: Hears
  #heldBytes = 0
  /** All that have not come to their end. */
  readonly #flights = new Set<Flight>()
  #idle: (() => void) | undefined

  constructor(handles: DispatchHandles) {
    this.#handles = handles
    this.#hears = {
      cameBack: ({ exchange: { service } }) => this.wake(service),
      firstByte: ({ exchange: { service, arrivedMs } }) => {
        service.traffic.firstByteMs += Math.max(0, handles.clock.now() - arrivedMs)
        service.traffic.firstBytes++
      },
      ended: (flight, usage) => {
        this.#release(flight)
        count(flight.exchange.service, usage)
        this.#finish(flight)
      },
      failed: (flight, replica, error, failure) => {
        this.#release(flight)
        this.#failed(flight, replica, error, failure)
      },
    }
  }

  submit(exchange: Exchange): void {
    const { service } = exchange
    const { limits, clock } = this.#handles
    const admission = admit(service.object.metadata.name, this.#loadFor(exchange), limits)
    if (admission.kind === 'refuse') {
      exchange.refuse(admission)
      return
    }
    service.traffic.requests++
    service.traffic.lastRequestAtMs = clock.now()
    const flight: Flight = {
      exchange,
      replica: undefined,
      cancel: undefined,
      sentMs: 0,
      again: false,
      timers: [],
      over: false,
    }
    const timeoutMs = service.object.spec.timeoutSeconds * 1000
    flight.timers = [clock.after(timeoutMs, () => this.#expire(flight, timeoutMs))]
    this.#flights.add(flight)
    exchange.onLeave(() => this.#leave(flight))
    this.#place(flight)
  }

  /** A replica appeared, was freed or may be tried again: let those in that waited longest. */
  wake(service: Service): void {
    while (service.waiting.length > 0) {
      const replica = this.#choose(service)
      if (replica === undefined) return
      const flight = service.waiting.shift()
      if (flight === undefined) return
      this.#heldBytes -= flight.exchange.bytes
      this.#send(flight, replica)
    }
  }

  /** The service is told of anew: where nothing will come any more, those that wait are answered at once. */
  review(service: Service): void {
    for (const flight of [...service.waiting]) {
      const vain = inVain(service.object.metadata.name, this.#loadFor(flight.exchange))
      if (vain === undefined) return
      this.#stop(flight, new Error(vain.message))
      flight.exchange.refuse(vain)
      this.#finish(flight)
    }
  }

  /** Answers all that wait for a service that is gone. */
  forget(service: Service): void {
    this.#retries.get(service)?.()
    this.#retries.delete(service)
    for (const flight of [...service.waiting]) this.#fail(flight, wasDeleted(service))
  }

  /** Answers what waits, lets what runs run for `graceMs`, and cuts the rest. */
  async drain(graceMs: number): Promise<void> {
    for (const cancel of this.#retries.values()) cancel()
    for (const flight of [...this.#flights])
      if (flight.replica === undefined) this.#fail(flight, 'The gateway is stopping; try again in a moment.')
    if (this.#flights.size === 0) return
    const stop = this.#handles.clock.after(graceMs, () => this.#cutAll())
    await new Promise<void>((resolve) => {
      this.#idle = resolve
    })
    stop()
  }

  #place(flight: Flight): void {
    const { service } = flight.exchange
    const replica = service.waiting.length === 0 ? this.#choose(service) : undefined
    if (replica !== undefined) this.#send(flight, replica)
    else this.#hold(flight)
  }

  #choose(service: Service): Replica | undefined {
    const { clock, random, limits } = this.#handles
    const perReplica = service.object.spec.target * limits.targetFactor
    const choice = chooseReplica(service.replicas.values(), perReplica, clock.steadyMs(), random)
    if (choice.kind === 'none') {
      if (choice.retryAtMs !== undefined) this.#wakeAt(service, choice.retryAtMs)
      return undefined
    }
    const replica = service.replicas.get(choice.key)
    if (replica !== undefined && choice.probe) replica.breaker = probing(replica.breaker)
    return replica
  }

  #wakeAt(service: Service, atMs: number): void {
    const { clock } = this.#handles
    this.#retries.get(service)?.()
    const wake = () => {
      this.#retries.delete(service)
      this.wake(service)
    }
    this.#retries.set(service, clock.after(Math.max(0, atMs - clock.steadyMs()), wake))
  }

  #hold(flight: Flight): void {
    const { exchange, timers } = flight
    const { service } = exchange
    const { limits, clock } = this.#handles
    if (service.isGone) {
      this.#fail(flight, wasDeleted(service))
      return
    }
    const admission = admitHeld(service.object.metadata.name, this.#loadFor(exchange), limits)
    if (admission.kind === 'refuse') {
      exchange.refuse(admission)
      this.#finish(flight)
      return
    }
    const { waiting } = service
    // One that comes back from a replica that refused it keeps its place.
    const place = waiting.findIndex((other) => other.exchange.arrivedMs > exchange.arrivedMs)
    waiting.splice(place < 0 ? waiting.length : place, 0, flight)
    this.#heldBytes += exchange.bytes
    timers.push(clock.after(limits.heldMs, () => this.#tired(flight)))
    this.#handles.changed(service, waiting.length === 1)
  }

  #send(flight: Flight, replica: Replica): void {
    const { exchange } = flight
    const { service } = exchange
    replica.inFlight++
    this.#countBusy(service)
    service.inFlight.add(flight)
    this.#handles.changed(service, false)
    flight.replica = replica
    flight.sentMs = this.#handles.clock.steadyMs()
    const sending = new Sending(flight, replica, this.#hears)
    const cancel = exchange.send(replica, sending)
    // It may be over already, and on its way to another replica.
    if (!sending.isOver) flight.cancel = cancel
  }

  /** Gives back the replica's place that it takes. */
  #release(flight: Flight): Replica | undefined {
    const { replica, exchange } = flight
    if (replica === undefined) return undefined
    flight.replica = undefined
    flight.cancel = undefined
    replica.inFlight--
    this.#countBusy(exchange.service)
    exchange.service.inFlight.delete(flight)
    return replica
  }

  #failed(flight: Flight, replica: Replica, error: Error, failure: Failure): void {
    const { clock, log } = this.#handles
    const next = afterFailure(failure, { tookMs: clock.steadyMs() - flight.sentMs, again: flight.again })
    if (failure.sent) flight.again = true
    log.warn('a replica did not answer', { replica: replica.pod, error: error.message, ...failure, ...next })
    if (next.ejects) replica.breaker = refused(replica.breaker, clock.steadyMs())
    if (flight.over) return
    if (next.retry) {
      this.#place(flight)
      this.wake(flight.exchange.service) // nobody was woken for as long as a probe was on its way
      return
    }
    flight.exchange.fail(lostReplica(replica.pod, error))
    this.#finish(flight)
  }

  /** The client left: nobody needs the answer, so the engine must not go on with it. */
  #leave(flight: Flight): void {
    if (flight.over) return
    this.#stop(flight, new Error('the client left'))
    this.#finish(flight)
  }

  #expire(flight: Flight, timeoutMs: number): void {
    if (flight.over) return
    this.#stop(flight, new Error('the request took too long'))
    const { exchange } = flight
    if (exchange.isAnswering) exchange.cut()
    else exchange.fail(timedOut(`The request took longer than the ${timeoutMs / 1000} s that it may.`))
    this.#finish(flight)
  }

  #tired(flight: Flight): void {
    const { service } = flight.exchange
    if (flight.over || !service.waiting.includes(flight)) return
    this.#stop(flight, new Error('no replica came'))
    flight.exchange.fail(unavailable(noReplica(service, service.object.metadata.name), 'no_replica', 10))
    this.#finish(flight)
  }

  #stop(flight: Flight, why: Error): void {
    this.#unhold(flight)
    flight.cancel?.(why)
    const replica = this.#release(flight)
    if (replica !== undefined) replica.breaker = abandoned(replica.breaker)
  }

  #unhold(flight: Flight): void {
    const { service, bytes } = flight.exchange
    const place = service.waiting.indexOf(flight)
    if (place < 0) return
    service.waiting.splice(place, 1)
    this.#heldBytes -= bytes
  }

  #finish(flight: Flight): void {
    if (flight.over) return
    flight.over = true
    for (const cancel of flight.timers) cancel()
    const { service } = flight.exchange
    service.traffic.lastRequestAtMs = this.#handles.clock.now()
    this.#handles.changed(service, false)
    this.wake(service)
    this.#flights.delete(flight)
    if (this.#flights.size === 0) this.#idle?.()
  }

  /** It is with no replica, and will be with none. */
  #fail(flight: Flight, why: string): void {
    this.#stop(flight, new Error(why))
    flight.exchange.fail(unavailable(why, 'no_replica', 2))
    this.#finish(flight)
  }

  #cutAll(): void {
    for (const flight of [...this.#flights]) {
      this.#stop(flight, new Error('the gateway stopped'))
      flight.exchange.cut()
      this.#finish(flight)
    }
  }

  /** Adds up requests × time, whose mean the next report tells. */
  #countBusy(service: Service): void {
    const nowMs = this.#handles.clock.steadyMs()
    const { traffic } = service
    traffic.busyMs += (nowMs - traffic.busySinceMs) * service.inFlight.size
    traffic.busySinceMs = nowMs
  }

  #loadFor({ service, bytes }: Exchange): Load {
    return {
      suspended: service.object.spec.suspend,
      broken: service.replicas.size > 0 ? undefined : brokenBecause(service.object),
      inFlight: service.inFlight.size,
      held: service.waiting.length,
      heldBytes: this.#heldBytes,
      requestBytes: bytes,
    }
  }
}

function count(service: Service, usage: Usage | undefined): void {
  service.traffic.promptTokens += usage?.prompt_tokens ?? 0
  service.traffic.completionTokens += usage?.completion_tokens ?? 0
}

function wasDeleted({ object }: Service): string {
  return `${object.metadata.name} was deleted.`
}

function lostReplica(pod: string, error: Error): WireError {
  return serverError(`The replica ${pod} failed before it answered (${error.message}). Try again.`, 'replica_failed')
}

function noReplica(service: Service, name: string): string {
  const said = service.object.status?.message
  return `No replica of ${name} became ready in time${said === undefined ? '' : `: ${said}`}. See: millwright describe service ${name}`
}

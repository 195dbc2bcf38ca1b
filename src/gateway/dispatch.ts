import type { Cancel, Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { serverError, timedOut, unavailable, type WireError } from '../wire/errors.ts'
import type { Usage } from '../wire/responses.ts'
import {
  abandoned,
  accepted,
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
  type Refused,
  refused,
} from './decide.ts'
import { answer, answerError } from './exchange.ts'
import { relay } from './relay.ts'
import type { Exchange, Replica, Service } from './routes.ts'

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
  #heldBytes = 0
  #busy = 0
  #idle: (() => void) | undefined

  constructor(handles: DispatchHandles) {
    this.#handles = handles
  }

  submit(exchange: Exchange): void {
    const { service } = exchange
    const { limits, clock } = this.#handles
    const admission = admit(exchange.service.object.metadata.name, this.#loadFor(exchange), limits)
    if (admission.kind === 'refuse') {
      refuse(exchange, admission)
      return
    }
    this.#busy++
    service.traffic.requests++
    service.traffic.lastRequestAtMs = clock.now()
    const timeoutMs = service.object.spec.timeoutSeconds * 1000
    exchange.timers.push(clock.after(timeoutMs, () => this.#expire(exchange, timeoutMs)))
    exchange.response.on('close', () => {
      if (!exchange.response.writableFinished) this.#leave(exchange)
    })
    this.#place(exchange)
  }

  /** A replica appeared, was freed or may be tried again: let those in that waited longest. */
  wake(service: Service): void {
    while (service.waiting.length > 0) {
      const replica = this.#choose(service)
      if (replica === undefined) return
      const exchange = service.waiting.shift()
      if (exchange === undefined) return
      this.#heldBytes -= exchange.body.length
      this.#send(exchange, replica)
    }
  }

  /** The service is told of anew: where nothing will come any more, those that wait are answered at once. */
  review(service: Service): void {
    for (const exchange of [...service.waiting]) {
      const vain = inVain(service.object.metadata.name, this.#loadFor(exchange))
      if (vain === undefined) return
      this.#stop(exchange, new Error(vain.message))
      refuse(exchange, vain)
      this.#finish(exchange)
    }
  }

  /** Answers all that wait for a service that is gone. */
  forget(service: Service): void {
    this.#retries.get(service)?.()
    this.#retries.delete(service)
    this.#refuseWaiting(service, `${service.object.metadata.name} was deleted.`)
  }

  /** Answers what waits, lets what runs run for `graceMs`, and cuts the rest. */
  async drain(services: Iterable<Service>, graceMs: number): Promise<void> {
    const all = [...services]
    for (const service of all) this.#refuseWaiting(service, 'The gateway is stopping; try again in a moment.')
    for (const cancel of this.#retries.values()) cancel()
    if (this.#busy > 0) {
      const stop = this.#handles.clock.after(graceMs, () => this.#cutAll(all))
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
      stop()
    }
  }

  #place(exchange: Exchange): void {
    const { service } = exchange
    const replica = service.waiting.length === 0 ? this.#choose(service) : undefined
    if (replica !== undefined) this.#send(exchange, replica)
    else this.#hold(exchange)
  }

  #choose(service: Service): Replica | undefined {
    const { clock, random, limits } = this.#handles
    const perReplica = service.object.spec.target * limits.targetFactor
    const choice = chooseReplica([...service.replicas.values()], perReplica, clock.now(), random)
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
    this.#retries.set(service, clock.after(Math.max(0, atMs - clock.now()), wake))
  }

  #hold(exchange: Exchange): void {
    const { service } = exchange
    const { limits, clock } = this.#handles
    const admission = admitHeld(service.object.metadata.name, this.#loadFor(exchange), limits)
    if (admission.kind === 'refuse') {
      refuse(exchange, admission)
      this.#finish(exchange)
      return
    }
    const { waiting } = service
    // One that comes back from a replica that refused it keeps its place.
    const place = waiting.findIndex((other) => other.arrivedMs > exchange.arrivedMs)
    waiting.splice(place < 0 ? waiting.length : place, 0, exchange)
    this.#heldBytes += exchange.body.length
    exchange.timers.push(clock.after(limits.heldMs, () => this.#tired(exchange)))
    this.#handles.changed(service, waiting.length === 1)
  }

  #send(exchange: Exchange, replica: Replica): void {
    const { service } = exchange
    replica.inFlight++
    this.#countBusy(service)
    service.inFlight.add(exchange)
    this.#handles.changed(service, false)
    const release = () => {
      replica.inFlight--
      this.#countBusy(service)
      service.inFlight.delete(exchange)
    }
    exchange.release = () => {
      release()
      replica.breaker = abandoned(replica.breaker)
    }
    relay(exchange, replica, {
      sent: () => {
        replica.breaker = accepted()
      },
      firstByte: () => {
        service.traffic.firstByteMs += this.#handles.clock.now() - exchange.arrivedMs
        service.traffic.firstBytes++
      },
      ended: (usage) => {
        exchange.release = undefined
        release()
        count(service, usage)
        this.#finish(exchange)
      },
      failed: (error, failure) => {
        exchange.release = undefined
        release()
        this.#failed(exchange, replica, error, failure)
      },
    })
  }

  #failed(exchange: Exchange, replica: Replica, error: Error, failure: Failure): void {
    const { clock, log } = this.#handles
    const next = afterFailure(failure)
    log.warn('a replica did not answer', { replica: replica.pod, error: error.message, ...failure, ...next })
    if (next.ejects) replica.breaker = refused(replica.breaker, clock.now())
    if (exchange.over) return
    if (next.retry) {
      this.#place(exchange)
      return
    }
    answerError(exchange.response, lostReplica(replica.pod, error), { 'x-request-id': exchange.id })
    this.#finish(exchange)
  }

  /** The client left: nobody needs the answer, so the engine must not go on with it. */
  #leave(exchange: Exchange): void {
    if (exchange.over) return
    this.#stop(exchange, new Error('the client left'))
    this.#finish(exchange)
  }

  #expire(exchange: Exchange, timeoutMs: number): void {
    if (exchange.over) return
    this.#stop(exchange, new Error('the request took too long'))
    const { response } = exchange
    if (response.headersSent) response.destroy()
    else answerError(response, timedOut(`The request took longer than the ${timeoutMs / 1000} s that it may.`))
    this.#finish(exchange)
  }

  #tired(exchange: Exchange): void {
    if (exchange.over || !exchange.service.waiting.includes(exchange)) return
    this.#stop(exchange, new Error('no replica came'))
    const { name } = exchange.service.object.metadata
    answerError(exchange.response, unavailable(noReplica(exchange.service, name), 'no_replica', 10))
    this.#finish(exchange)
  }

  #stop(exchange: Exchange, why: Error): void {
    this.#unhold(exchange)
    exchange.cancelUpstream?.(why)
    exchange.cancelUpstream = undefined
    exchange.release?.()
    exchange.release = undefined
  }

  #unhold(exchange: Exchange): void {
    const { waiting } = exchange.service
    const place = waiting.indexOf(exchange)
    if (place < 0) return
    waiting.splice(place, 1)
    this.#heldBytes -= exchange.body.length
  }

  #finish(exchange: Exchange): void {
    if (exchange.over) return
    exchange.over = true
    for (const cancel of exchange.timers) cancel()
    const { service } = exchange
    service.traffic.lastRequestAtMs = this.#handles.clock.now()
    this.#handles.changed(service, false)
    this.wake(service)
    if (--this.#busy === 0) this.#idle?.()
  }

  #refuseWaiting(service: Service, why: string): void {
    for (const exchange of [...service.waiting]) {
      this.#stop(exchange, new Error(why))
      answerError(exchange.response, unavailable(why, 'no_replica', 2))
      this.#finish(exchange)
    }
  }

  #cutAll(services: readonly Service[]): void {
    for (const service of services) {
      for (const exchange of [...service.inFlight]) {
        this.#stop(exchange, new Error('the gateway stopped'))
        exchange.response.destroy()
        this.#finish(exchange)
      }
    }
  }

  /** Adds up requests × time, whose mean the next report tells. */
  #countBusy(service: Service): void {
    const nowMs = this.#handles.clock.now()
    const { traffic } = service
    traffic.busyMs += (nowMs - traffic.busySinceMs) * service.inFlight.size
    traffic.busySinceMs = nowMs
  }

  #loadFor({ service, body }: Exchange): Load {
    return {
      suspended: service.object.spec.suspend,
      broken: service.replicas.size > 0 ? undefined : brokenBecause(service.object),
      inFlight: service.inFlight.size,
      held: service.waiting.length,
      heldBytes: this.#heldBytes,
      requestBytes: body.length,
    }
  }
}

function refuse(exchange: Exchange, refusal: Refused) {
  const type = refusal.status === 429 ? 'rate_limit_error' : 'server_error'
  const { code, message, status, retryAfterSeconds } = refusal
  answer(
    exchange.response,
    status,
    { error: { message: `${message}.`, type, param: null, code } },
    {
      'retry-after': String(retryAfterSeconds),
      'x-request-id': exchange.id,
    },
  )
}

function count(service: Service, usage: Usage | undefined): void {
  service.traffic.promptTokens += usage?.prompt_tokens ?? 0
  service.traffic.completionTokens += usage?.completion_tokens ?? 0
}

function lostReplica(pod: string, error: Error): WireError {
  return serverError(`The replica ${pod} failed before it answered (${error.message}). Try again.`, 'replica_failed')
}

function noReplica(service: Service, name: string): string {
  const said = service.object.status?.message
  return `No replica of ${name} became ready in time${said === undefined ? '' : `: ${said}`}. See: millwright describe service ${name}`
}

import type { ManualClock } from '../../base/manual-clock.ts'
import type { Random } from '../../base/random.ts'
import type { Exchange, Service } from '../../gateway/contract.ts'
import type { Core } from '../../gateway/core.ts'
import type { Process } from '../kernel/process.ts'
import type { Replica as Server } from '../work/replica.ts'
import { type Arrival, arrivalsOf, type Traffic } from './arrivals.ts'
import { SimulatedExchange } from './exchange.ts'
import { RequestSums, type Slo } from './sums.ts'

/** The requests that a service gets. */
export interface ServiceTraffic {
  /** `namespace/name`. */
  service: string
  /** From the start of the run. */
  fromMs: number
  traffic: Traffic
  slo: Slo | undefined
}

export interface Gateway {
  process: Process
  core: Core
}

export interface ClientKit {
  clock: ManualClock
  random: Random
  /** The one that takes requests now. */
  gateway(): Gateway | undefined
  server(uid: string): Server | undefined
  run: { startMs: number; horizonMs: number; stretches: number }
}

/** Everybody who sends requests: each service's come at their times, to whichever gateway there is. */
export class Clients {
  readonly sums = new Map<string, RequestSums>()
  readonly #kit: ClientKit
  readonly #open = new Map<Process, Open>()

  constructor(kit: ClientKit) {
    this.#kit = kit
  }

  start({ service, fromMs, traffic, slo }: ServiceTraffic): void {
    const { random, run } = this.#kit
    const sums = new RequestSums(slo, run)
    this.sums.set(service, sums)
    this.#follow(service, sums, arrivalsOf(traffic, fromMs, random.split(service)))
  }

  /** Sends one request, at once. */
  ask(service: string, { input, output }: { input: number; output: number }): RequestSums {
    const { clock, run } = this.#kit
    const sums = new RequestSums(undefined, run)
    this.#send(service, sums, { atMs: clock.now(), input, output })
    return sums
  }

  /** How many a gateway took and knows nothing of any more, or its replica: they would never come to an end. */
  get forgotten(): number {
    const services = new Set(this.#kit.gateway()?.core.routes.services)
    const open = [...this.#open.values()].flatMap(({ exchanges }) => [...exchanges])
    // What is under way for one that was deleted goes on.
    const inFlight = exchangesOf(new Set([...services, ...open.map(({ service }) => service)]), 'inFlight')
    const waiting = exchangesOf(services, 'waiting')
    return open.filter((one) => !waiting.has(one) && !(inFlight.has(one) && one.isServed)).length
  }

  /** One timer for all that are to come. */
  #follow(service: string, sums: RequestSums, arrivals: Iterator<Arrival>): void {
    const { clock, run } = this.#kit
    let next = arrivals.next()
    const wait = () => {
      if (next.done || next.value.atMs >= run.horizonMs) return
      clock.after(run.startMs + next.value.atMs - clock.now(), () => {
        for (; !next.done && run.startMs + next.value.atMs <= clock.now(); next = arrivals.next())
          this.#send(service, sums, next.value)
        wait()
      })
    }
    wait()
  }

  #send(service: string, sums: RequestSums, asked: Arrival): void {
    const { clock, server } = this.#kit
    const sentMs = clock.now()
    sums.sent(sentMs)
    const { process, core } = this.#kit.gateway() ?? {}
    if (process === undefined || core === undefined || process.state === 'crashed') {
      sums.fail('gateway_lost')
      return
    }
    const { exchanges, knocking } = this.#openAt(process)
    const enter = () => {
      const found = core.routes.find(service)
      if (found === undefined) {
        sums.refuse('model_not_found')
        return
      }
      const exchange = new SimulatedExchange(found, asked, sentMs, { process, clock, server, sums, open: exchanges })
      exchanges.add(exchange)
      core.submit(exchange)
    }
    if (process.state === 'running') enter()
    else {
      knocking.push(sums)
      process.pass(() => {
        knocking.shift()
        enter()
      })
    }
  }

  #openAt(process: Process): Open {
    const known = this.#open.get(process)
    if (known !== undefined) return known
    const open: Open = { exchanges: new Set(), knocking: [] }
    this.#open.set(process, open)
    process.onChange(() => {
      if (process.state !== 'crashed') return
      for (const exchange of [...open.exchanges]) exchange.lost()
      for (const sums of open.knocking) sums.fail('gateway_lost')
    })
    return open
  }
}

function exchangesOf(services: ReadonlySet<Service>, where: 'inFlight' | 'waiting'): Set<Exchange> {
  return new Set([...services].flatMap((service) => [...service[where]].map(({ exchange }) => exchange)))
}

/** Requests at a gateway that have not come to their end. */
interface Open {
  exchanges: Set<SimulatedExchange>
  /** Of those that it has not taken yet, since it stands still. */
  knocking: RequestSums[]
}

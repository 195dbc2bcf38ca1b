import { seededRandom } from '../../base/random.ts'
import type { Service } from '../../gateway/contract.ts'
import { defaultLimits } from '../../gateway/decide.ts'
import type { RequestSums } from '../traffic/sums.ts'
import { Clients } from '../traffic/traffic.ts'
import type { Twin } from '../twin.ts'
import type { History } from './history.ts'
import { trafficFrom } from './traffic.ts'

/** Who sends requests in a history, and what must come of them. */
export class Requests {
  readonly #twin: Twin
  readonly #history: History
  readonly #clients: Clients
  /** The last request to each service when all is mended. */
  readonly #asked = new Map<string, RequestSums>()

  constructor(seed: number, history: History, twin: Twin) {
    this.#twin = twin
    this.#history = history
    this.#clients = new Clients({
      clock: twin.clock,
      random: seededRandom(seed).split('requests'),
      gateway: () => twin.gateway,
      server: (uid) => twin.server(uid),
      run: { startMs: twin.clock.now(), horizonMs: history.safetyMs, stretches: 1 },
    })
  }

  start(): void {
    const { traffic = [], arrivals } = this.#history
    if (traffic.length === 0) return
    this.#twin.startGateway()
    for (const one of traffic) {
      const fromMs = arrivals.find(({ object }) => object.metadata.name === one.service)?.atMs ?? 0
      this.#clients.start({ service: `default/${one.service}`, fromMs, traffic: trafficFrom(one), slo: undefined })
    }
  }

  /** What is wrong in the gateway that takes requests now, if anything. */
  wrong(): string | undefined {
    const { gateway } = this.#twin
    // What one that sleeps was told, it has not heard yet.
    if (gateway?.process.state !== 'running') return undefined
    const { forgotten } = this.#clients
    if (forgotten > 0) return `nobody knows of ${forgotten} requests any more`
    for (const service of gateway.core.routes.services) {
      const wrong = miscounted(service) ?? keptWaiting(service)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }

  /** Which of the services that are up have not answered yet: those are asked, and asked again. */
  unanswered(up: ReadonlySet<string>): string {
    const { traffic = [] } = this.#history
    const open = traffic.flatMap(({ service, input, output }) => {
      const last = this.#asked.get(service)
      if (!up.has(service) || (last?.answered ?? 0) > 0) return []
      if (last === undefined || last.ended > 0)
        this.#asked.set(service, this.#clients.ask(`default/${service}`, { input, output }))
      const codes = [...(last?.refused.keys() ?? []), ...(last?.failed.keys() ?? [])]
      return [`a request to ${service} (${codes.join(', ') || 'under way'})`]
    })
    return open.join('; ')
  }

  /** So many were sent, but for those that are asked at the end. */
  get sent(): number {
    return [...this.#clients.sums.values()].reduce((sum, { requests }) => sum + requests, 0)
  }

  /** Which were sent and have come to no end. */
  get underWay(): string {
    const open = [...this.#clients.sums].filter(([, { requests, ended }]) => ended < requests)
    return open.map(([service, { requests, ended }]) => `${requests - ended} requests to ${service}`).join('; ')
  }
}

/** Each replica has as many requests as are under way there. */
function miscounted({ key, replicas, inFlight }: Service): string | undefined {
  for (const replica of replicas.values()) {
    const there = [...inFlight].filter((flight) => flight.replica === replica).length
    if (replica.inFlight !== there)
      return `${replica.pod} of ${key} has ${there} requests, and ${replica.inFlight} count`
  }
  return undefined
}

/** Nobody waits beside a replica that would take it. */
function keptWaiting({ key, replicas, waiting, object }: Service): string | undefined {
  const places = object.spec.target * defaultLimits.targetFactor
  const free = [...replicas.values()].find(({ inFlight, breaker }) => breaker.state === 'closed' && inFlight < places)
  return waiting.length > 0 && free !== undefined
    ? `${waiting.length} requests wait for ${key}, and ${free.pod} has ${free.inFlight} of ${places}`
    : undefined
}

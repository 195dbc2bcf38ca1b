import type { WireError } from '../wire/errors.ts'
import type { Exchange, Replica, SendEvents, Service } from './contract.ts'
import type { Refused } from './decide.ts'
import { type Asked, answer, answerError } from './exchange.ts'
import { relay } from './relay.ts'
import type { Upstreams } from './upstream.ts'

/** A request that came over a socket. */
export class HttpExchange implements Exchange {
  readonly service: Service
  readonly bytes: number
  readonly arrivedMs: number
  readonly #asked: Asked
  readonly #upstreams: Upstreams

  constructor(service: Service, asked: Asked, arrivedMs: number, upstreams: Upstreams) {
    this.service = service
    this.bytes = asked.body.length
    this.arrivedMs = arrivedMs
    this.#asked = asked
    this.#upstreams = upstreams
  }

  get isAnswering(): boolean {
    return this.#asked.response.headersSent
  }

  send(replica: Replica, events: SendEvents): (why: Error) => void {
    return relay(this.#asked, { pod: replica.pod, upstream: this.#upstreams.of(replica) }, events)
  }

  refuse({ status, code, message, retryAfterSeconds }: Refused): void {
    const type = status === 429 ? 'rate_limit_error' : 'server_error'
    const body = { error: { message: `${message}.`, type, param: null, code } }
    answer(this.#asked.response, status, body, {
      'retry-after': String(retryAfterSeconds),
      'x-request-id': this.#asked.id,
    })
  }

  fail(error: WireError): void {
    answerError(this.#asked.response, error, { 'x-request-id': this.#asked.id })
  }

  cut(): void {
    this.#asked.response.destroy()
  }

  onLeave(left: () => void): void {
    const { response } = this.#asked
    response.on('close', () => {
      if (!response.writableFinished) left()
    })
  }
}

import { assert } from '../../base/errors.ts'
import type { Exchange, Replica, SendEvents, Service } from '../../gateway/contract.ts'
import type { Failure, Refused } from '../../gateway/decide.ts'
import type { WireError } from '../../wire/errors.ts'
import type { Process } from '../kernel/process.ts'
import type { Call, Replica as Server } from '../work/replica.ts'
import type { Arrival } from './arrivals.ts'
import type { RequestSums } from './sums.ts'

export interface ExchangeKit {
  /** The gateway that it came to. */
  process: Process
  now(): number
  /** What serves in a pod, by its uid. */
  server(uid: string): Server | undefined
  sums: RequestSums
  /** It has come to its end. */
  ended(exchange: SimulatedExchange): void
}

/** Bytes of a prompt, a token. */
const bytesPerToken = 4

/** A client's request on virtual time. What passes between it and a replica goes through the gateway's process. */
export class SimulatedExchange implements Exchange {
  readonly service: Service
  readonly bytes: number
  readonly arrivedMs: number
  readonly #asked: Arrival
  readonly #sentMs: number
  readonly #kit: ExchangeKit
  #firstMs: number | undefined
  #isOver = false
  #connection: { server: Server; call: Call; close(): void } | undefined

  constructor(service: Service, asked: Arrival, sentMs: number, kit: ExchangeKit) {
    this.service = service
    this.bytes = asked.input * bytesPerToken
    this.arrivedMs = kit.now()
    this.#asked = asked
    this.#sentMs = sentMs
    this.#kit = kit
  }

  get isAnswering(): boolean {
    return this.#firstMs !== undefined
  }

  /** Whether a replica has it. */
  get isServed(): boolean {
    return this.#connection?.server.has(this.#connection.call) === true
  }

  send(replica: Replica, events: SendEvents): (why: Error) => void {
    const server = this.#kit.server(replica.key)
    const { input, output } = this.#asked
    if (server?.isListening !== true) {
      events.failed(new Error('the connection was refused'), refusedConnection)
      return () => {}
    }
    events.sent()
    if (!server.holds(input, output)) {
      this.#refuse('context_length_exceeded')
      events.ended(undefined)
      return () => {}
    }
    const call = this.#callFor(events)
    const connection = { server, call, close: server.connect(call) }
    this.#connection = connection
    return () => this.#hangUp()
  }

  refuse({ code }: Refused): void {
    this.#refuse(code)
  }

  /** A 429 or 503 says to come back; anything else is a failure. */
  fail({ status, body }: WireError): void {
    const code = body.error.code ?? String(status)
    if (status === 429 || status === 503) this.#refuse(code)
    else this.#fail(code)
  }

  cut(): void {
    this.#fail('cut')
  }

  /** Clients of the twin wait to the end. */
  onLeave(): void {}

  /** The gateway is gone, and its connections with it. */
  lost(): void {
    this.#hangUp()
    this.#fail('gateway_lost')
  }

  #callFor(events: SendEvents): Call {
    const { process, sums } = this.#kit
    const { input, output } = this.#asked
    return {
      input,
      output,
      firstToken: (atMs) =>
        process.pass(() => {
          this.#firstMs = this.#heard(atMs)
          events.firstByte()
        }),
      ended: (atMs) =>
        process.pass(() => {
          this.#connection = undefined
          const endMs = this.#heard(atMs)
          sums.answer({ sentMs: this.#sentMs, firstMs: this.#firstMs ?? endMs, endMs, input, output })
          this.#end()
          events.ended({ prompt_tokens: input, completion_tokens: output, total_tokens: input + output })
        }),
      broken: () =>
        process.pass(() => {
          this.#connection = undefined
          if (this.#firstMs === undefined) return events.failed(new Error('the connection broke'), brokenConnection)
          this.#fail('cut')
          events.ended(undefined)
        }),
    }
  }

  /** What happened between two ticks of the clock is known exactly, unless the gateway slept. */
  #heard(atMs: number): number {
    const nowMs = this.#kit.now()
    return nowMs - atMs < 1 ? atMs : nowMs
  }

  #hangUp(): void {
    this.#connection?.close()
    this.#connection = undefined
  }

  #refuse(code: string): void {
    this.#kit.sums.refuse(code)
    this.#end()
  }

  #fail(code: string): void {
    this.#kit.sums.fail(code)
    this.#end()
  }

  #end(): void {
    assert(!this.#isOver, 'a request came to its end twice')
    this.#isOver = true
    this.#kit.ended(this)
  }
}

const refusedConnection: Failure = { sent: false, reused: false, responseBytes: false }
const brokenConnection: Failure = { sent: true, reused: false, responseBytes: false }

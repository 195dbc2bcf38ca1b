import type { Cancel, Clock } from '../../base/clock.ts'
import { assert } from '../../base/errors.ts'
import type { Exchange, Replica, SendEvents, Service } from '../../gateway/contract.ts'
import type { Failure, Refused } from '../../gateway/decide.ts'
import type { WireError } from '../../wire/errors.ts'
import type { Process } from '../kernel/process.ts'
import type { Call, Connection, Replica as Server } from '../work/replica.ts'
import type { Arrival } from './arrivals.ts'
import type { RequestSums } from './sums.ts'

export interface ExchangeKit {
  /** The gateway that it came to. */
  process: Process
  clock: Clock
  /** What serves in a pod, by its uid. */
  server(uid: string): Server | undefined
  sums: RequestSums
  /** Those that have not come to their end: it leaves them at its own. */
  open: Set<SimulatedExchange>
}

/** Bytes of a prompt, a token. */
const bytesPerToken = 4

/** A client's request on virtual time. What passes between it and a replica goes through the gateway's process. */
export class SimulatedExchange implements Exchange, Call {
  readonly service: Service
  readonly bytes: number
  readonly arrivedMs: number
  readonly input: number
  readonly output: number
  readonly blocks: readonly number[] | undefined
  readonly #sentMs: number
  readonly #kit: ExchangeKit
  #firstMs: number | undefined
  #cached = 0
  #isOver = false
  #events: SendEvents | undefined
  #connecting: Cancel | undefined
  #connection: Connection | undefined

  constructor(service: Service, asked: Arrival, sentMs: number, kit: ExchangeKit) {
    this.service = service
    this.input = asked.input
    this.output = asked.output
    this.blocks = asked.blocks
    this.bytes = asked.input * bytesPerToken
    this.arrivedMs = kit.clock.now()
    this.#sentMs = sentMs
    this.#kit = kit
  }

  get isAnswering(): boolean {
    return this.#firstMs !== undefined
  }

  /** Whether a replica has it, or it is on its way to one. */
  get isServed(): boolean {
    return this.#connecting !== undefined || this.#connection?.isOpen === true
  }

  send(replica: Replica, events: SendEvents): (why: Error) => void {
    const { clock, process } = this.#kit
    // As with sockets nothing is told before `send` has returned.
    const cancel = clock.after(0, () =>
      process.pass(() => this.#connecting === cancel && this.#connect(replica, events)),
    )
    this.#connecting = cancel
    return () => this.#hangUp()
  }

  #connect(replica: Replica, events: SendEvents): void {
    this.#connecting = undefined
    const server = this.#kit.server(replica.key)
    if (server?.isListening !== true) {
      events.failed(new Error('the connection was refused'), refusedConnection)
      return
    }
    events.sent()
    if (!server.holds(this.input, this.output)) {
      this.#refuse('context_length_exceeded')
      events.ended(undefined)
      return
    }
    this.#events = events
    this.#connection = server.connect(this)
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

  firstToken(atMs: number, cached: number): void {
    this.#kit.process.pass(() => {
      this.#cached = cached
      this.#firstMs = this.#heard(atMs)
      this.#events?.firstByte()
    })
  }

  ended(atMs: number): void {
    this.#kit.process.pass(() => {
      const { input, output } = this
      const endMs = this.#heard(atMs)
      this.#connection = undefined
      this.#kit.sums.answer({
        sentMs: this.#sentMs,
        firstMs: this.#firstMs ?? endMs,
        endMs,
        input,
        output,
        cached: this.#cached,
      })
      this.#end()
      this.#events?.ended({ prompt_tokens: input, completion_tokens: output, total_tokens: input + output })
    })
  }

  broken(): void {
    this.#kit.process.pass(() => {
      this.#connection = undefined
      if (this.#firstMs === undefined) {
        this.#events?.failed(new Error('the connection broke'), brokenConnection)
        return
      }
      this.#fail('cut')
      this.#events?.ended(undefined)
    })
  }

  /** What happened between two ticks of the clock is known exactly, unless the gateway slept. */
  #heard(atMs: number): number {
    const nowMs = this.#kit.clock.now()
    return nowMs - atMs < 1 ? atMs : nowMs
  }

  #hangUp(): void {
    this.#connecting?.()
    this.#connecting = undefined
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
    this.#kit.open.delete(this)
  }
}

const refusedConnection: Failure = { sent: false, reused: false, responseBytes: false }
const brokenConnection: Failure = { sent: true, reused: false, responseBytes: false }

import type { ServerResponse } from 'node:http'
import { serverError } from '../wire/errors.ts'
import type { Usage } from '../wire/responses.ts'
import { encodeEvent } from '../wire/sse.ts'
import { TailReader, usageOfBody } from '../wire/tail.ts'
import type { Failure } from './decide.ts'
import { clientHeaders, upstreamHeaders } from './exchange.ts'
import type { Exchange, Replica } from './routes.ts'
import type { Flow } from './upstream.ts'
import { UsageFilter } from './usage-filter.ts'

export interface RelayEvents {
  sent(): void
  firstByte(): void
  /** The answer is whole, or was cut and the client told so. */
  ended(usage: Usage | undefined): void
  /** No byte has gone to the client: the request may be tried again or answered. */
  failed(error: Error, failure: Failure): void
}

/** Sends the request to the replica and its answer to the client, chunk by chunk, at the pace of the slower one. */
export function relay(exchange: Exchange, replica: Replica, events: RelayEvents): void {
  const { response } = exchange
  let flow: Flow | undefined
  let sink: Sink | undefined
  exchange.cancelUpstream = replica.upstream.send(
    { path: exchange.path, method: 'POST', headers: upstreamHeaders(exchange), body: exchange.body },
    {
      sent: events.sent,
      head(status, headers, controls) {
        flow = controls
        response.writeHead(status, { ...clientHeaders(headers, exchange), 'x-millwright-replica': replica.pod })
        response.flushHeaders()
        response.on('drain', () => controls.resume())
        const streams = String(headers['content-type'] ?? '').startsWith('text/event-stream')
        sink = streams ? new StreamSink(exchange) : new BodySink(response)
      },
      data(bytes) {
        if (sink === undefined) return
        if (!sink.started) events.firstByte()
        if (!sink.write(bytes)) flow?.pause()
      },
      end() {
        exchange.cancelUpstream = undefined
        sink?.end()
        events.ended(sink?.usage())
      },
      failed(error, failure) {
        exchange.cancelUpstream = undefined
        if (sink === undefined) return events.failed(error, failure)
        sink.cut(`The replica broke off its answer (${error.message}).`)
        events.ended(sink.usage())
      },
    },
  )
}

interface Sink {
  started: boolean
  /** False: the client is the slower one; wait until it has drained. */
  write(bytes: Buffer): boolean
  end(): void
  /** Ends so that the client cannot take what it has for the whole. */
  cut(message: string): void
  usage(): Usage | undefined
}

const bodyKeptMax = 1_048_576

/** A whole JSON answer: passed on as it comes, a copy kept to read the usage from. */
class BodySink implements Sink {
  started = false
  readonly #response: ServerResponse
  #kept: Buffer[] = []
  #bytes = 0

  constructor(response: ServerResponse) {
    this.#response = response
  }

  write(bytes: Buffer): boolean {
    this.started = true
    this.#bytes += bytes.length
    if (this.#bytes <= bodyKeptMax) this.#kept.push(bytes)
    else this.#kept = []
    return this.#response.write(bytes)
  }

  end(): void {
    this.#response.end()
  }

  cut(): void {
    this.#response.destroy()
  }

  usage(): Usage | undefined {
    return this.#kept.length === 0 ? undefined : usageOfBody(Buffer.concat(this.#kept))
  }
}

/** An event stream: complete only if it said `[DONE]`, or ended with an error of its own. */
class StreamSink implements Sink {
  started = false
  readonly #response: ServerResponse
  readonly #filter: UsageFilter | undefined
  readonly #tail = new TailReader()
  #wholeEvents = true

  constructor(exchange: Exchange) {
    this.#response = exchange.response
    this.#filter = exchange.usageAdded ? new UsageFilter() : undefined
  }

  write(bytes: Buffer): boolean {
    this.started = true
    this.#tail.push(bytes)
    return this.#pass(this.#filter === undefined ? bytes : this.#filter.push(bytes))
  }

  end(): void {
    const { done, failed } = this.#tail.ending()
    if (!done && !failed) {
      this.cut('The stream ended before it said [DONE].')
      return
    }
    if (this.#filter !== undefined) this.#pass(this.#filter.flush())
    this.#response.end()
  }

  /** An error event first, where one fits, because it can say why; then the connection breaks inside the chunked body. */
  cut(message: string): void {
    const response = this.#response
    if (!this.#wholeEvents || response.writableNeedDrain) return void response.destroy()
    response.write(encodeEvent(serverError(message, 'stream_cut').body), () => response.destroy())
  }

  usage(): Usage | undefined {
    return this.#tail.ending().usage
  }

  #pass(bytes: Buffer): boolean {
    if (bytes.length === 0) return true
    const last = bytes.toString('latin1', bytes.length - 4)
    this.#wholeEvents = last.endsWith('\n\n') || last.endsWith('\r\n\r\n')
    return this.#response.write(bytes)
  }
}

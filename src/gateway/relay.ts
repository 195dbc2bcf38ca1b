import type { ServerResponse } from 'node:http'
import { serverError } from '../wire/errors.ts'
import type { Usage } from '../wire/responses.ts'
import { encodeEvent } from '../wire/sse.ts'
import { TailReader, usageOfBody } from '../wire/tail.ts'
import type { SendEvents } from './contract.ts'
import { type Asked, clientHeaders, upstreamHeaders } from './exchange.ts'
import type { Flow, Upstream } from './upstream.ts'
import { UsageFilter } from './usage-filter.ts'

/**
 * Sends the request to the replica and its answer to the client, chunk by chunk, at the pace of the slower one. Returns
 * what stops it.
 */
export function relay(
  asked: Asked,
  { pod, upstream }: { pod: string; upstream: Upstream },
  events: SendEvents,
): (why: Error) => void {
  const { response } = asked
  let flow: Flow | undefined
  let sink: Sink | undefined
  return upstream.send(
    { path: asked.path, method: 'POST', headers: upstreamHeaders(asked), body: asked.body },
    {
      sent: () => events.sent(),
      head(status, headers, controls) {
        flow = controls
        response.writeHead(status, { ...clientHeaders(headers, asked), 'x-millwright-replica': pod })
        response.flushHeaders()
        response.on('drain', () => controls.resume())
        const streams = String(headers['content-type'] ?? '').startsWith('text/event-stream')
        sink = streams ? new StreamSink(asked) : new BodySink(response)
      },
      data(bytes) {
        if (sink === undefined) return
        if (!sink.started) events.firstByte()
        if (!sink.write(bytes)) flow?.pause()
      },
      end() {
        sink?.end()
        events.ended(sink?.usage())
      },
      failed(error, failure) {
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

  constructor({ response, usageAdded }: Asked) {
    this.#response = response
    this.#filter = usageAdded ? new UsageFilter() : undefined
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

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  bodyTooLarge,
  methodNotAllowed,
  routeNotFound,
  serverError,
  unavailable,
  type WireError,
  WireFailure,
} from '../wire/errors.ts'
import { listModels } from '../wire/models.ts'
import { doneEvent, encodeEvent, eventStreamType } from '../wire/sse.ts'
import type { Desk, Reply } from './answers.ts'

/** The part of the server that is loaded while the model is: nothing before it needs a schema. */
export type Answers = typeof import('./answers.ts').answers
type WritePath = keyof Answers

export interface EngineOptions {
  host: string
  port: number
  names: readonly string[]
  bodyBytesMax: number
  seats: number
}

type State = { kind: 'loading' } | { kind: 'ready'; desk: Desk; answers: Answers }

/**
 * The HTTP side of an engine. It listens before its model is loaded, so that a prober learns "not yet" instead of
 * nothing, and drains on `leave`: accepted requests end as they would have, new ones are refused.
 */
export class EngineServer {
  readonly #options: EngineOptions
  readonly #server: Server
  #state: State = { kind: 'loading' }
  #leaving = false
  readonly #startedSeconds = Math.floor(Date.now() / 1000)

  constructor(options: EngineOptions) {
    this.#options = options
    this.#server = createServer((request, response) => void this.#serve(request, response))
    // Longer than a gateway's pool keeps a socket, so that it is the gateway that closes idle ones.
    this.#server.keepAliveTimeout = 75_000
  }

  /** Resolves with the port that was bound. */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#options.port, this.#options.host, () => {
        this.#server.off('error', reject)
        const address = this.#server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : this.#options.port)
      })
    })
  }

  ready(desk: Desk, answers: Answers): void {
    this.#state = { kind: 'ready', desk, answers }
  }

  /** Stops accepting and resolves when the last accepted request has ended. */
  leave(): Promise<void> {
    this.#leaving = true
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeIdleConnections()
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const client = new AbortController()
    response.on('close', () => {
      if (!response.writableFinished) client.abort()
      if (this.#leaving) setImmediate(() => this.#server.closeIdleConnections())
    })
    if (this.#leaving) response.setHeader('connection', 'close')
    try {
      await this.#route(request, response, client.signal)
    } catch (error) {
      fail(response, error)
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const path = (request.url ?? '/').split('?')[0] ?? '/'
    const method = request.method ?? 'GET'
    const read = this.#reads()[path]
    if (read !== undefined) {
      if (method !== 'GET' && method !== 'HEAD') throw new WireFailure(methodNotAllowed(method, path, 'GET'))
      return send(response, ...read())
    }
    if (!isWritePath(path)) throw new WireFailure(routeNotFound(method, path))
    if (method !== 'POST') throw new WireFailure(methodNotAllowed(method, path, 'POST'))
    if (this.#leaving) throw new WireFailure(unavailable('This replica is leaving. Ask another one.', 'leaving'))
    if (this.#state.kind === 'loading') throw new WireFailure(notYet())
    const { desk, answers } = this.#state
    const body = await bodyOf(request, this.#options.bodyBytesMax)
    await answers[path](desk, body, replyOn(response, signal))
  }

  #reads(): Record<string, () => [status: number, body: unknown]> {
    const { names } = this.#options
    return {
      '/health': () => {
        if (this.#leaving) return [503, { status: 'leaving' }]
        return this.#state.kind === 'ready' ? [200, { status: 'ok' }] : [503, { status: 'loading' }]
      },
      '/status': () => [200, this.#status()],
      '/v1/models': () => [200, listModels(names, this.#startedSeconds)],
    }
  }

  #status() {
    const desk = this.#state.kind === 'ready' ? this.#state.desk : undefined
    return {
      state: this.#leaving ? 'leaving' : this.#state.kind,
      model: this.#options.names[0],
      running: desk?.seats.running ?? 0,
      queued: desk?.seats.queued ?? 0,
      slots: this.#options.seats,
      contextTokens: desk?.model.contextTokens ?? 0,
      tokensGenerated: desk?.counters.tokensGenerated ?? 0,
      promptTokens: desk?.counters.promptTokens ?? 0,
    }
  }
}

const writePaths: readonly string[] = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
] satisfies WritePath[]

/** Known before what answers them is loaded. */
function isWritePath(path: string): path is WritePath {
  return writePaths.includes(path)
}

function notYet(): WireError {
  return unavailable('The model is still loading. Try again shortly.', 'loading')
}

function replyOn(response: ServerResponse, signal: AbortSignal): Reply {
  return {
    signal,
    json: (body) => send(response, 200, body),
    event: (value) => {
      if (signal.aborted) return Promise.resolve()
      if (!response.headersSent) {
        response.writeHead(200, { 'content-type': eventStreamType, 'cache-control': 'no-cache' })
      }
      const roomLeft = response.write(encodeEvent(value))
      return roomLeft ? Promise.resolve() : drained(response, signal)
    },
    end: () => void response.end(doneEvent),
  }
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const settle = () => {
      response.off('drain', settle)
      signal.removeEventListener('abort', settle)
      resolve()
    }
    response.on('drain', settle)
    signal.addEventListener('abort', settle, { once: true })
  })
}

/**
 * The body, up to `bytesMax`. One that is a little too long is read to its end all the same: a client that still writes
 * when the connection closes sees a broken pipe, not the answer.
 */
async function bodyOf(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const readMax = 8 * bytesMax
  if (Number(request.headers['content-length'] ?? 0) > readMax) throw new WireFailure(bodyTooLarge(bytesMax))
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of request) {
    bytes += piece.length
    if (bytes > readMax) break
    if (bytes <= bytesMax) pieces.push(piece)
  }
  if (bytes > bytesMax) throw new WireFailure(bodyTooLarge(bytesMax))
  return Buffer.concat(pieces, bytes)
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed) return
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length })
  response.end(bytes)
}

/** Before the first byte an error is an answer; after it, an event and a cut stream, so that nobody takes it for whole. */
function fail(response: ServerResponse, error: unknown): void {
  if (response.destroyed) return
  const answer = error instanceof WireFailure ? error.answer : crashed(error)
  if (response.headersSent) {
    response.write(encodeEvent(answer.body), () => response.destroy())
    return
  }
  if (answer.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(answer.retryAfterSeconds))
  if (answer.status === 413) response.setHeader('connection', 'close') // the rest of the body is not read
  send(response, answer.status, answer.body)
}

function crashed(error: unknown): WireError {
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error))
  return serverError('The engine failed on this request; its log says why.')
}

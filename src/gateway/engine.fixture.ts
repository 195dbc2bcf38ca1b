import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { usageOf } from '../wire/responses.ts'
import { doneEvent, encodeEvent } from '../wire/sse.ts'

/** A small real engine over HTTP that says word after word, at the pace that a test sets. */
export interface Engine {
  port: number
  /** Bodies received, in order. */
  received: Record<string, unknown>[]
  headers: IncomingMessage['headers'][]
  /** Requests being answered now. */
  readonly active: number
  /** Requests whose client left before the end. */
  readonly cancelled: number
  /** Connections accepted so far. */
  readonly connections: number
  /** What it says. */
  words: string[]
  /** Words that it may say: it waits when they are used up. Infinity at first. */
  allowed: number
  allow(words: number): void
  /** Replaces the answer of the next request. */
  next: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  /** Resolves when `holds` does, looked at whenever something happens. */
  until(holds: () => boolean): Promise<void>
  /** Breaks every connection at once, and accepts no more. */
  crash(): Promise<void>
  stop(): Promise<void>
}

export async function startEngine(port = 0): Promise<Engine> {
  const sockets = new Set<Socket>()
  const waiters = new Set<() => void>()
  const state = { active: 0, cancelled: 0, connections: 0 }
  const happened = () => {
    for (const look of [...waiters]) look()
  }

  const server = createServer((request, response) => {
    void answer(request, response)
  })
  server.on('connection', (socket) => {
    state.connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request)
    engine.received.push(body)
    engine.headers.push(request.headers)
    state.active++
    response.on('close', () => {
      state.active--
      if (!response.writableFinished) state.cancelled++
      happened()
    })
    happened()
    const { next } = engine
    engine.next = undefined
    if (next !== undefined) return next(request, response)
    if (request.url === '/v1/embeddings') return json(response, embeddings)
    if (body['stream'] === true) return stream(body, response)
    await allowed(engine.words.length, response)
    if (!response.destroyed) json(response, completion(engine.words.join('')))
  }

  async function stream(body: Record<string, unknown>, response: ServerResponse): Promise<void> {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    response.flushHeaders()
    for (const [index, word] of engine.words.entries()) {
      await allowed(1, response)
      if (response.destroyed) return
      response.write(encodeEvent(chunk([{ index: 0, delta: { content: word }, finish_reason: null }])))
      if (index === engine.words.length - 1)
        response.write(encodeEvent(chunk([{ index: 0, delta: {}, finish_reason: 'stop' }])))
    }
    const options = body['stream_options']
    const asked = typeof options === 'object' && options !== null && 'include_usage' in options && options.include_usage
    if (asked === true) response.write(encodeEvent({ ...chunk([]), usage: usageOf(5, engine.words.length) }))
    response.end(doneEvent)
  }

  function allowed(words: number, response: ServerResponse): Promise<void> {
    return engine.until(() => {
      if (response.destroyed) return true
      if (engine.allowed < words) return false
      engine.allowed -= words
      return true
    })
  }

  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const address = server.address() as AddressInfo
  const engine: Engine = {
    port: address.port,
    received: [],
    headers: [],
    get active() {
      return state.active
    },
    get cancelled() {
      return state.cancelled
    },
    get connections() {
      return state.connections
    },
    words: ['a', ' small', ' answer'],
    allowed: Number.POSITIVE_INFINITY,
    allow: (words) => {
      engine.allowed += words
      happened()
    },
    next: undefined,
    until: (holds) =>
      new Promise((resolve) => {
        const look = () => {
          if (!holds()) return
          waiters.delete(look)
          resolve()
        }
        waiters.add(look)
        look()
      }),
    crash: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.resetAndDestroy()
      return closed
    },
    stop: () => engine.crash(),
  }
  return engine
}

export function json(response: ServerResponse, value: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

function chunk(choices: object[]) {
  return { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', choices }
}

function completion(content: string) {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: usageOf(5, 3),
  }
}

const embeddings = {
  object: 'list',
  model: 'm',
  data: [{ object: 'embedding', index: 0, embedding: [0.5, 1] }],
  usage: { prompt_tokens: 2, total_tokens: 2 },
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  const value: unknown = JSON.parse(Buffer.concat(parts).toString('utf8'))
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

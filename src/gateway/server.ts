import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../base/clock.ts'
import { messageOf, OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Store } from '../store/contract.ts'
import {
  badRequest,
  bodyTooLarge,
  methodNotAllowed,
  modelNotFound,
  routeNotFound,
  serverError,
  unauthorized,
  unavailable,
} from '../wire/errors.ts'
import { glanceAt } from '../wire/glance.ts'
import { listModels } from '../wire/models.ts'
import { Core } from './core.ts'
import { defaultLimits, type Limits } from './decide.ts'
import { answer, answerError, readBody, upstreamBody } from './exchange.ts'
import { hostAllowed, keyCheck, originAllowed, refuseOpenDoors } from './guard.ts'
import { HttpExchange } from './http-exchange.ts'
import { publicName } from './routes.ts'
import { Upstreams } from './upstream.ts'

export interface GatewayOptions {
  store: Store
  clock: Clock
  random: Random
  log: Log
  /** Loopback, or, with `tls` and `apiKeys`, any address. */
  host: string
  /** 0 takes a free one. */
  port: number
  /** When given, requests need one of them as `Authorization: Bearer KEY`. */
  apiKeys?: readonly string[] | undefined
  /** Names, beside localhost and addresses, that it answers to; with `tls`, the first stands in the URL. */
  hostNames?: readonly string[] | undefined
  /** Key and certificate, as PEM. With it, TLS alone is spoken. */
  tls?: { key: string; cert: string } | undefined
  limits?: Partial<Limits>
}

export interface Gateway {
  url: string
  /** With `tls`: what it shows from now on. */
  renew(identity: { key: string; cert: string }): void
  /** Refuses what is new, answers what waits, lets streams run for `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>
}

/** The OpenAI-compatible door to all InferenceServices. It owns nothing durable. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { store, clock, random, log } = options
  refuseOpenDoors(options)
  const limits = { ...defaultLimits, ...options.limits }
  const upstreams = new Upstreams()
  const core = new Core({ store, clock, random, log, limits, left: (replica) => upstreams.close(replica) })
  const door = new Door({ ...options, limits, core, upstreams })
  const [server, renew] = createListener(limits, options, (request, response) => {
    door.open(request, response).catch((error: unknown) => {
      log.error('a request failed', { path: request.url?.split('?')[0], error: messageOf(error) })
      answerError(response, serverError('The gateway failed on this request; its log says why.'))
    })
  })
  server.on('clientError', answerBroken)
  // First of all: where it cannot listen, nothing may be left that goes on following the store.
  await listening(server, options)
  await core.start()
  return {
    url: urlOf(server, options),
    renew,
    close: async (graceMs) => {
      door.closing = true
      server.close()
      await core.close(graceMs)
      server.closeAllConnections()
    },
  }
}

const modelPaths = ['/v1/chat/completions', '/v1/completions', '/v1/embeddings']

interface DoorHandles extends GatewayOptions {
  limits: Limits
  core: Core
  upstreams: Upstreams
}

/** Lets a request in, or says why not. */
class Door {
  closing = false
  readonly #handles: DoorHandles
  readonly #names: string[]
  readonly #keyFits: (authorization: string | undefined) => boolean

  constructor(handles: DoorHandles) {
    this.#handles = handles
    this.#names = [handles.host.toLowerCase(), ...(handles.hostNames ?? []).map((name) => name.toLowerCase())]
    this.#keyFits = keyCheck(handles.apiKeys)
  }

  async open(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on('error', () => {})
    response.on('error', () => {})
    const path = (request.url ?? '/').split('?')[0] ?? '/'
    const id = requestId(request, this.#handles.random)
    response.setHeader('x-request-id', id)
    if (!hostAllowed(request.headers.host, this.#names) || !originAllowed(request.headers.origin, this.#names)) {
      return answer(response, 403, badRequest(strangeHost, null, 'host_not_allowed').body)
    }
    if (path === '/healthz') return answer(response, 200, { status: 'ok' })
    if (path === '/readyz') return this.#readiness(response)
    if (!this.#keyFits(request.headers.authorization)) return answerError(response, unauthorized())
    if (path === '/v1/models' || path.startsWith('/v1/models/')) return this.#models(request, response, path)
    if (!modelPaths.includes(path)) return answerError(response, routeNotFound(request.method ?? '', path))
    if (request.method !== 'POST') return answerError(response, methodNotAllowed(request.method ?? '', path, 'POST'))
    if (this.closing) return answerError(response, unavailable('The gateway is stopping.', 'stopping', 2))
    await this.#ask(request, response, path, id)
  }

  async #ask(request: IncomingMessage, response: ServerResponse, path: string, id: string): Promise<void> {
    const { limits, core, upstreams, clock } = this.#handles
    const body = await readBody(request, limits.bodyBytes)
    if (body === 'gone') return
    if (body === 'large') return answerError(response, bodyTooLarge(limits.bodyBytes), { connection: 'close' })
    const glance = glanceAt(body)
    if (glance === undefined) return answerError(response, notJson())
    if (glance.model === undefined || glance.model === '')
      return answerError(response, badRequest('model is required.', 'model', 'missing_model'))
    const service = core.routes.find(glance.model)
    if (service === undefined) return answerError(response, modelNotFound(glance.model, this.#served()))
    const sent = upstreamBody(body, glance, service.object.metadata.name)
    if (sent === undefined) return answerError(response, notJson())
    const asked = { id, path, headers: request.headers, ...sent, response }
    core.submit(new HttpExchange(service, asked, clock.now(), upstreams))
  }

  #models(request: IncomingMessage, response: ServerResponse, path: string): void {
    if (request.method !== 'GET') {
      answerError(response, methodNotAllowed(request.method ?? '', path, 'GET'))
      return
    }
    const services = [...this.#handles.core.routes.services]
    const wanted = decoded(path.slice('/v1/models/'.length))
    const one = path === '/v1/models' ? undefined : this.#handles.core.routes.find(wanted)
    if (path !== '/v1/models' && one === undefined) {
      answerError(response, modelNotFound(wanted, this.#served()))
      return
    }
    const data = (one === undefined ? services : [one]).map((service) => {
      const created = Math.floor(Date.parse(service.object.metadata.creationTimestamp ?? '') / 1000) || 0
      return listModels([publicName(service)], created).data
    })
    answer(response, 200, one === undefined ? { object: 'list', data: data.flat() } : (data.flat()[0] ?? {}))
  }

  #readiness(response: ServerResponse): void {
    if (this.closing) {
      answerError(response, unavailable('The gateway is stopping.', 'stopping'))
      return
    }
    if (!this.#handles.core.isSynced) {
      answerError(response, unavailable('The gateway is starting.', 'starting'))
      return
    }
    answer(response, 200, { status: 'ok' })
  }

  #served(): string[] {
    return [...this.#handles.core.routes.services].map(publicName).slice(0, 20)
  }
}

const notJson = () => badRequest('The request body is not a JSON object.')

const strangeHost =
  'This gateway answers to localhost, to addresses and to the names it was given, not to the Host or Origin of this request.'

/** The client's own id where it is one that can go into a log line. */
function requestId(request: IncomingMessage, random: Random): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : `req-${random.uuid()}`
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What never became a request: too long a header, too slow, or no HTTP. */
function answerBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, message] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'The headers of the request are larger than this gateway reads.']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'The request was not sent in time.']
        : ['400 Bad Request', 'This is not a valid HTTP request.']
  const body = JSON.stringify(badRequest(message).body)
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close`
  socket.end(`${head}\r\n\r\n${body}`)
}

/** With `tls`, also how it shows another certificate from now on. */
function createListener(limits: Limits, { tls }: GatewayOptions, handle: RequestListener): [Server, Gateway['renew']] {
  const settings = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: Math.min(60_000, limits.receiveMs),
    requestTimeout: limits.receiveMs,
    keepAliveTimeout: 65_000,
  }
  if (tls === undefined) return [createServer(settings, handle), () => {}]
  const minVersion = 'TLSv1.2'
  const server = createTlsServer({ ...settings, ...tls, minVersion, handshakeTimeout: 10_000 }, handle)
  return [server, (renewed) => server.setSecureContext({ ...renewed, minVersion })]
}

function listening(server: Server, { host, port }: GatewayOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(error, host, port)))
    server.listen(port, host, resolve)
  })
}

function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): OperatingError {
  const why =
    error.code === 'EADDRINUSE'
      ? `port ${port} on ${host} is taken; choose another with --gateway-port, or 0 for a free one`
      : `the gateway cannot listen on ${host}:${port}: ${error.message}`
  return new OperatingError('cannot-listen', 'give-up', why, { cause: error })
}

function urlOf(server: Server, { tls, host, hostNames }: GatewayOptions): string {
  const address = server.address()
  const { port } = typeof address === 'object' && address !== null ? address : ({ port: 0 } as AddressInfo)
  const name = tls === undefined ? host : (hostNames?.[0] ?? host)
  return `${tls === undefined ? 'http' : 'https'}://${name.includes(':') ? `[${name}]` : name}:${port}`
}

import { isIP } from 'node:net'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import type { Clock } from '../base/clock.ts'
import { messageOf, OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Store } from '../store/contract.ts'
import { type Access, checkOrigin, checkToken, isLoopback } from './access.ts'
import type { Answer, Call } from './answer.ts'
import { parseJson } from './body.ts'
import { type Identity, loopbackIdentity } from './certificate.ts'
import { badRequest, failed, type Status, statusOf, tooLarge, unsupported } from './failure.ts'
import { createListener, type Listener } from './listener.ts'
import type { ApiPorts } from './ports.ts'
import { parseProtobuf, protobufType } from './protobuf.ts'
import { isOpen, refuseUnknown, route } from './route.ts'
import { writeStream } from './write-stream.ts'

export interface ApiOptions {
  store: Store
  clock: Clock
  log: Log
  /** Whoever holds it may do everything. */
  token: string
  /** Loopback, or, with `tls`, any address. */
  host: string
  /** 0 takes a free one. */
  port: number
  ports: ApiPorts
  metrics?: RequestMetrics
  /** Key and certificate for clients elsewhere, as PEM. With it, TLS alone is spoken, on loopback too. */
  tls?: Identity | undefined
  /** Names beside the loopback ones that clients use for this server; with `tls`, the first stands in the URL. */
  hosts?: readonly string[] | undefined
}

export interface RequestMetrics {
  /** `resource` is a plural, or empty; never a name. */
  request(request: { method: string; resource: string; code: number; seconds: number }): void
}

export interface Api {
  /** For our own clients; without `tls` plain HTTP, and HTTPS on the same port for kubectl. */
  url: string
  /** With `tls`: what it shows from now on. */
  renew(identity: Identity): void
  close(): Promise<void>
}

const bodyBytesMax = 4 * 1024 * 1024

/** Serves the store over Kubernetes' REST conventions. Throws with a sentence when it may not or cannot listen there. */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { store, log, clock, token, host } = options
  refuseOpenDoors(options)
  const access: Access = {
    token,
    hosts: [...(options.hosts ?? []), ...(isIP(host) && !isWildcard(host) ? [host] : [])],
  }
  const open = new Set<AbortController>() // one for each request that is being answered
  const identity = options.tls ?? loopbackIdentity(token)
  let listener: Listener | undefined
  const app = Fastify({
    bodyLimit: bodyBytesMax,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 8192, ignoreTrailingSlash: false },
    frameworkErrors: (_error, _request, reply) => void send(reply, badRequest('the path cannot be read').status),
    serverFactory: (handle) => {
      listener = createListener(handle, identity, options.tls === undefined)
      return listener.http
    },
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) =>
    bodyOf(request, body),
  )
  app.addHook('onRequest', async (request) => {
    checkOrigin(request.headers, access)
    if (!isOpen(pathOf(request))) checkToken(request.headers, access)
    refuseUnknown(request.method, pathOf(request))
  })
  app.setErrorHandler((error, request, reply) => {
    const status = statusFor(error, request.method)
    if (status.code >= 500)
      log.error('a request failed', { method: request.method, path: pathOf(request), error: messageOf(error) })
    return send(reply, status)
  })
  app.route({
    method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    url: '/*',
    handler: async (request, reply) => {
      const call = callOf(request, reply, open)
      const answer = await route({ store, clock, ports: options.ports, log }, pathOf(request), call)
      return write(reply, answer, call.signal)
    },
  })
  app.addHook('onResponse', async (request, reply) => {
    options.metrics?.request({
      method: request.method,
      resource: resourceIn(pathOf(request)),
      code: reply.statusCode,
      seconds: reply.elapsedTime / 1000,
    })
  })
  await app.ready()
  if (listener === undefined) throw new OperatingError('internal', 'give-up', 'the HTTP server was not made')
  // The store makes a namespace with the first thing in it; this one clients look for before there is anything.
  await store.create('Namespace', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } })
  const { front, closeConnections, renew } = listener
  const port = await listen(listener, host, options.port)
  const name = options.tls === undefined ? host : (options.hosts?.[0] ?? host)
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://${name.includes(':') ? `[${name}]` : name}:${port}`,
    renew,
    async close() {
      for (const one of open) one.abort()
      const closed = new Promise<void>((resolve) => front.close(() => resolve()))
      closeConnections()
      await Promise.all([closed, app.close()])
    },
  }
}

function refuseOpenDoors({ host, token, tls }: ApiOptions): void {
  if (token.length < 16) {
    throw new OperatingError(
      'no-token',
      'give-up',
      'the API needs a token of at least 16 characters; make one with `openssl rand -hex 32`',
    )
  }
  if (isLoopback(host) || tls !== undefined) return
  throw new OperatingError(
    'not-loopback',
    'give-up',
    `the API would be open to the network on ${host} without encryption; listen on 127.0.0.1, or give it a TLS key and certificate`,
  )
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

function listen({ front }: Listener, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    front.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = error.code === 'EADDRINUSE'
      const why = inUse ? `port ${port} is in use; choose another with --port, or 0 for a free one` : messageOf(error)
      reject(
        new OperatingError(
          inUse ? 'port-in-use' : 'cannot-listen',
          'give-up',
          `the API cannot listen on ${host}: ${why}`,
          { cause: error },
        ),
      )
    })
    front.listen({ host, port }, () => {
      const address = front.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

function bodyOf(request: FastifyRequest, body: Buffer): unknown {
  if (body.length === 0) return undefined
  const type = mediaTypeOf(request)
  if (type === protobufType) return parseProtobuf(body)
  // A server-side apply carries YAML; the handler of PATCH refuses it, saying what to use instead.
  if (type.startsWith('application/apply-patch')) return undefined
  if (type !== '' && type !== 'application/json' && !/^application\/[a-z-]+\+json$/.test(type)) {
    throw unsupported(`bodies of type ${type.slice(0, 100)} are not read here; send application/json`)
  }
  return parseJson(textOf(body))
}

function textOf(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    throw badRequest('the body is not UTF-8')
  }
}

function callOf(request: FastifyRequest, reply: FastifyReply, open: Set<AbortController>): Call {
  const gone = new AbortController()
  open.add(gone)
  reply.raw.once('close', () => {
    open.delete(gone)
    gone.abort()
  })
  return {
    method: request.method,
    query: new URLSearchParams(request.url.split('?').slice(1).join('?')),
    accept: request.headers.accept ?? '',
    contentType: mediaTypeOf(request),
    body: request.body,
    signal: gone.signal,
  }
}

async function write(reply: FastifyReply, answer: Answer, signal: AbortSignal): Promise<FastifyReply> {
  if (answer.kind === 'text') return reply.code(answer.code).type(answer.type).send(answer.body)
  if (answer.kind === 'json') {
    const text = JSON.stringify(answer.body)
    if (answer.warning !== undefined) reply.header('warning', `299 - ${JSON.stringify(answer.warning)}`)
    return reply
      .code(answer.code)
      .header('content-type', answer.type ?? 'application/json')
      .send(text)
  }
  await writeStream(reply, answer, signal)
  return reply
}

function send(reply: FastifyReply, status: Status): FastifyReply {
  const retry = status.details?.retryAfterSeconds
  if (retry !== undefined) reply.header('retry-after', String(retry))
  if (status.code === 401) reply.header('www-authenticate', 'Bearer realm="millwright"')
  return reply.code(status.code).header('content-type', 'application/json').send(JSON.stringify(status))
}

function statusFor(error: unknown, method: string): Status {
  const known = statusOf(error)
  // What is invalid in a read is its selector or its revision.
  if (known?.code === 422 && method === 'GET') return badRequest(known.message ?? '').status
  if (known !== undefined) return known
  const code = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
  if (code === 413) return tooLarge(`the body is larger than ${bodyBytesMax} bytes`).status
  if (typeof code === 'number' && code >= 400 && code < 500) return failed(code, 'BadRequest', messageOf(error))
  return failed(500, 'InternalError', `Internal error occurred: ${messageOf(error)}`)
}

function mediaTypeOf(request: FastifyRequest): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? '/'
}

/** Bounded: a resource's plural, or nothing. */
function resourceIn(path: string): string {
  return /^\/apis?\/(?:[a-z0-9.]+\/)?v[a-z0-9]+\/(?:namespaces\/[^/]+\/)?([a-z]{1,40})(?:\/|$)/.exec(path)?.[1] ?? ''
}

import {
  type Agent,
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http'
import { OperatingError } from '../base/errors.ts'

export interface WireRequest {
  method: string
  /** From `/` on, query included. */
  path: string
  headers: Readonly<Record<string, string>>
  body?: string | undefined
  signal?: AbortSignal | undefined
}
export interface WireResponse {
  status: number
  body: AsyncIterable<Uint8Array>
}
export interface Transport {
  send(request: WireRequest): Promise<WireResponse>
  close(): void
}

/** Node's own HTTP: it is loaded in two milliseconds, undici in seventy. */
export function nodeTransport(server: string, certificateAuthority?: string): Transport {
  if (!URL.canParse(server))
    throw new OperatingError('bad-server', 'give-up', `"${server}" is not an address; write http://127.0.0.1:PORT`)
  const url = new URL(server)
  const tools = url.protocol === 'https:' ? overTls(certificateAuthority) : Promise.resolve(plain())
  return {
    send: async (wanted) => send(url, await tools, wanted),
    close: () => void tools.then(({ agent }) => agent.destroy()),
  }
}

interface Tools {
  agent: Agent
  request: typeof httpRequest
}

function plain(): Tools {
  return { agent: new HttpAgent({ keepAlive: true }), request: httpRequest }
}

/** TLS is loaded only where it is spoken. */
async function overTls(ca: string | undefined): Promise<Tools> {
  const { Agent: HttpsAgent, request } = await import('node:https')
  return { agent: new HttpsAgent({ keepAlive: true, ...(ca !== undefined && { ca }) }), request }
}

function send(url: URL, { agent, request }: Tools, wanted: WireRequest): Promise<WireResponse> {
  return new Promise((resolve, reject) => {
    const base = url.pathname.replace(/\/$/, '')
    const sent: ClientRequest = request({
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port,
      method: wanted.method,
      path: `${base}${wanted.path}`,
      headers: {
        ...wanted.headers,
        ...(wanted.body !== undefined && { 'content-length': Buffer.byteLength(wanted.body) }),
      },
      agent,
      ...(wanted.signal !== undefined && { signal: wanted.signal }),
    })
    sent.once('response', (response: IncomingMessage) => resolve({ status: response.statusCode ?? 0, body: response }))
    sent.once('error', (error) => reject(unreachable(url, error)))
    sent.end(wanted.body)
  })
}

function unreachable(url: URL, error: NodeJS.ErrnoException): Error {
  if (error.name === 'AbortError') return error
  const refused = error.code === 'ECONNREFUSED'
  const why = refused ? 'nothing listens there; start the factory with `millwright up`' : error.message
  return new OperatingError(
    'unreachable',
    { retryAfterMs: 1000 },
    `cannot reach the factory at ${url.origin}: ${why}`,
    { cause: error },
  )
}

import {
  type Agent,
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import { isIP } from 'node:net'
import { OperatingError } from '../base/errors.ts'
import type { Identity } from './certificate.ts'

export interface WireRequest {
  method: string
  /** From `/` on, query included. */
  path: string
  headers: Readonly<Record<string, string>>
  body?: string | undefined
  signal?: AbortSignal | undefined
  /** What the server may not be silent in for long: the whole answer (default), its head (of a watch), or nothing. */
  hurry?: 'answer' | 'head' | 'never' | undefined
}
export interface WireResponse {
  status: number
  body: AsyncIterable<Uint8Array>
}
export interface Transport {
  send(request: WireRequest): Promise<WireResponse>
  close(): void
}

/** Whom to trust at the other end of TLS, and who we are to it. */
export interface Trust {
  /** PEM of who signed the server's certificate, or of the certificate itself; left out, whom Node trusts. */
  certificateAuthority?: string | undefined
  /** The name that the certificate must be for, where that is not the URL's. */
  serverName?: string | undefined
  /** Anyone may answer: the token goes to whoever does. */
  insecureSkipTlsVerify?: boolean | undefined
  /** For servers that ask who we are. */
  clientCertificate?: Identity | undefined
  /** Where to connect to, where that is not where the URL's name leads. */
  address?: string | undefined
}

/** A server that takes a connection and then says nothing is as good as none after this long. */
export const silentMsMax = 30_000

/** Node's own HTTP: it is loaded in two milliseconds, undici in seventy. `silentMs` of 0 waits for ever. */
export function nodeTransport(server: string, trust: Trust = {}, silentMs = silentMsMax): Transport {
  const url = URL.canParse(server) ? new URL(server) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new OperatingError(
      'bad-server',
      'give-up',
      `"${server}" is not an address; write http://127.0.0.1:PORT or https://NAME:PORT`,
    )
  const line = lineTo(url, trust)
  line.catch(() => undefined) // whoever sends is told
  return {
    send: async (wanted) => send(url, await line, wanted, silentMs),
    close: () => void line.then(({ agent }) => agent.destroy()),
  }
}

/** The way to a server: what every request to it has in common. */
export interface Line {
  request: typeof httpRequest
  agent: Agent
  options: RequestOptions
}

export async function lineTo(url: URL, trust: Trust): Promise<Line> {
  const hostname = bare(url.hostname)
  const options: RequestOptions = {
    protocol: url.protocol,
    hostname: trust.address ?? hostname,
    port: url.port,
    ...(trust.address !== undefined && { headers: { host: url.host } }),
  }
  if (url.protocol === 'http:') return { request: httpRequest, agent: new HttpAgent({ keepAlive: true }), options }
  return { ...(await overTls(trust.serverName ?? hostname, trust)), options }
}

/** TLS is loaded only where it is spoken. */
async function overTls(name: string, trust: Trust): Promise<Omit<Line, 'options'>> {
  const [{ Agent: HttpsAgent, request }, { checkServerIdentity }] = await Promise.all([
    import('node:https'),
    import('node:tls'),
  ])
  const agent = new HttpsAgent({
    keepAlive: true,
    minVersion: 'TLSv1.2',
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_connected, certificate) => checkServerIdentity(name, certificate),
    rejectUnauthorized: trust.insecureSkipTlsVerify !== true,
    // As in Go, and so in kubectl: what is trusted need not have signed itself.
    ...(trust.certificateAuthority !== undefined && { ca: trust.certificateAuthority, allowPartialTrustChain: true }),
    ...trust.clientCertificate,
  })
  return { agent, request }
}

function send(
  url: URL,
  { agent, request, options }: Line,
  wanted: WireRequest,
  silentMs: number,
): Promise<WireResponse> {
  const { hurry = 'answer', signal } = wanted
  const watchdog = (cut: (error: Error) => void) => startWatchdog(silentMs, () => cut(silent(url, silentMs)))
  return new Promise((resolve, reject) => {
    const base = url.pathname.replace(/\/$/, '')
    const sent: ClientRequest = request({
      ...options,
      method: wanted.method,
      path: `${base}${wanted.path}`,
      headers: {
        ...options.headers,
        ...wanted.headers,
        ...(wanted.body !== undefined && { 'content-length': Buffer.byteLength(wanted.body) }),
      },
      agent,
      ...(signal !== undefined && { signal }),
    })
    const called = hurry === 'never' ? undefined : watchdog((error) => sent.destroy(error))
    sent.once('response', (response: IncomingMessage) => {
      called?.end()
      const body = hurry === 'answer' ? lively(response, watchdog) : response
      resolve({ status: response.statusCode ?? 0, body })
    })
    sent.once('error', (error) => {
      called?.end()
      reject(error instanceof OperatingError ? error : unreachable(url, error))
    })
    sent.end(wanted.body)
  })
}

interface Watchdog {
  end(): void
}

/** The reader's own pace is not the server's silence: only while the next part is waited for does time count. */
async function* lively(
  response: IncomingMessage,
  watchdog: (cut: (error: Error) => void) => Watchdog,
): AsyncGenerator<Uint8Array> {
  const parts = response[Symbol.asyncIterator]()
  try {
    for (;;) {
      const waiting = watchdog((error) => response.destroy(error))
      const { done, value } = await parts.next().finally(() => waiting.end())
      if (done === true) return
      yield value
    }
  } finally {
    response.destroy()
  }
}

function startWatchdog(silentMs: number, bark: () => void): Watchdog {
  if (silentMs === 0) return { end: () => {} }
  let isOver = false
  // Had we slept ourselves, the answer lies there and is read before this is looked at.
  const timer = setTimeout(() => setImmediate(() => isOver || bark()), silentMs)
  return {
    end: () => {
      isOver = true
      clearTimeout(timer)
    },
  }
}

function silent(url: URL, silentMs: number): Error {
  return new OperatingError(
    'unreachable',
    { retryAfterMs: 1000 },
    `the factory at ${url.origin} took the connection but said nothing for ${silentMs / 1000} s; look at the terminal that \`millwright up\` runs in (stopped by Ctrl-Z, it goes on with \`fg\`), or wait longer with --request-timeout`,
  )
}

/** What a failed connection says to a person; an abort stays what it is. */
export function unreachable(url: URL, error: NodeJS.ErrnoException, what = 'the factory'): Error {
  if (error.name === 'AbortError') return error
  return new OperatingError(
    'unreachable',
    { retryAfterMs: 1000 },
    `cannot reach ${what} at ${url.origin}: ${reasonOf(url, error)}`,
    { cause: error },
  )
}

function reasonOf(url: URL, { code = '', message }: NodeJS.ErrnoException): string {
  if (code === 'ECONNREFUSED') return 'nothing listens there; start the factory with `millwright up`'
  if (isUntrusted(code))
    return `its certificate is signed by nobody that is trusted here (${message}); name who signed it with --certificate-authority FILE or a kubeconfig`
  if (code === 'EPROTO' && url.protocol === 'https:') return 'it does not speak TLS as we do; is it http://?'
  if (code === 'ECONNRESET' && url.protocol === 'http:') return `${message}; does it speak TLS (https://)?`
  return message
}

/** Of the error of a connection: who answers shows a certificate that is signed by nobody whom we trust. */
export function isUntrusted(code: string): boolean {
  return unknownIssuer.has(code)
}

/** OpenSSL's names for a chain that ends nowhere. */
const unknownIssuer: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
])

/** Without the brackets of an IPv6 address. */
function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '')
}

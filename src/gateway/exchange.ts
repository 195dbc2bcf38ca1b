import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { WireError } from '../wire/errors.ts'
import type { Glance } from '../wire/glance.ts'

/** A request as it came over HTTP, and where its answer goes. */
export interface Asked {
  id: string
  path: string
  headers: IncomingHttpHeaders
  /** What the replica is sent. */
  body: Uint8Array
  /** The gateway asked for the usage event, not the client: it is taken out of the answer again. */
  usageAdded: boolean
  response: ServerResponse
}

/**
 * The body as a replica should see it: the service's own name as its model, and usage asked for where it streams. Undefined
 * where it must be written anew and is no JSON: a glance steps over most of it.
 */
export function upstreamBody(
  body: Buffer,
  glance: Glance,
  served: string,
): { body: Uint8Array; usageAdded: boolean } | undefined {
  const usageAdded = glance.stream && !glance.includeUsage
  const renamed = glance.model !== served
  if (!usageAdded && !renamed) return { body, usageAdded }
  if (!renamed && !body.includes('"stream_options"')) return { body: withUsageAsked(body), usageAdded }
  const parsed = parsedJson(body)
  if (parsed === undefined) return undefined
  const options =
    typeof parsed === 'object' && parsed !== null && 'stream_options' in parsed ? parsed.stream_options : {}
  const changed = {
    ...(typeof parsed === 'object' ? parsed : {}),
    model: served,
    ...(usageAdded ? { stream_options: { ...(typeof options === 'object' ? options : {}), include_usage: true } } : {}),
  }
  return { body: Buffer.from(JSON.stringify(changed)), usageAdded }
}

function parsedJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body)) // it leaves out a byte order mark
  } catch {
    return undefined
  }
}

/** Puts the field in front of the others, so that a long conversation is copied, not parsed and printed again. */
function withUsageAsked(body: Buffer): Buffer {
  const start = body.indexOf('{') + 1
  return Buffer.concat([body.subarray(0, start), Buffer.from(usageField), body.subarray(start)])
}

const usageField = '"stream_options":{"include_usage":true},'

const passedOn = ['accept', 'user-agent', 'x-request-id', 'traceparent', 'tracestate', 'openai-beta']

/** The client's key is the gateway's business and goes no further; nor do cookies. */
export function upstreamHeaders(asked: Pick<Asked, 'id' | 'headers'>): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': 'application/json', 'x-request-id': asked.id }
  for (const name of passedOn) {
    const value = asked.headers[name]
    if (typeof value === 'string' && name !== 'x-request-id') headers[name] = value
  }
  return headers
}

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-request-id',
])

export function clientHeaders(
  headers: Record<string, string | string[] | undefined>,
  asked: Pick<Asked, 'id' | 'usageAdded'>,
): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = { 'x-request-id': asked.id }
  const named = String(headers['connection'] ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || hopByHop.has(name) || named.includes(name)) continue
    // What is taken out of the stream would make a stated length wrong.
    if (name === 'content-length' && asked.usageAdded) continue
    kept[name] = value
  }
  return kept
}

export function answer(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}) {
  if (response.headersSent || response.destroyed) return
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    ...headers,
  })
  response.end(text)
}

export function answerError(response: ServerResponse, error: WireError, headers: Record<string, string> = {}): void {
  const retryAfter = error.retryAfterSeconds
  answer(response, error.status, error.body, {
    ...headers,
    ...(retryAfter === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfter))) }),
  })
}

/** Reads a body up to `limitBytes`; 'large' stops reading, 'gone' is a client that left. */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer | 'large' | 'gone'> {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) return Promise.resolve('large')
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    let bytes = 0
    request.on('data', (part: Buffer) => {
      bytes += part.length
      if (bytes <= limitBytes) return parts.push(part)
      request.pause()
      return resolve('large')
    })
    request.on('end', () => resolve(parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)))
    request.on('error', () => resolve('gone'))
    request.on('close', () => resolve('gone'))
  })
}

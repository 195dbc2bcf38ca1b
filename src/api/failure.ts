import { OperatingError } from '../base/errors.ts'
import type { KindInfo } from '../model/registry.ts'

/** Kubernetes' Status: what every failed request is answered with, and what `kubectl` prints. */
export interface Status {
  kind: 'Status'
  apiVersion: 'v1'
  metadata: Record<string, never>
  status: 'Success' | 'Failure'
  message?: string
  reason?: string
  details?: StatusDetails
  code: number
}
export interface StatusDetails {
  name?: string
  group?: string
  kind?: string
  uid?: string
  causes?: StatusCause[]
  retryAfterSeconds?: number
}
export interface StatusCause {
  reason: string
  message: string
  field: string
}

/** Thrown anywhere below a request; the server answers with its status. */
export class ApiFailure extends Error {
  readonly status: Status

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message)
    this.name = 'ApiFailure'
    this.status = failed(code, reason, message, details)
  }
}

export const badRequest = (message: string) => new ApiFailure(400, 'BadRequest', message)
export const unauthorized = (message: string) => new ApiFailure(401, 'Unauthorized', message)
export const forbidden = (message: string) => new ApiFailure(403, 'Forbidden', message)
export const unknownPath = () => new ApiFailure(404, 'NotFound', 'the server could not find the requested resource')
export const tooLarge = (message: string) => new ApiFailure(413, 'RequestEntityTooLarge', message)
export const unsupported = (message: string) => new ApiFailure(415, 'UnsupportedMediaType', message)
export const expired = (message: string) => new ApiFailure(410, 'Expired', message)

export function methodNotAllowed(method: string): ApiFailure {
  return new ApiFailure(405, 'MethodNotAllowed', `${method} is not supported on this resource`)
}

export function notFound(info: KindInfo, name: string): ApiFailure {
  return new ApiFailure(404, 'NotFound', `${qualified(info)} "${name}" not found`, detailsOf(info, name))
}

export function namespaceNotFound(name: string): ApiFailure {
  const message = `namespaces "${name}" not found; make it first: \`kubectl create namespace ${name}\`, or apply {apiVersion: v1, kind: Namespace, metadata: {name: ${name}}}`
  return new ApiFailure(404, 'NotFound', message, { name, kind: 'namespaces' })
}

export function alreadyExists(info: KindInfo, name: string): ApiFailure {
  const message = `${qualified(info)} "${name}" already exists`
  return new ApiFailure(409, 'AlreadyExists', message, detailsOf(info, name))
}

export function conflict(info: KindInfo, name: string, why: string): ApiFailure {
  const message = `Operation cannot be fulfilled on ${qualified(info)} "${name}": ${why}`
  return new ApiFailure(409, 'Conflict', message, detailsOf(info, name))
}

export const modified = 'the object has been modified; please apply your changes to the latest version and try again'

/** 422 with every problem at once, each with its field. */
export function invalid(
  info: KindInfo,
  name: string,
  problems: readonly { field: string; message: string }[],
): ApiFailure {
  const shown = problems.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`))
  const list = shown.length === 1 ? shown[0] : `[${shown.join(', ')}]`
  const kind = info.group === '' ? info.kind : `${info.kind}.${info.group}`
  return new ApiFailure(422, 'Invalid', `${kind} "${name}" is invalid: ${list}`, {
    ...detailsOf(info, name),
    kind: info.kind,
    causes: problems.map(({ field, message }) => ({ reason: 'FieldValueInvalid', message, field })),
  })
}

/** What a thrown thing says to the client. `undefined`: nobody foresaw it. */
export function statusOf(error: unknown): Status | undefined {
  if (error instanceof ApiFailure) return error.status
  if (!(error instanceof OperatingError)) return undefined
  const [code, reason] = reasons.get(error.code) ?? [error.policy === 'give-up' ? 500 : 503, undefined]
  const retry = error.policy === 'give-up' ? {} : { retryAfterSeconds: Math.ceil(error.policy.retryAfterMs / 1000) }
  return failed(code, reason ?? (code === 503 ? 'ServiceUnavailable' : 'InternalError'), error.message, retry)
}

export function succeeded(code: number, details?: StatusDetails): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', ...(details && { details }), code }
}

export function failed(code: number, reason: string, message: string, details?: StatusDetails): Status {
  const some = details !== undefined && Object.keys(details).length > 0
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(some && { details }),
    code,
  }
}

/** `trainingjobs.millwright.dev`, as Kubernetes names a resource in its messages. */
function qualified(info: KindInfo): string {
  return info.group === '' ? info.plural : `${info.plural}.${info.group}`
}

function detailsOf(info: KindInfo, name: string): StatusDetails {
  return { name, ...(info.group !== '' && { group: info.group }), kind: info.plural }
}

const reasons: ReadonlyMap<string, readonly [number, string]> = new Map([
  ['invalid', [422, 'Invalid']],
  ['bad-selector', [400, 'BadRequest']],
  ['fenced', [409, 'Conflict']],
  ['expired', [410, 'Expired']],
  ['not-found', [404, 'NotFound']],
  ['forbidden', [403, 'Forbidden']],
  ['terminating', [403, 'Forbidden']],
  ['store-full', [507, 'InsufficientStorage']],
  ['store-closed', [503, 'ServiceUnavailable']],
])

/** The error body of the OpenAI protocol. Clients read `message`, retry on the status, and match on `code`. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null }
}

/** An answer that is an error: the HTTP status, the body, and when trying again makes sense. */
export interface WireError {
  status: 400 | 401 | 404 | 405 | 413 | 429 | 500 | 503 | 504
  body: ErrorBody
  retryAfterSeconds?: number
}

/** Thrown by parsers, so that a reader can stay straight; whoever answers the request catches it. */
export class WireFailure extends Error {
  readonly answer: WireError

  constructor(answer: WireError) {
    super(answer.body.error.message)
    this.name = 'WireFailure'
    this.answer = answer
  }
}

/** 400: the request itself is wrong; sending it again cannot help. `param` is the field's path. */
export function badRequest(message: string, param: string | null = null, code: string | null = null): WireError {
  return wireError(400, 'invalid_request_error', message, param, code)
}

/** 400 with the code that clients and agents look for when a conversation outgrew the model. */
export function contextExceeded(promptTokens: number, contextTokens: number, param: string): WireError {
  const message =
    `This model's context holds ${contextTokens} tokens, and the prompt alone has ${promptTokens}: ` +
    'a prompt must leave room for at least one token. Shorten the prompt.'
  return badRequest(message, param, 'context_length_exceeded')
}

export function unauthorized(
  message = 'No valid API key was given. Send it as "Authorization: Bearer KEY".',
): WireError {
  return wireError(401, 'invalid_request_error', message, null, 'invalid_api_key')
}

export function modelNotFound(model: string, served: readonly string[]): WireError {
  const here = served.length === 0 ? 'no model is served here' : `served here: ${served.join(', ')}`
  return wireError(
    404,
    'invalid_request_error',
    `The model "${model}" does not exist; ${here}.`,
    'model',
    'model_not_found',
  )
}

export function routeNotFound(method: string, path: string): WireError {
  return wireError(404, 'invalid_request_error', `There is no ${method} ${path} here.`, null, 'unknown_url')
}

export function methodNotAllowed(method: string, path: string, allowed: string): WireError {
  return wireError(405, 'invalid_request_error', `${path} takes ${allowed}, not ${method}.`, null, 'method_not_allowed')
}

export function bodyTooLarge(limitBytes: number): WireError {
  const message = `The request body is larger than ${limitBytes} bytes, the most that is read here.`
  return wireError(413, 'invalid_request_error', message, null, 'request_too_large')
}

export function serverError(message: string, code: string | null = null): WireError {
  return wireError(500, 'server_error', message, null, code)
}

/** 503: nobody can serve this now (starting, full, leaving); backpressure, not a fault. */
export function unavailable(message: string, code: string, retryAfterSeconds = 1): WireError {
  return { ...wireError(503, 'server_error', message, null, code), retryAfterSeconds }
}

/** 504: the request waited as long as it may and nothing had answered. */
export function timedOut(message: string): WireError {
  return wireError(504, 'server_error', message, null, 'timeout')
}

function wireError(
  status: WireError['status'],
  type: string,
  message: string,
  param: string | null,
  code: string | null,
): WireError {
  return { status, body: { error: { message, type, param, code } } }
}

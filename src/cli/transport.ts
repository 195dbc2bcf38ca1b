import type { Transport, WireRequest, WireResponse } from '../api/transport.ts'
import { OperatingError } from '../base/errors.ts'

/** Hears, once each time, that a factory which answered does not any more, and that it does again. */
export interface Presence {
  lost(): void
  back(): void
}

/**
 * A way to a factory that may stop and come back at another address. `open` finds where it is now: another way when
 * that is elsewhere than before, else undefined.
 */
export function followingTransport(first: Transport, open: () => Transport | undefined, presence: Presence): Transport {
  let transport = first
  let state: 'unknown' | 'there' | 'lost' = 'unknown'

  function moved(): boolean {
    const next = open()
    if (next === undefined) return false
    transport.close()
    transport = next
    return true
  }

  async function sendOnce(request: WireRequest): Promise<WireResponse> {
    const response = await transport.send(request)
    if (state === 'lost') presence.back()
    state = 'there'
    return response
  }

  async function send(request: WireRequest): Promise<WireResponse> {
    try {
      return await sendOnce(request)
    } catch (error) {
      if (!isUnreachable(error)) throw error
      if (moved() && isRepeatable(request, error)) return await sendOnce(request)
      if (state === 'there') {
        state = 'lost'
        presence.lost()
      }
      throw error
    }
  }
  return { send, close: () => transport.close() }
}

/** Nobody answers: trying again later may help. */
export function isUnreachable(error: unknown): error is OperatingError {
  return error instanceof OperatingError && error.code === 'unreachable'
}

/** What nobody received, or what may be received twice. */
function isRepeatable(request: WireRequest, error: OperatingError): boolean {
  return request.method === 'GET' || (error.cause as { code?: unknown } | undefined)?.code === 'ECONNREFUSED'
}

import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { OperatingError } from '../base/errors.ts'

/** On this machine anyone may ask who may run programs here; elsewhere, whoever holds a key, over TLS. */
export function refuseOpenDoors(gateway: {
  host: string
  tls?: object | undefined
  apiKeys?: readonly string[] | undefined
}): void {
  // An empty key would fit a request without one.
  if (gateway.apiKeys?.some((key) => key === '' || key !== key.trim()))
    throw new OperatingError(
      'bad-api-key',
      'give-up',
      'a key of the gateway (--api-key) is empty, or begins or ends with a space',
    )
  if (isLoopback(gateway.host) || (gateway.tls !== undefined && (gateway.apiKeys ?? []).length > 0)) return
  throw new OperatingError(
    'not-loopback',
    'give-up',
    `the gateway would be open to the network on ${gateway.host}; listen on 127.0.0.1, or give it a TLS key and certificate, and keys to ask for`,
  )
}

function isLoopback(host: string): boolean {
  return host.toLowerCase() === 'localhost' || host === '::1' || /^127(\.[0-9]{1,3}){3}$/.test(host)
}

/** Checks a bearer token against all keys, in a time that tells nothing of how much of one was right. */
export function keyCheck(apiKeys: readonly string[] | undefined): (authorization: string | undefined) => boolean {
  if (apiKeys === undefined || apiKeys.length === 0) return () => true
  const known = apiKeys.map(digest)
  return (authorization) => {
    const given = digest(/^Bearer +(.+)$/i.exec(authorization ?? '')?.[1]?.trim() ?? '')
    // No early exit: every key is compared each time.
    return known.reduce((found, key) => timingSafeEqual(key, given) || found, false)
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/**
 * Against DNS rebinding: a page of a stranger's domain that resolves to this machine sends that domain as Host (and as
 * Origin). Addresses and localhost cannot be rebound; other names must be ones that the gateway was told to answer to.
 */
export function hostAllowed(hostHeader: string | undefined, names: readonly string[]): boolean {
  if (hostHeader === undefined) return false
  const host = hostOf(hostHeader)
  if (host === undefined) return false
  return isIP(host) > 0 || host === 'localhost' || host.endsWith('.localhost') || names.includes(host)
}

export function originAllowed(origin: string | undefined, names: readonly string[]): boolean {
  if (origin === undefined) return true
  const match = /^https?:\/\/([^/]+)$/.exec(origin)
  return match !== null && hostAllowed(match[1], names)
}

/** The host without its port and brackets, in lower case. */
function hostOf(header: string): string | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/@\s]+))(?::[0-9]{1,5})?$/.exec(header)
  return (match?.[1] ?? match?.[2])?.toLowerCase()
}

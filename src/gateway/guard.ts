import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'

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

import { createHash, timingSafeEqual } from 'node:crypto'
import { forbidden, unauthorized } from './failure.ts'

/** Who may speak to the server: the holder of the token, under a name that is the server's own, from no foreign page. */
export interface Access {
  token: string
  /** Names besides the loopback ones that clients may use for this server. */
  hosts: readonly string[]
}

export interface Credentials {
  authorization?: string | undefined
  host?: string | undefined
  origin?: string | undefined
}

/**
 * A page in a browser can be made to resolve its own name to 127.0.0.1 (DNS rebinding). It cannot change the Host that
 * the browser sends, so a Host that is not ours is refused before anything else is looked at.
 */
export function checkOrigin(request: Credentials, access: Access): void {
  const host = request.host
  if (host === undefined || !isOurs(hostName(host), access.hosts)) {
    throw forbidden(
      `this server does not answer to the host name ${JSON.stringify((host ?? '').slice(0, 100))}; use 127.0.0.1 or a name that it was started with`,
    )
  }
  if (request.origin === undefined) return
  const origin = URL.canParse(request.origin) ? new URL(request.origin) : undefined
  if (origin === undefined || origin.host.toLowerCase() !== withoutDefaultPort(host, origin.protocol)) {
    throw forbidden('requests from pages of another origin are refused')
  }
}

/** Compares digests, so that neither the time nor the length of the comparison tells anything of the token. */
export function checkToken(request: Credentials, access: Access): void {
  const given = /^Bearer +(\S+) *$/i.exec(request.authorization ?? '')?.[1]
  if (given === undefined)
    throw unauthorized('Unauthorized: send the token of this factory as "Authorization: Bearer TOKEN"')
  if (!timingSafeEqual(digest(given), digest(access.token)))
    throw unauthorized('Unauthorized: the token is not the one of this factory')
}

export function isLoopback(host: string): boolean {
  const name = host.toLowerCase()
  return name === 'localhost' || name === '::1' || /^127(\.[0-9]{1,3}){3}$/.test(name)
}

function isOurs(name: string | undefined, hosts: readonly string[]): boolean {
  if (name === undefined) return false
  return isLoopback(name) || hosts.some((host) => host.toLowerCase() === name)
}

/** The name in a Host header, without its port; undefined where the header is not one. */
function hostName(header: string): string | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?$/.exec(header)
  return (match?.[1] ?? match?.[2])?.toLowerCase().replace(/\.$/, '')
}

function withoutDefaultPort(host: string, protocol: string): string {
  return host.toLowerCase().replace(protocol === 'https:' ? /:443$/ : /:80$/, '')
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

import type { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import { isLoopback } from '../api/access.ts'
import type { Identity } from '../api/certificate.ts'
import { identityProblem, readCertificate } from '../api/pem.ts'
import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf, OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'

export interface TlsConfig {
  /** PEM: the certificate, then who signed it. */
  certFile: string
  /** PEM, without a passphrase. */
  keyFile: string
  /** What clients call this factory; left out, the names in the certificate. */
  names?: readonly string[] | undefined
}

export interface ServerIdentity extends Identity {
  /** What clients may call this factory; the first stands in its URLs. */
  names: string[]
  /** Sentences about what works, but should not stay so. */
  warnings: string[]
}

/** Reads what TLS needs. Throws a sentence, with the flag that it is about, when clients could not be served with it. */
export function readIdentity(
  { certFile, keyFile, names = [] }: TlsConfig,
  host: string,
  nowMs: number,
): ServerIdentity {
  const files: Record<keyof Identity, readonly [flag: string, file: string]> = {
    cert: ['--tls-cert', certFile],
    key: ['--tls-key', keyFile],
  }
  const identity = { cert: readPem(...files.cert), key: readPem(...files.key) }
  const wrong = identityProblem(identity)
  if (wrong !== undefined) throw unusable(...files[wrong.of], wrong.problem)
  try {
    createSecureContext(identity)
  } catch {
    throw unusable(
      ...files.cert,
      'holds a certificate that TLS cannot use, as its key is too weak or of an unknown kind',
    )
  }
  const certificate = readCertificate(identity.cert)
  if (typeof certificate === 'string') throw unusable(...files.cert, certificate)
  return {
    ...identity,
    names: namesFor(certificate, certFile, host, names),
    warnings: [...warningsOfKey(keyFile), ...warningsOfTime(certificate, certFile, nowMs)],
  }
}

const lookEveryMs = 2_000

/**
 * Hears of a renewed certificate, once it and its key can be used under the names that clients know. Until then the one
 * before goes on: renewals write one file after the other.
 */
export function watchIdentity(
  config: TlsConfig,
  host: string,
  { names }: ServerIdentity,
  { clock, log }: { clock: Clock; log: Log },
  renewed: (identity: ServerIdentity) => void,
): Cancel {
  const stamp = () => [config.certFile, config.keyFile].map(stampOf).join(' ')
  let seen = stamp()
  return clock.every(lookEveryMs, () => {
    const now = stamp()
    if (now === seen) return
    seen = now
    try {
      renewed(readIdentity({ ...config, names }, host, clock.now()))
      log.info('the certificate was renewed', { file: config.certFile })
    } catch (error) {
      log.warn('certificate and key have changed and are not used', { error: messageOf(error) })
    }
  })
}

function stampOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false })
  return found === undefined ? 'none' : `${found.mtimeMs} ${found.size} ${found.ino}`
}

function namesFor(certificate: X509Certificate, file: string, host: string, asked: readonly string[]): string[] {
  const inside = namesIn(certificate)
  const wanted = asked.map(plain)
  const stranger = wanted.find((name) => !isFor(certificate, name))
  if (stranger !== undefined) {
    const list = inside.length === 0 ? 'for no name' : `for ${inside.join(', ')}`
    throw unusable('--tls-host', stranger, `is no name of the certificate in ${file}, which is ${list}`)
  }
  const whole = inside.filter((name) => !name.startsWith('*'))
  const abroad = whole.filter((name) => !isLoopback(name))
  const own = isFor(certificate, plain(host)) ? [plain(host)] : []
  const names = [...new Set([...wanted, ...own, ...abroad, ...whole])]
  if (names.length > 0) return names
  throw unusable(
    '--tls-cert',
    file,
    inside.length === 0
      ? 'is for no name: it needs the names of this factory as its subjectAltName'
      : `is for ${inside.join(', ')}; say with --tls-host NAME what clients will call this factory`,
  )
}

/** Its subjectAltName; clients look at nothing else. */
function namesIn({ subjectAltName = '' }: X509Certificate): string[] {
  return subjectAltName.split(', ').flatMap((entry) => {
    const name = /^(?:DNS|IP Address):([^"]+)$/.exec(entry)?.[1]
    return name === undefined ? [] : [plain(name)]
  })
}

function isFor(certificate: X509Certificate, name: string): boolean {
  if (isIP(name) > 0) return certificate.checkIP(name) !== undefined
  return certificate.checkHost(name, { subject: 'never' }) !== undefined
}

/** As a URL writes it: lower case, and the short form of an IPv6 address. */
function plain(name: string): string {
  return isIP(name) === 6 ? new URL(`https://[${name}]`).hostname.slice(1, -1) : name.toLowerCase()
}

function warningsOfKey(file: string): string[] {
  const { mode } = statSync(file)
  if ((mode & 0o044) === 0) return []
  const shown = (mode & 0o777).toString(8).padStart(4, '0')
  return [`the TLS key ${file} can be read by other users of this machine (mode ${shown}); \`chmod 600 ${file}\``]
}

function warningsOfTime({ validFrom, validTo }: X509Certificate, file: string, nowMs: number): string[] {
  if (Date.parse(validTo) < nowMs) return [`the certificate ${file} expired on ${validTo}: clients will refuse it`]
  if (Date.parse(validFrom) > nowMs) return [`the certificate ${file} is valid from ${validFrom} only`]
  return []
}

function readPem(flag: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    const known = { ENOENT: 'is not there', EISDIR: 'is a folder', EACCES: 'is not readable by this user' }
    throw unusable(flag, file, known[code as keyof typeof known] ?? `cannot be read (${code})`)
  }
}

function unusable(flag: string, value: string, problem: string): OperatingError {
  return new OperatingError('bad-tls', 'give-up', `${flag}: ${value} ${problem}`)
}

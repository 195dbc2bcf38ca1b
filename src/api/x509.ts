import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import { isIP } from 'node:net'

export interface CertificateRequest {
  commonName: string
  /** The DNS names and addresses that it is for. */
  names: readonly string[]
  /** Ed25519, private. */
  key: KeyObject
  /** Who signs it; left out, it signs itself and is an authority. */
  issuer?: { commonName: string; key: KeyObject } | undefined
  /** As ASN.1 writes it: `YYYYMMDDHHMMSSZ`. */
  notAfter?: string | undefined
}

/** X.509 v3 (RFC 5280) of an Ed25519 key, as PEM. The same request gives the same bytes. */
export function issueCertificate({ commonName, names, key, issuer, notAfter }: CertificateRequest): string {
  const algorithm = sequence(oid(1, 3, 101, 112)) // Ed25519
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, Buffer.from([1])), // serial
    algorithm,
    distinguished(issuer?.commonName ?? commonName),
    sequence(time('20250101000000Z'), time(notAfter ?? '20540101000000Z')),
    distinguished(commonName),
    createPublicKey(key).export({ format: 'der', type: 'spki' }),
    der(0xa3, sequence(...extensions(names, issuer === undefined))),
  )
  const signature = sign(null, body, issuer?.key ?? key)
  return pem(sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature]))))
}

function extensions(names: readonly string[], isAuthority: boolean): Buffer[] {
  const isTrue = der(0x01, Buffer.from([0xff]))
  const usage = isAuthority ? [2, 0x84] : [7, 0x80] // digitalSignature, for an authority keyCertSign as well
  return [
    sequence(oid(2, 5, 29, 19), isTrue, der(0x04, isAuthority ? sequence(isTrue) : sequence())), // basicConstraints
    sequence(oid(2, 5, 29, 15), isTrue, der(0x04, der(0x03, Buffer.from(usage)))), // keyUsage
    sequence(oid(2, 5, 29, 37), der(0x04, sequence(oid(1, 3, 6, 1, 5, 5, 7, 3, 1)))), // serverAuth
    sequence(oid(2, 5, 29, 17), der(0x04, sequence(...names.map(alternative)))), // subjectAltName
  ]
}

const distinguished = (commonName: string) =>
  sequence(set(sequence(oid(2, 5, 4, 3), der(0x0c, Buffer.from(commonName)))))

function alternative(name: string): Buffer {
  return isIP(name) === 0 ? der(0x82, Buffer.from(name)) : der(0x87, addressBytes(name))
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const groups = (text: string | undefined) => (text ? text.split(':') : [])
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array<string>(zeros).fill('0'), ...groups(tail)]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const header = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...header]), content])
}

const sequence = (...parts: Buffer[]) => der(0x30, Buffer.concat(parts))
const set = (...parts: Buffer[]) => der(0x31, Buffer.concat(parts))
/** RFC 5280 §4.1.2.5: UTCTime until 2049, GeneralizedTime from 2050. */
const time = (text: string) => (text < '2050' ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text)))

/** Base 128, most significant group first; the first two arcs share a byte. */
function oid(first: number, second: number, ...rest: number[]): Buffer {
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    if (arc >= 128) bytes.push(0x80 | (arc >> 7))
    bytes.push(arc & 0x7f)
  }
  return der(0x06, Buffer.from(bytes))
}

import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign } from 'node:crypto'

/** What a TLS server needs, as PEM. */
export interface Identity {
  key: string
  cert: string
}

/**
 * The certificate that the API shows on loopback. Stock `kubectl` sends no token over plain HTTP, so loopback speaks
 * TLS as well. Key and certificate follow from the token alone: whoever holds the token can write a kubeconfig that
 * trusts this server and no other, and a restart changes nothing. Tokens are random, so the key is as hard to guess.
 */
export function loopbackIdentity(token: string): Identity {
  const seed = Buffer.from(hkdfSync('sha256', token, '', 'millwright loopback tls v1', 32))
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Ed25519, seed]), format: 'der', type: 'pkcs8' })
  return { key: String(key.export({ format: 'pem', type: 'pkcs8' })), cert: pem(certificate(key)) }
}

/** PKCS #8 of an Ed25519 key up to its 32 bytes (RFC 8410 §7). */
const pkcs8Ed25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** X.509 v3 (RFC 5280), self-signed, for the names of this machine's loopback and no others. */
function certificate(key: KeyObject): Buffer {
  const algorithm = sequence(oid(1, 3, 101, 112)) // Ed25519
  const name = sequence(set(sequence(oid(2, 5, 4, 3), der(0x0c, Buffer.from('millwright'))))) // CN
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, Buffer.from([1])), // serial
    algorithm,
    name,
    sequence(time('20250101000000Z'), time('20540101000000Z')),
    name,
    publicKey,
    der(0xa3, sequence(...extensions())),
  )
  const signature = sign(null, body, key)
  return sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
}

function extensions(): Buffer[] {
  const dns = der(0x82, Buffer.from('localhost'))
  const ipv4 = der(0x87, Buffer.from([127, 0, 0, 1]))
  const ipv6 = der(0x87, Buffer.from([...Array<number>(15).fill(0), 1]))
  const isTrue = der(0x01, Buffer.from([0xff]))
  return [
    sequence(oid(2, 5, 29, 19), isTrue, der(0x04, sequence(isTrue))), // basicConstraints: a CA
    sequence(oid(2, 5, 29, 15), isTrue, der(0x04, der(0x03, Buffer.from([2, 0x84])))), // digitalSignature, keyCertSign
    sequence(oid(2, 5, 29, 37), der(0x04, sequence(oid(1, 3, 6, 1, 5, 5, 7, 3, 1)))), // serverAuth
    sequence(oid(2, 5, 29, 17), der(0x04, sequence(dns, ipv4, ipv6))), // subjectAltName
  ]
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

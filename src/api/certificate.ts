import { createPrivateKey, hkdfSync } from 'node:crypto'
import { issueCertificate } from './x509.ts'

/** What a TLS server, or a client that is asked for it, shows: PEM. */
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
  const names = ['localhost', '127.0.0.1', '::1']
  return {
    key: String(key.export({ format: 'pem', type: 'pkcs8' })),
    cert: issueCertificate({ commonName: 'millwright', names, key }),
  }
}

/** PKCS #8 of an Ed25519 key up to its 32 bytes (RFC 8410 §7). */
const pkcs8Ed25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

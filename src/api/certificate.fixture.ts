import { generateKeyPairSync } from 'node:crypto'
import type { Identity } from './certificate.ts'
import { issueCertificate } from './x509.ts'

export interface TestAuthority {
  /** PEM that clients trust. */
  cert: string
  issue(names: readonly string[], notAfter?: string): Identity
}

/** An authority of a test and what it signs; keys are made afresh each time. */
export function createAuthority(commonName = 'an authority of a test'): TestAuthority {
  const { privateKey: key } = generateKeyPairSync('ed25519')
  return {
    cert: issueCertificate({ commonName, names: [], key }),
    issue(names, notAfter) {
      const own = generateKeyPairSync('ed25519').privateKey
      return {
        cert: issueCertificate({ commonName: 'a server', names, key: own, issuer: { commonName, key }, notAfter }),
        key: String(own.export({ format: 'pem', type: 'pkcs8' })),
      }
    },
  }
}

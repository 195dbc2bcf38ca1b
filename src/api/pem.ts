import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { Identity } from './certificate.ts'

/** The first certificate of a PEM text (who signed it may follow), or the end of a sentence about what is wrong with it. */
export function readCertificate(pem: string): X509Certificate | string {
  const begun = pem.split(begin).length - 1
  if (begun === 0)
    return /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)
      ? 'holds a private key, but no certificate'
      : 'holds no certificate in PEM form ("-----BEGIN CERTIFICATE-----")'
  const whole = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    const [first] = whole.map((one) => new X509Certificate(one))
    if (first !== undefined && whole.length === begun) return first
  } catch {
    // OpenSSL's words (`asn1 encoding routines`) help nobody.
  }
  return 'holds a certificate that is damaged'
}

/** A private key, or the end of a sentence about what is wrong with it. Never quotes from the text. */
export function readPrivateKey(pem: string): KeyObject | string {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem))
    return pem.includes(begin)
      ? 'holds a certificate, but no private key'
      : 'holds no private key in PEM form ("-----BEGIN PRIVATE KEY-----")'
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem))
    return 'holds a key with a passphrase; write it without one (`openssl pkey -in KEY -out PLAIN`)'
  try {
    return createPrivateKey(pem)
  } catch {
    return 'holds a private key that is damaged'
  }
}

/** What is wrong with a certificate and its key, and with which of the two; undefined when nothing is. */
export function identityProblem({ cert, key }: Identity): { of: keyof Identity; problem: string } | undefined {
  const certificate = readCertificate(cert)
  if (typeof certificate === 'string') return { of: 'cert', problem: certificate }
  const privateKey = readPrivateKey(key)
  if (typeof privateKey === 'string') return { of: 'key', problem: privateKey }
  return certificate.checkPrivateKey(privateKey)
    ? undefined
    : { of: 'key', problem: 'holds the key of another certificate' }
}

const begin = '-----BEGIN CERTIFICATE-----'

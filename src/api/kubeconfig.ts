import { loopbackIdentity } from './certificate.ts'
import type { Trust } from './transport.ts'

export interface KubeconfigOptions {
  /** Where the API is; `http://` on loopback becomes `https://`, over which alone kubectl sends a token. */
  server: string
  token?: string | undefined
  namespace?: string | undefined
  /** Of the server over TLS; over plain HTTP, on loopback, its certificate follows from the token. */
  trust?: Trust | undefined
}

/** A kubeconfig with one context, `millwright`. Holds the token: keep it as private as the token's own file. */
export function kubeconfigFor({ server, token, namespace, trust = {} }: KubeconfigOptions): string {
  const isPlain = server.startsWith('http:') && token !== undefined
  const authority = isPlain ? loopbackIdentity(token).cert : trust.certificateAuthority
  const { insecureSkipTlsVerify, serverName, clientCertificate } = trust
  const lines = [
    'apiVersion: v1',
    'kind: Config',
    'current-context: millwright',
    'clusters:',
    '  - name: millwright',
    '    cluster:',
    `      server: ${JSON.stringify((isPlain ? server.replace(/^http:/, 'https:') : server).replace(/\/$/, ''))}`,
    ...data('certificate-authority-data', authority),
    ...(insecureSkipTlsVerify === true ? ['      insecure-skip-tls-verify: true'] : []),
    ...(serverName === undefined ? [] : [`      tls-server-name: ${JSON.stringify(serverName)}`]),
    'users:',
    '  - name: millwright',
    '    user:',
    ...(token === undefined ? [] : [`      token: ${JSON.stringify(token)}`]),
    ...data('client-certificate-data', clientCertificate?.cert),
    ...data('client-key-data', clientCertificate?.key),
    'contexts:',
    '  - name: millwright',
    '    context:',
    '      cluster: millwright',
    '      user: millwright',
    `      namespace: ${JSON.stringify(namespace ?? 'default')}`,
  ]
  return `${lines.join('\n')}\n`
}

function data(field: string, pem: string | undefined): string[] {
  return pem === undefined ? [] : [`      ${field}: ${Buffer.from(pem).toString('base64')}`]
}

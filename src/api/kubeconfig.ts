import { loopbackIdentity } from './certificate.ts'

export interface KubeconfigOptions {
  /** Where the API is; `http://` on loopback becomes `https://`, over which alone kubectl sends a token. */
  server: string
  token: string
  namespace?: string | undefined
  /** PEM of who signed the server's certificate; on loopback it follows from the token. */
  certificateAuthority?: string | undefined
}

/** A kubeconfig with one context, `millwright`. Holds the token: keep it as private as the token's own file. */
export function kubeconfigFor(options: KubeconfigOptions): string {
  const server = options.server.replace(/^http:/, 'https:').replace(/\/$/, '')
  const authority = options.certificateAuthority ?? loopbackIdentity(options.token).cert
  const lines = [
    'apiVersion: v1',
    'kind: Config',
    'current-context: millwright',
    'clusters:',
    '  - name: millwright',
    '    cluster:',
    `      server: ${JSON.stringify(server)}`,
    `      certificate-authority-data: ${Buffer.from(authority).toString('base64')}`,
    'users:',
    '  - name: millwright',
    '    user:',
    `      token: ${JSON.stringify(options.token)}`,
    'contexts:',
    '  - name: millwright',
    '    context:',
    '      cluster: millwright',
    '      user: millwright',
    `      namespace: ${JSON.stringify(options.namespace ?? 'default')}`,
  ]
  return `${lines.join('\n')}\n`
}

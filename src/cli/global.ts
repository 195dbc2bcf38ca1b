/** Options that every command takes, before or after its name. */
export interface Global {
  dir?: string
  server?: string
  token?: string
  certificateAuthority?: string
  kubeconfig?: string
  context?: string
  namespace?: string
  requestTimeout?: string
}

/** Options that every command takes. */
export interface Global {
  dir?: string
  server?: string
  token?: string
  namespace: string
}

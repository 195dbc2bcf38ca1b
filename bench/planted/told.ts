/** What a hunt tells of each history that it played, as a line of JSON. */
export interface Told {
  seed: number
  broken: { rule: string; message: string } | undefined
  /** Of the whole hunt so far. */
  cpuSeconds: number
}

/** A history that is to be played. */
export interface Asked {
  seed: number
  /** Whether it is played again, and the two are compared write for write. */
  isTwice?: boolean
  /** One that breaks a rule is made smaller, for so long at most, and kept. Left out: it is not. */
  shrinkSeconds?: number
}

/** What came of it. */
export interface Told {
  writes: number
  faults: number
  requests: number
  leaders: number
  virtualMs: number
  /** Of the process that plays, so far. */
  cpuSeconds: number
  /** The first rule that it broke. */
  violation?: { rule: string; message: string }
  /** What is to be said of that. */
  report: readonly string[]
}

/** One that came to no end of its own. */
export function unfinished(rule: string, message: string, cpuSeconds: number): Told {
  const violation = { rule, message }
  return { writes: 0, faults: 0, requests: 0, leaders: 0, virtualMs: 0, cpuSeconds, violation, report: [message] }
}

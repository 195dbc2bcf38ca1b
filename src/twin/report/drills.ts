import type { Drill } from '../../model/kinds/drill.ts'

/** What came of a drill. */
export interface DrillSums {
  drill: string
  phase: string
  message: string
  detectedSeconds: number | undefined
  recoveredSeconds: number | undefined
  attempts: number
  /** Accelerator-seconds of work. */
  lostSeconds: number
  /** Accelerator-seconds that each bucket gained from just before it to just after it. */
  ledger: Record<string, number>
}

export function drillSums(drill: Drill): DrillSums {
  const { phase = 'Waiting', message = '', outcome } = drill.status ?? {}
  const shares = outcome?.ledger?.shares ?? []
  return {
    drill: drillTitle(drill),
    phase,
    message,
    detectedSeconds: outcome?.detectedSeconds,
    recoveredSeconds: outcome?.recoveredSeconds,
    attempts: outcome?.attempts ?? 0,
    lostSeconds: outcome?.lostSeconds ?? 0,
    ledger: Object.fromEntries(shares.map(({ bucket, seconds }) => [bucket, seconds])),
  }
}

/** How a report calls it. */
export function drillTitle({ metadata: { name, namespace = 'default' } }: Drill): string {
  return namespace === 'default' ? name : `${namespace}/${name}`
}

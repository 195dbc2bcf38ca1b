import type { Draw } from '../draw.ts'
import type { Fault, History } from './history.ts'

/** A lid is closed, a machine is switched off until the morning: of few histories, and each costs as much as some others. */
const nightChance = 0.03
const hourMs = 3_600_000

/**
 * For hours nobody keeps the factory, and what comes later comes as much later: all of it is off, or work goes on without a
 * control plane, or the ledger alone is away. Two hours and more are over then, and sometimes a day.
 */
export function withNight(draw: Draw, history: History): History {
  if (!draw.chance(nightChance)) return history
  const { safetyMs, standbys, nodes } = history
  const atMs = Math.floor((safetyMs * draw.int(20, 90)) / 100)
  const forMs = Math.round(hourMs * draw.one([2, 3, 5, 30]) + draw.wait(hourMs))
  const who = draw.one(['all', 'all', 'control plane', 'ledger'] as const)
  const nodeFault = draw.one(['lose node', 'crash agent'] as const)
  const night: Fault[] = [{ kind: 'crash ledger', atMs, forMs }]
  if (who !== 'ledger')
    for (let each = 0; each <= standbys; each++) night.push({ kind: 'crash control', atMs: atMs + each, forMs })
  if (who === 'all') for (const { name: node } of nodes) night.push({ kind: nodeFault, atMs, forMs, node })
  const later = <T extends { atMs: number }>(one: T): T =>
    one.atMs > atMs + standbys ? { ...one, atMs: one.atMs + forMs } : one
  return {
    ...history,
    arrivals: history.arrivals.map(later),
    faults: [...history.faults.map(later), ...night],
    safetyMs: safetyMs + forMs,
  }
}

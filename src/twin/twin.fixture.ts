import type { NodeDescription } from '../agent/contract.ts'

/** A machine with four slots. */
export function nodeOf(name: string): NodeDescription {
  return {
    name,
    pool: 'local',
    labels: {},
    cpuMilli: 64_000,
    memoryBytes: 1e12,
    slots: 4,
    podsMax: 100,
    gpus: [],
    ports: { from: 20_000, to: 20_999 },
    address: '10.0.0.1',
    info: {},
  }
}

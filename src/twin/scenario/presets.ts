import type { FaultSpec, PresetName } from './scenario.ts'

type Causes = Readonly<Record<string, { count: number } & Pick<FaultSpec, 'kind' | 'lasts'>>>

/**
 * Causes of the 419 unexpected interruptions of Llama 3 405B's pre-training, by count: 16,384 H100 in 2,048 nodes over 54
 * days (arXiv 2407.21783, table 5; the counts, not the percentages printed beside them, add up). What each does to a node
 * is ours: broken hardware takes its node out, a fault outside of it ends the processes.
 */
const llama3Counts: Causes = {
  'faulty GPU': { count: 148, kind: 'node-loss', lasts: '24h' },
  HBM3: { count: 72, kind: 'node-loss', lasts: '24h' },
  software: { count: 54, kind: 'process-crash' },
  'switch or cable': { count: 35, kind: 'process-crash' },
  'host maintenance': { count: 32, kind: 'node-loss', lasts: '1h' },
  SRAM: { count: 19, kind: 'node-loss', lasts: '1h' },
  'GPU system processor': { count: 17, kind: 'node-loss', lasts: '1h' },
  NIC: { count: 7, kind: 'node-loss', lasts: '24h' },
  'NCCL watchdog': { count: 7, kind: 'hang' },
  'silent data corruption': { count: 6, kind: 'process-crash' },
  thermal: { count: 6, kind: 'node-loss', lasts: '1h' },
  SSD: { count: 3, kind: 'node-loss', lasts: '24h' },
  PSU: { count: 3, kind: 'node-loss', lasts: '24h' },
  chassis: { count: 2, kind: 'node-loss', lasts: '24h' },
  'IO board': { count: 2, kind: 'node-loss', lasts: '24h' },
  dependency: { count: 2, kind: 'process-crash' },
  CPU: { count: 2, kind: 'node-loss', lasts: '24h' },
  DRAM: { count: 2, kind: 'node-loss', lasts: '24h' },
}

/**
 * Failures of Meta's research clusters in 1,000 node-days, a node of eight A100 (arXiv 2410.21680): 6.50 on RSC-1 (16,000
 * accelerators), 2.34 on RSC-2 (8,000). Of what kind is not told apart: that each takes its node out for a day is ours.
 */
const perThousandNodeDays = (count: number) => ({
  causes: { 'node failure': { count, kind: 'node-loss', lasts: '24h' } } satisfies Causes,
  nodeDays: 1000,
})

const presets: Readonly<Record<PresetName, { causes: Causes; nodeDays: number }>> = {
  llama3: { causes: llama3Counts, nodeDays: 2048 * 54 },
  rsc1: perThousandNodeDays(6.5),
  rsc2: perThousandNodeDays(2.34),
}

/** The causes of a preset, with their rates times `scale`. */
export function presetOf(name: PresetName, scale: number): Record<string, FaultSpec> {
  const { causes, nodeDays } = presets[name]
  return Object.fromEntries(
    Object.entries(causes).map(([cause, { count, ...rest }]) => [
      cause,
      { ...rest, perNodeDay: (count / nodeDays) * scale },
    ]),
  )
}

import type { FaultSpec, PresetName } from './cause.ts'

type Effect = Pick<
  FaultSpec,
  'capacityType' | 'kind' | 'lasts' | 'latency' | 'lemons' | 'notice' | 'reach' | 'share' | 'xid'
>
type Causes = Readonly<Record<string, { count: number } & Effect>>

/**
 * Causes of the 419 unexpected interruptions of Llama 3 405B's pre-training, by count: 16,384 H100 in 2,048 nodes over 54
 * days (arXiv 2407.21783, table 5; the counts, not the percentages printed beside them, add up). What each does to a node
 * is ours: broken hardware takes its node out, a fault outside of it ends the processes. Wrong results interrupted them, too: a
 * job that is to notice says `failurePolicy.lossSpike`.
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
  'silent data corruption': { count: 6, kind: 'silent-data-corruption' },
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
 * accelerators), 2.34 on RSC-2 (8,000). Of what kind is not told apart: that each takes its node out for a day is ours. 40 of
 * their 3,000 nodes were lemons, without which 4 % of the large jobs failed instead of 14 %: ten failures of fourteen were theirs.
 */
const lemonShare = 40 / 3000
const rscLemons = { share: lemonShare, times: Math.round((10 / 4) * ((1 - lemonShare) / lemonShare)) }
const perThousandNodeDays = (count: number) => ({
  causes: { 'node failure': { count, kind: 'node-loss', lasts: '24h', lemons: rscLemons } } satisfies Causes,
  nodeDays: 1000,
})

/**
 * XIDs of NVIDIA's driver by count, as DeepSeek's Fire-Flyer told them (arXiv 2408.14158): 10,000 A100 in 1,250 nodes. Over what
 * time is not known to us; we take a year. A node tells each by its number, and recovery does what NVIDIA's catalogue asks for
 * (`model/xids.ts`); how long a node is out then is `openAfter`. 43 is the application's own, which ends with it; 45 comes with
 * another, of which the counts do not say whether it is the same failure: it is drawn apart.
 */
const xid = (number: number, count: number) => ({
  [`XID ${number}`]: { count, kind: 'gpu-error', xid: number } as const,
})
const fireFlyerCounts: Causes = {
  ...xid(74, 5521),
  ...xid(43, 4342),
  ...xid(31, 2487),
  ...xid(63, 245),
  ...xid(45, 240),
  ...xid(13, 45),
  ...xid(79, 37),
  ...xid(95, 17),
  ...xid(94, 13),
  ...xid(48, 2),
  ...xid(64, 2),
  ...xid(119, 1),
}

/**
 * 6.3 spot nodes of eight H100 of a thousand are taken back a day: the 15 to 20 % a month of AWS's Spot Instance Advisor in February
 * 2026, as others read it. Two minutes before it says so. That another comes after an hour is ours.
 */
const spotCounts: Causes = {
  reclaim: { count: 6.3, capacityType: 'spot', kind: 'node-loss', notice: '2m', lasts: '1h' },
}

/** Hosts that were serviced under Llama 3's pre-training, of which a notice is given; how long before, and for how long, is ours. */
const maintenanceCounts: Causes = {
  'host maintenance': { count: 32, kind: 'node-loss', notice: '10m', lasts: '1h' },
}

/**
 * Failures that come together. Near 100,000 accelerators Meta FT-HSDP (arXiv 2602.00277) counted 2.3 failures in 1,000 servers and
 * day, and yet was interrupted every 18 minutes, which are 6.5 in 1,000: about three times as often. So nodes fail by
 * themselves 2.3 times, and what is left are shocks of what they share. How these are split over racks, blocks and zones, what each
 * does and how much of one it takes is ours.
 */
const shockCounts: Causes = {
  'node failure': { count: 2.3, kind: 'node-loss', lasts: '24h' },
  'rack shock': { count: 0.6 * 4.2, kind: 'node-loss', reach: 'rack', share: 0.5, lasts: '1h' },
  'block shock': { count: 0.3 * 4.2, kind: 'network-partition', reach: 'block', lasts: '10m' },
  'zone shock': { count: 0.1 * 4.2, kind: 'node-loss', reach: 'zone', share: 0.5, lasts: '1h' },
}

const presets: Readonly<Record<PresetName, { causes: Causes; nodeDays: number }>> = {
  llama3: { causes: llama3Counts, nodeDays: 2048 * 54 },
  rsc1: perThousandNodeDays(6.5),
  rsc2: perThousandNodeDays(2.34),
  'fire-flyer': { causes: fireFlyerCounts, nodeDays: 1250 * 365 },
  spot: { causes: spotCounts, nodeDays: 1000 },
  maintenance: { causes: maintenanceCounts, nodeDays: 2048 * 54 },
  shocks: { causes: shockCounts, nodeDays: 1000 },
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

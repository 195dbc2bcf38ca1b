import { label } from './names.ts'

/** Levels of the fabric, widest first. `nvlink` is a domain of nodes whose accelerators share memory (NVL72). */
export const levels = ['zone', 'block', 'rack', 'nvlink', 'node'] as const
export type Level = (typeof levels)[number]

/** A node is a domain of its own, the narrowest. */
export const nodeLevel = levels.indexOf('node')

/**
 * Node labels that say where a node is, by level; the first that it carries counts. Sources: the clouds' and NVIDIA's
 * own labels, and topograph's tiers (0 is the nearest).
 */
export const labelsOf: Readonly<Record<Level, readonly string[]>> = {
  zone: [label.zone],
  block: [label.block, 'cloud.google.com/gce-topology-block', 'fabric.topograph.run/tier-1'],
  rack: [label.rack, 'cloud.google.com/gce-topology-subblock', 'fabric.topograph.run/tier-0'],
  nvlink: ['nvidia.com/gpu.clique', 'accelerator.topograph.run/domain'],
  node: [label.hostname],
}

/** What of this level a node with these labels is in; undefined: nobody says. */
export function domainIn(labels: Readonly<Record<string, string | undefined>>, level: Level): string | undefined {
  return labelsOf[level].map((one) => labels[one]).find((value) => value !== undefined)
}

/** The level that a topology names, by its own name or by one of its labels; undefined for another label. */
export function levelNamed(name: string): number | undefined {
  const index = levels.findIndex((level) => level === name || labelsOf[level].includes(name))
  return index < 0 ? undefined : index
}

import { label } from '../model/names.ts'

/** Levels of the fabric above the node, widest first. `nvlink` is a domain of nodes whose accelerators share memory (NVL72). */
export const levels = ['zone', 'block', 'rack', 'nvlink'] as const
export type Level = (typeof levels)[number]

/**
 * Node labels that say where a node is, by level; the first that it carries counts. Sources: the clouds' and NVIDIA's
 * own labels, and topograph's tiers (0 is the nearest).
 */
const labelsOf: Readonly<Record<Level, readonly string[]>> = {
  zone: [label.zone],
  block: [label.block, 'cloud.google.com/gce-topology-block', 'fabric.topograph.run/tier-1'],
  rack: [label.rack, 'cloud.google.com/gce-topology-subblock', 'fabric.topograph.run/tier-0'],
  nvlink: ['nvidia.com/gpu.clique', 'accelerator.topograph.run/domain'],
}

/** Where a node is: its domain's name at each level, '' where its labels do not say. */
export function placeOf(labels: Readonly<Record<string, string>>): string[] {
  return levels.map((level) => {
    const name = labelsOf[level].find((one) => labels[one] !== undefined)
    return name === undefined ? '' : (labels[name] ?? '')
  })
}

/** The level that a topology constraint names, by its own name or by one of its labels; undefined for another label. */
export function levelNamed(name: string): number | undefined {
  const index = levels.findIndex((level) => level === name || labelsOf[level].includes(name))
  return index < 0 ? undefined : index
}

/** A contiguous run of nodes in the order of the fabric. */
export interface Domain {
  level: number
  /** Among the domains of its level. */
  index: number
  name: string
  from: number
  /** Behind its last node. */
  to: number
  /** False for the rest of nodes whose labels do not say: they are in no domain together. */
  isReal: boolean
  children: Domain[]
}

export interface Fabric {
  /** By level; each in the order of nodes. */
  domains: readonly (readonly Domain[])[]
  /** For each level, the index of each node's domain. */
  domainOf: readonly Int32Array[]
}

export interface Placed {
  place: readonly string[]
  name: string
}

/** Nodes near each other come near each other: by domain from the widest level down, then by name. */
export function inFabricOrder<N extends Placed>(nodes: Iterable<N>): N[] {
  return [...nodes].sort((a, b) => {
    for (let level = 0; level < levels.length; level++) {
      const order = compare(a.place[level] ?? '', b.place[level] ?? '')
      if (order !== 0) return order
    }
    return compare(a.name, b.name)
  })
}

/** `nodes` in fabric order. */
export function fabricOf(nodes: readonly Placed[]): Fabric {
  const domains: Domain[][] = levels.map(() => [])
  const domainOf = levels.map(() => new Int32Array(nodes.length))
  for (const [at, { place }] of nodes.entries()) {
    let isSame = at > 0
    let parent: Domain | undefined
    for (let level = 0; level < levels.length; level++) {
      const here = domains[level] ?? []
      const name = place[level] ?? ''
      isSame &&= nodes[at - 1]?.place[level] === name
      let domain = here[here.length - 1]
      if (domain === undefined || !isSame) {
        domain = { level, index: here.length, name, from: at, to: at, isReal: name !== '', children: [] }
        here.push(domain)
        parent?.children.push(domain)
      }
      domain.to = at + 1
      const indexes = domainOf[level]
      if (indexes !== undefined) indexes[at] = domain.index
      parent = domain
    }
  }
  return { domains, domainOf }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

import { labelsOf, levels, nodeLevel } from '../../model/fabric.ts'
import { compare } from '../compare.ts'

/** Levels of domains above the node, widest first. */
const named = levels.slice(0, nodeLevel)

/** Where a node is: its domain's name at each level above it, '' where its labels do not say. */
export function placeOf(labels: Readonly<Record<string, string>>): string[] {
  return named.map((level) => {
    const name = labelsOf[level].find((one) => labels[one] !== undefined)
    return name === undefined ? '' : (labels[name] ?? '')
  })
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
    for (let level = 0; level < nodeLevel; level++) {
      const order = compare(a.place[level] ?? '', b.place[level] ?? '')
      if (order !== 0) return order
    }
    return compare(a.name, b.name)
  })
}

/** `nodes` in fabric order; each is a domain of its own at the narrowest level. */
export function fabricOf(nodes: readonly Placed[]): Fabric {
  const domains: Domain[][] = levels.map(() => [])
  const domainOf = levels.map(() => new Int32Array(nodes.length))
  for (const [at, { place, name: node }] of nodes.entries()) {
    let isSame = at > 0
    let parent: Domain | undefined
    for (let level = 0; level < levels.length; level++) {
      const here = domains[level] ?? []
      const name = level === nodeLevel ? node : (place[level] ?? '')
      isSame &&= level < nodeLevel && nodes[at - 1]?.place[level] === name
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

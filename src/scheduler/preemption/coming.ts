import type { Claim } from '../fleet/nodes.ts'

/** By node, what those who leave give back of what members share: accelerators are named one by one. */
export type Coming = Map<string, Pick<Claim, 'cpuMilli' | 'memoryBytes'>>

export function comingFrom(claims: Iterable<Claim>): Coming {
  const coming: Coming = new Map()
  for (const { node, cpuMilli, memoryBytes } of claims) {
    const before = coming.get(node) ?? { cpuMilli: 0, memoryBytes: 0 }
    coming.set(node, { cpuMilli: before.cpuMilli + cpuMilli, memoryBytes: before.memoryBytes + memoryBytes })
  }
  return coming
}

/** What the claim takes of the node beside what is coming, of which it takes its part. */
export function lessBy(coming: Coming, claim: Claim): Claim {
  const node = coming.get(claim.node)
  if (node === undefined) return claim
  const [cpuMilli, memoryBytes] = [
    Math.min(node.cpuMilli, claim.cpuMilli),
    Math.min(node.memoryBytes, claim.memoryBytes),
  ]
  coming.set(claim.node, { cpuMilli: node.cpuMilli - cpuMilli, memoryBytes: node.memoryBytes - memoryBytes })
  return { ...claim, cpuMilli: claim.cpuMilli - cpuMilli, memoryBytes: claim.memoryBytes - memoryBytes }
}

import type { Gang } from '../../model/kinds/gang.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { NodeState } from '../fleet/nodes.ts'
import type { QuotaTree } from '../quota/tree.ts'
import type { Placed } from './search.ts'
import { claimsOf } from './seats.ts'

/** Whether something is kept for it while others leave. */
export function isHeld({ spec, status }: Gang): boolean {
  return status?.hold?.attempt === spec.attempt
}

/** Those who still are to leave for what is kept for a gang. */
type LeaversFor = (gang: string) => readonly string[]

/**
 * What is kept for the gang, if it can sit just there now: nodes take work, nobody else holds anything of it, and its
 * queue may hold as much. Others left for these very seats; room found anew is as good, but need not be found.
 */
export function heldPlaces(
  fleet: Fleet,
  quota: QuotaTree,
  gang: Gang,
  leaversFor: LeaversFor = () => [],
): Placed[] | undefined {
  const { spec, status } = gang
  const hold = status?.hold
  if (hold === undefined || !isHeld(gang)) return undefined
  const placed = claimsOf(gang, hold, fleet.modelOf).flatMap(([, claim], index) => {
    const node = fleet.nodes.get(claim.node)
    const group = spec.groups.findIndex(({ name }) => name === hold.members[index]?.group)
    return node === undefined || group < 0 ? [] : [{ group, node, claim }]
  })
  if (placed.length < hold.members.length || !placed.every(({ claim, node }) => isFreeBut(claim, node, leaversFor)))
    return undefined
  if (placed.some(({ claim }) => quota.available(spec.queue, claim.model) < 0)) return undefined
  const isWhole = spec.groups.every(({ min, max }, index) => {
    const members = placed.filter(({ group }) => group === index).length
    return members >= min && members <= max
  })
  return isWhole ? placed : undefined
}

/** The claim itself is counted already. */
function isFreeBut({ devices, ports }: Placed['claim'], node: NodeState, leaversFor: LeaversFor): boolean {
  if (node.closed !== undefined || node.cpuMilliFree < 0 || node.memoryBytesFree < 0) return false
  if (ports.some((port) => (node.portsUsed.get(port) ?? 0) > 1)) return false
  return devices.every(({ id }) => {
    const device = node.devices.get(id)
    if (device?.healthy !== true) return false
    return device.usedMilli <= 1000 || device.usedMilli - countedTwice(node, id, leaversFor) <= 1000
  })
}

/** What some still hold of the device, and is kept for those for whom they leave. */
function countedTwice(node: NodeState, device: string, leaversFor: LeaversFor): number {
  const held = new Map<string, number>()
  for (const { gang, devices } of node.claims.values()) {
    const { milli = 0 } = devices.find(({ id }) => id === device) ?? {}
    if (gang !== undefined && milli > 0) held.set(gang, (held.get(gang) ?? 0) + milli)
  }
  const leavers = new Set<string>()
  let kept = 0
  for (const [gang, milli] of held) {
    const ofIt = leaversFor(gang).filter((one) => held.has(one))
    for (const one of ofIt) leavers.add(one)
    if (ofIt.length > 0) kept += milli
  }
  return Math.min(
    kept,
    [...leavers].reduce((sum, one) => sum + (held.get(one) ?? 0), 0),
  )
}

import { assert } from '../../base/errors.ts'
import type { Seat } from '../../model/kinds/gang.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { bankFor, type Claim, type DeviceState, type NodeState } from '../fleet/nodes.ts'
import type { Occupant } from '../fleet/pod-terms.ts'
import type { Demand } from '../fleet/rooms.ts'

/** For whom a claim is counted. */
export interface Claimant {
  gang: string
  queue: string
  occupant: Occupant | undefined
}

/** What one more member of the demand takes of the node, which has the room. */
export function claimOn(fleet: Fleet, node: NodeState, demand: Demand, claimant: Claimant): Claim {
  return {
    node: node.name,
    model: bankFor(node, demand.model)[0]?.model ?? demand.model,
    devices: pickDevices(fleet, node, demand),
    cpuMilli: demand.cpuMilli,
    memoryBytes: demand.memoryBytes,
    ports: pickPorts(node, demand.ports),
    ...claimant,
  }
}

/** What a member that stays where it runs goes on holding. */
export function claimOf(seat: Seat, node: NodeState, demand: Demand, claimant: Claimant): Claim {
  const device = seat.devices[0]
  return {
    node: seat.node,
    model: (device === undefined ? undefined : node.devices.get(device.id)?.model) ?? demand.model,
    devices: seat.devices,
    cpuMilli: demand.cpuMilli,
    memoryBytes: demand.memoryBytes,
    ports: seat.ports,
    ...claimant,
  }
}

/** Whole devices in the node's order; a share goes where packing wants it, the first of those. */
function pickDevices(fleet: Fleet, node: NodeState, demand: Demand): Claim['devices'] {
  const { whole, milli, model } = demand
  const devices = bankFor(node, model)
  const picked: { id: string; milli: number }[] = []
  for (const one of devices) {
    if (picked.length === whole) break
    if (one.healthy && one.usedMilli <= 0) picked.push({ id: one.id, milli: 1000 })
  }
  assert(picked.length === whole, `node ${node.name} has fewer free devices than were counted`)
  if (milli === 0) return picked
  const isOpen = ({ id, healthy, usedMilli }: DeviceState) =>
    healthy && usedMilli + milli <= 1000 && !picked.some((taken) => taken.id === id)
  const holes = whole > 0 ? undefined : fleet.holesFor(node, demand)
  const share =
    devices.find((one) => isOpen(one) && holes?.includes(1000 - Math.max(0, one.usedMilli))) ?? devices.find(isOpen)
  assert(share !== undefined, `node ${node.name} has no device left for a share that was counted`)
  return [...picked, { id: share.id, milli }]
}

function pickPorts(node: NodeState, count: number): number[] {
  if (node.ports === undefined) return []
  const ports = freePorts(node, count)
  assert(ports.length === count, `node ${node.name} has fewer free ports than were counted`)
  return ports
}

/** These ports of the node, or where others hold some of them as many others; undefined when fewer are free. */
export function portsInstead(node: NodeState, ports: readonly number[]): readonly number[] | undefined {
  if (!ports.some((port) => node.portsUsed.has(port))) return ports
  const others = freePorts(node, ports.length)
  return others.length === ports.length ? others : undefined
}

/** So many, or as many as there are. */
function freePorts(node: NodeState, count: number): number[] {
  const range = node.ports
  if (range === undefined) return []
  const size = range.to - range.from + 1
  const ports: number[] = []
  for (let tried = 0; tried < size && ports.length < count; tried++) {
    const port = range.from + ((node.nextPort - range.from + tried) % size)
    if (!node.portsUsed.has(port)) ports.push(port)
  }
  return ports
}

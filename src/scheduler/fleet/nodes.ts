import { isGeneric, isMeant } from '../../model/accelerators.ts'
import type { CapacityType } from '../../model/capacity.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Occupant } from './pod-terms.ts'

/** What one pod holds of one node. */
export interface Claim {
  node: string
  model: string
  devices: readonly { id: string; milli: number }[]
  cpuMilli: number
  memoryBytes: number
  ports: readonly number[]
  gang?: string | undefined
  queue?: string | undefined
  /** How others see it; left out where nobody looks. */
  occupant?: Occupant | undefined
}

/** Milli-accelerators that it holds. */
export function heldMilli({ devices }: Pick<Claim, 'devices'>): number {
  let milli = 0
  for (const device of devices) milli += device.milli
  return milli
}

export interface DeviceState {
  id: string
  model: string
  /** What CUDA_VISIBLE_DEVICES calls it. */
  visible: string
  healthy: boolean
  usedMilli: number
}

export interface NodeState {
  name: string
  object: Node
  /** Its position in `Fleet.order`; meaningless until the fleet was laid out. */
  index: number
  /** The names of its domains, widest level first. */
  place: readonly string[]
  labels: Readonly<Record<string, string>>
  /** How it is paid for. */
  capacityType: CapacityType
  /** Why nothing new may start here; undefined when it may. */
  closed: string | undefined
  address: string
  devices: Map<string, DeviceState>
  /** The same by model, in the node's order. */
  banks: Map<string, readonly DeviceState[]>
  cpuMilli: number
  cpuMilliFree: number
  memoryBytes: number
  memoryBytesFree: number
  ports: { from: number; to: number } | undefined
  portsUsed: Map<number, number>
  /** Its accelerators are slices of some (MIG): they are given whole. */
  isSliced: boolean
  /** How many pods it may run, where it says so; every claim is one. */
  podsMax: number | undefined
  /** Ports are given in turn, so that a port that was just freed rests before it is used again. */
  nextPort: number
  claims: Map<string, Claim>
}

/** The node's accelerators of a model. Of several that may be meant (any GPU), the first that the node has. */
export function bankFor(node: NodeState, model: string): readonly DeviceState[] {
  const bank = node.banks.get(model)
  if (bank !== undefined || !isGeneric(model)) return bank ?? []
  for (const [name, devices] of node.banks) if (isMeant(model, name)) return devices
  return []
}

/** The node by itself: what is tried on it changes no other. */
export function copyOf(node: NodeState): NodeState {
  const devices = new Map([...node.devices.values()].map((device) => [device.id, { ...device }]))
  const banks = new Map(
    [...node.banks].map(([model, bank]) => [model, bank.flatMap(({ id }) => devices.get(id) ?? [])]),
  )
  return { ...node, devices, banks, portsUsed: new Map(node.portsUsed), claims: new Map(node.claims) }
}

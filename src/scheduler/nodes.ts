import type { Node } from '../model/kinds/kubernetes.ts'
import type { Fabric } from './fabric.ts'
import type { Packing, PackingState } from './packing/packing.ts'

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
  /** What packing makes of it, until it changes. */
  packed: { model: string; by: object; state: PackingState } | undefined
  /** Ports are given in turn, so that a port that was just freed rests before it is used again. */
  nextPort: number
  claims: Map<string, Claim>
}

/** A size of member that needs so many whole accelerators of a node, and how many of it to expect per free accelerator. */
export interface Large {
  size: number
  perAccelerator: number
}

/** What is computed from the fleet follows it through this. */
export interface LaidOut {
  /** Nodes by their `index`, in the order of the fabric. */
  readonly order: readonly NodeState[]
  readonly fabric: Fabric
  /** Rises with every new order, and with every new journal. */
  readonly layout: number
  /** Every node whose free room changed since `layout` rose, in the order of the changes. */
  readonly touched: readonly number[]
}

export interface Packed extends LaidOut {
  readonly packing: Packing
  /** Sizes of members that whole nodes are kept for, largest first. */
  readonly large: readonly Large[]
  /** Bits of the sizes in `large` of which no more nodes are left than are expected to be needed. */
  scarce(): number
  /** 0 to 3: how little of the fabric is broken open by using the node. */
  inUse(node: NodeState): number
}

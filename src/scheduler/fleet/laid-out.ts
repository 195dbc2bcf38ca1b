import type { Shape } from '../packing/typical.ts'
import type { Fabric } from './fabric.ts'
import type { Free } from './free.ts'
import type { Journal } from './journal.ts'
import type { NodeState } from './nodes.ts'
import type { Places } from './places.ts'

/** What is computed from the fleet follows it through this. */
export interface LaidOut {
  /** Nodes by their `index`, in the order of the fabric. */
  readonly order: readonly NodeState[]
  readonly fabric: Fabric
  /** Every node whose free room changed; a new one with every new order. */
  readonly journal: Journal
  readonly free: Free
  /** The same, were all nodes empty. */
  readonly capacity: Free
  /** By node: 1 where it takes only members that tolerate something. */
  readonly isTainted: Uint8Array
  /** Whether some node is rather to be avoided (PreferNoSchedule). */
  readonly hasSoftTaints: boolean
  /** Whether they are not all paid for in one way. */
  readonly hasCapacityTypes: boolean
}

export interface Packed extends LaidOut {
  /** Bits of those in `large` of which no more fit than are expected to come. */
  scarce(): number
  /** By node, 0 to 3: how little of the fabric is broken open by using it: 1 for its block, 2 for its rack being in use. */
  readonly inUse: Uint8Array
  /** The state of each node, as packing sees its accelerators of the model. */
  states(model: string): Int32Array
  /** What the states are worth to members of the shape. */
  places(name: string, shape: Shape): Places
}

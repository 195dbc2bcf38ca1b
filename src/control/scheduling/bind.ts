import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import { bindingAnnotations } from '../../model/pods.ts'
import { refOf } from '../../model/refs.ts'
import { visibleDevices } from '../../scheduler/fleet/read-node.ts'
import type { Store } from '../../store/contract.ts'

/** Carries committed seats out: repeatable, and whoever finds a seated gang with unbound pods does it. */
export async function bindMembers(
  store: Store,
  gang: Gang,
  pods: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
): Promise<void> {
  const seats = gang.status?.seats
  if (seats === undefined || seats.attempt !== gang.spec.attempt || gang.spec.suspend) return
  const seatOf = new Map(seats.members.map((seat) => [seat.pod, seat]))
  const bindings: Promise<unknown>[] = []
  for (const pod of pods) {
    const seat = seatOf.get(pod.metadata.name)
    if (seat === undefined || !isUnbound(pod)) continue
    bindings.push(bindOne(store, pod, seat, bindingAnnotations(seats, seat, visibleOn(nodeOf(seat.node), seat))))
  }
  await Promise.all(bindings)
}

/** Every outcome is fine: bound by somebody before us, gone, or changed in a moment that brings us back. */
function bindOne(store: Store, pod: Pod, seat: Seat, annotations: Record<string, string>): Promise<unknown> {
  const { uid, resourceVersion } = pod.metadata
  return store.bind(refOf(pod), { node: seat.node, annotations, uid, resourceVersion })
}

function isUnbound(pod: Pod): boolean {
  return pod.spec.nodeName === undefined && pod.metadata.deletionTimestamp === undefined
}

function visibleOn(node: Node | undefined, seat: Seat): string {
  return node === undefined
    ? ''
    : visibleDevices(
        node,
        seat.devices.map((device) => device.id),
      )
}

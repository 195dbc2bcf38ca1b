import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { peersOf } from '../../model/peers.ts'
import { bindingAnnotations } from '../../model/pods.ts'
import { refOf } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import { readWork } from '../../model/work.ts'
import { visibleDevices } from '../../scheduler/fleet/read-node.ts'
import type { Store } from '../../store/contract.ts'
import { startsAtOnce } from '../gangs.ts'

/**
 * Carries committed seats out, of a gang that starts at once when all of its pods are made: repeatable, and whoever finds a seated gang with unbound pods does it. `assume` hears how
 * each pod will be once bound, before that is asked for, and says how to take that back where it was refused.
 */
export async function bindMembers(
  store: Store,
  gang: Gang,
  pods: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
  assume: (bound: Pod) => () => void,
): Promise<void> {
  const seats = seatsNow(gang)
  if (seats === undefined || gang.spec.suspend) return
  const seatOf = new Map(seats.members.map((seat) => [seat.pod, seat]))
  const seated = pods.filter((pod) => seatOf.has(pod.metadata.name))
  if (startsAtOnce(gang) && seated.length < seatOf.size) return
  const waiting = seated.filter(isUnbound)
  // Those of one attempt are all asked for the same.
  const peers = wantsPeer(waiting[0])
    ? peersOf(seats.members, (node) => nodeOf(node)?.metadata.labels)
    : new Map<string, string>()
  const bindings: Promise<unknown>[] = []
  for (const pod of waiting) {
    const seat = seatOf.get(pod.metadata.name)
    if (seat === undefined) continue
    const { node } = seat
    const annotations = bindingAnnotations(seats, seat, visibleOn(nodeOf(node), seat), peers.get(node))
    bindings.push(bindOne(store, pod, node, annotations, assume))
  }
  await Promise.all(bindings)
}

/** Whether what it writes is to be in the memory of a second node. */
function wantsPeer(pod: Pod | undefined): boolean {
  const work = readWork(pod?.metadata.annotations?.[annotation.work])
  return typeof work !== 'string' && (work.copies ?? 0) > 1
}

/** Every outcome is fine: bound by somebody before us, gone, or changed in a moment that brings us back. */
async function bindOne(
  store: Store,
  pod: Pod,
  node: string,
  annotations: Record<string, string>,
  assume: (bound: Pod) => () => void,
): Promise<void> {
  const { metadata, spec } = pod
  const all = { ...metadata.annotations, ...annotations }
  const takeBack = assume({ ...pod, metadata: { ...metadata, annotations: all }, spec: { ...spec, nodeName: node } })
  const { uid, resourceVersion } = metadata
  const outcome = await store.bind(refOf(pod), { node, annotations, uid, resourceVersion })
  if (typeof outcome === 'string') takeBack()
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

import { assert } from '../../base/errors.ts'
import { isMeant } from '../../model/accelerators.ts'
import type { Gang, Seat } from '../../model/kinds/gang.ts'
import { podNameOf } from '../../model/names.ts'
import { keyOf } from '../../model/refs.ts'
import type { Seats } from '../contract.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { Claim } from '../fleet/nodes.ts'
import { occupantOf } from '../fleet/pod-terms.ts'
import type { Placed } from './search.ts'

/** Where torchrun's rendezvous listens on nodes that have no port range of ours, as torchrun's own default. */
const defaultMasterPort = 29_500

/** Gives ranks: groups in order, within a group by node and then by device, so that neighbours in rank are neighbours. */
export function seatsOf(gang: Gang, placed: readonly Placed[]): Seats {
  const ordered = placed.toSorted(
    (a, b) => a.group - b.group || a.node.index - b.node.index || deviceIndex(a) - deviceIndex(b),
  )
  const inGroup: number[] = []
  const onNode = new Map<string, number>()
  const members = ordered.map((one, rank): Seat => {
    const index = inGroup[one.group] ?? 0
    inGroup[one.group] = index + 1
    // A member sees only its own GPUs, so its device ordinal is 0 wherever it sits; slots are all alike.
    const before = onNode.get(one.node.name) ?? 0
    const localRank = one.claim.model === 'cpu' ? before : 0
    onNode.set(one.node.name, before + 1)
    const group = gang.spec.groups[one.group]
    assert(group !== undefined, 'a placed member belongs to a group')
    return {
      pod: podNameOf(gang.metadata.name, group.name, index, gang.spec.attempt),
      group: group.name,
      rank,
      localRank,
      node: one.node.name,
      devices: [...one.claim.devices],
      ...(saysModel(group, one.claim.model) ? {} : { model: one.claim.model }),
      ports: [...one.claim.ports],
    }
  })
  const first = members[0]
  const firstNode = ordered[0]?.node
  assert(first !== undefined && firstNode !== undefined, 'a gang has at least one member')
  const speed = speedOf(gang, placed)
  return {
    attempt: gang.spec.attempt,
    masterAddr: firstNode.address,
    masterPort: first.ports[0] ?? defaultMasterPort,
    ...(speed === 1 ? {} : { speed }),
    members,
  }
}

/** All wait for the slowest. */
function speedOf({ spec }: Gang, placed: readonly Placed[]): number {
  let slowest = Number.POSITIVE_INFINITY
  for (const { group, claim } of placed) {
    const accelerators = spec.groups[group]?.accelerators ?? []
    const one = accelerators.find(({ model }) => isMeant(model, claim.model)) ?? accelerators[0]
    slowest = Math.min(slowest, one?.speed ?? 1)
  }
  return slowest
}

/** What each member of seats claims, by the pod's key. The same whether the seats were just decided or read back. */
export function claimsOf(gang: Gang, seats: Pick<Seats, 'members'>, onNode: Fleet['modelOf']): [string, Claim][] {
  const { metadata, spec } = gang
  const [key, namespace] = [keyOf(gang), metadata.namespace ?? 'default']
  const occupants = spec.groups.map((group) => occupantOf(gang, group))
  return seats.members.map((member) => {
    const index = spec.groups.findIndex(({ name }) => name === member.group)
    const group = spec.groups[index]
    const claim: Claim = {
      node: member.node,
      model: modelOf(member, onNode) ?? group?.accelerators[0]?.model ?? 'cpu',
      devices: member.devices,
      cpuMilli: group?.cpuMilli ?? 0,
      memoryBytes: group?.memoryBytes ?? 0,
      ports: member.ports,
      gang: key,
      queue: spec.queue,
      occupant: occupants[index],
    }
    return [`${namespace}/${member.pod}`, claim]
  })
}

/** Of which model its devices are, as the seat says or the node; undefined: its group's, which asks for no other. */
export function modelOf({ node, devices: [first], model }: Seat, onNode: Fleet['modelOf']): string | undefined {
  return model ?? (first === undefined ? undefined : onNode(node, first.id))
}

/** Whether all its members can only be on this model. */
function saysModel({ accelerators }: Gang['spec']['groups'][number], model: string): boolean {
  return accelerators.length <= 1 && (accelerators[0]?.model ?? 'cpu') === model
}

function deviceIndex(placed: Placed): number {
  const first = placed.claim.devices[0]
  return first === undefined ? 0 : [...placed.node.devices.keys()].indexOf(first.id)
}

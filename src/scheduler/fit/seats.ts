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
  const inGroup: number[] = []
  const onNode = new Map<string, Set<number>>()
  const ordered = inOrder(placed)
  const members = ordered.map((one, rank): Seat => {
    const index = inGroup[one.group] ?? 0
    inGroup[one.group] = index + 1
    return seatAt(gang, one, { index, rank, onNode })
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
    ...(gang.spec.rejoins === true ? { made: members.length, size: members.length } : {}),
  }
}

/**
 * Its seats and some more, in the same attempt. Those who come take the ranks that are free, lowest first, and names that
 * none had before. They find the others where the lowest rank listens.
 */
export function seatsJoined(gang: Gang, placed: readonly Placed[], addressOf: (node: string) => string): Seats {
  const seats = gang.status?.seats
  assert(seats !== undefined, 'whoever is joined has seats')
  const taken = new Set(seats.members.map(({ rank }) => rank))
  const onNode = new Map<string, Set<number>>()
  for (const { node, localRank } of seats.members)
    onNode.set(node, (onNode.get(node) ?? new Set<number>()).add(localRank))
  let made = seats.made ?? seats.members.length
  let rank = 0
  const joining = inOrder(placed).map((one): Seat => {
    while (taken.has(rank)) rank++
    taken.add(rank)
    return { ...seatAt(gang, one, { index: made++, rank, onNode }), joined: true }
  })
  const members = [...seats.members, ...joining].sort((a, b) => a.rank - b.rank)
  const isJoining = new Set(joining)
  const first = members.find((one) => !isJoining.has(one)) ?? members[0]
  assert(first !== undefined, 'a gang has at least one member')
  const speed = Math.min(seats.speed ?? 1, speedOf(gang, placed))
  return {
    attempt: gang.spec.attempt,
    masterAddr: addressOf(first.node),
    masterPort: first.ports[0] ?? defaultMasterPort,
    ...(speed === 1 ? {} : { speed }),
    members,
    made,
    size: Math.max(seats.size ?? 0, members.length),
  }
}

function inOrder(placed: readonly Placed[]): Placed[] {
  return placed.toSorted((a, b) => a.group - b.group || a.node.index - b.node.index || deviceIndex(a) - deviceIndex(b))
}

interface At {
  /** Its number in its group. */
  index: number
  rank: number
  /** The local ranks of those of the gang that sit on a node already. */
  onNode: Map<string, Set<number>>
}

function seatAt(gang: Gang, { node, claim, group: at }: Placed, { index, rank, onNode }: At): Seat {
  // A member sees only its own GPUs, so its device ordinal is 0 wherever it sits; slots are all alike.
  const localRank = claim.model === 'cpu' ? freeOf(onNode.get(node.name)) : 0
  onNode.set(node.name, (onNode.get(node.name) ?? new Set<number>()).add(localRank))
  const group = gang.spec.groups[at]
  assert(group !== undefined, 'a placed member belongs to a group')
  return {
    pod: podNameOf(gang.metadata.name, group.name, index, gang.spec.attempt),
    group: group.name,
    rank,
    localRank,
    node: node.name,
    devices: [...claim.devices],
    ...(saysModel(group, claim.model) ? {} : { model: claim.model }),
    ports: [...claim.ports],
    ...(gang.spec.rejoins === true ? { address: node.address } : {}),
  }
}

/** As many as are taken, where that is free: it is not where somebody has left. */
function freeOf(taken: ReadonlySet<number> = new Set()): number {
  let free = taken.size
  while (taken.has(free)) free--
  return free
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

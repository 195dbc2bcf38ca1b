import { compare } from '../compare.ts'
import { give, take } from '../fleet/fleet.ts'
import { bankFor, type Claim, copyOf, type NodeState } from '../fleet/nodes.ts'
import { type Demand, roomFor } from '../fleet/rooms.ts'
import type { Movable, Movables } from './movable.ts'

/** Those who would have to leave a node so that it has room for one member more. */
export interface Clearing {
  node: NodeState
  gangs: readonly Movable[]
  /** GPU-seconds that their moving loses. */
  price: number
}

interface Holder {
  gang: Movable
  claims: [string, Claim][]
}

/**
 * For one member more, for another, and so on up to `most`, each time for the least price: one gang if that is enough,
 * else of the cheapest those that are needed. Tried on a copy of the node.
 */
export function clearingsOf(node: NodeState, demand: Demand, movables: Movables, most: number): Clearing[] {
  const clearings: Clearing[] = []
  const holders = holdersOn(node, movables)
  if (holders.length === 0 || !couldHold(node, demand, holders)) return clearings
  const canMove = ({ gang }: Holder) => movables.hasRoomElsewhere(gang)
  const spare = copyOf(node)
  let left = holders
  while (clearings.length < most) {
    const gone = alone(spare, demand, left, canMove) ?? together(spare, demand, left.filter(canMove))
    if (gone === undefined) return clearings
    const gangs = gone.map(({ gang }) => gang)
    clearings.push({ node, gangs, price: gangs.reduce((sum, { price }) => sum + price, 0) })
    left = left.filter((holder) => !gone.includes(holder))
  }
  return clearings
}

/** The cheapest first. */
function holdersOn(node: NodeState, movables: Movables): Holder[] {
  const holders = new Map<string, Holder>()
  for (const [pod, claim] of node.claims) {
    const gang = claim.gang === undefined ? undefined : movables.get(claim.gang)
    if (gang === undefined) continue
    const holder = holders.get(gang.key) ?? { gang, claims: [] }
    holders.set(gang.key, holder)
    holder.claims.push([pod, claim])
  }
  return [...holders.values()].sort((a, b) => a.gang.price - b.gang.price || compare(a.gang.key, b.gang.key))
}

/** By the sum of what is free and what they hold: whether a member could fit, however it is spread over devices. */
function couldHold(node: NodeState, demand: Demand, holders: readonly Holder[]): boolean {
  let [cpuMilli, milli] = [node.cpuMilliFree, 0]
  for (const { usedMilli } of bankFor(node, demand.model)) milli += Math.max(0, 1000 - usedMilli)
  for (const { claims } of holders) {
    for (const [, claim] of claims) {
      cpuMilli += claim.cpuMilli
      for (const device of claim.devices) milli += device.milli
    }
  }
  return cpuMilli >= demand.cpuMilli && milli >= 1000 * demand.whole + demand.milli
}

function alone(
  node: NodeState,
  demand: Demand,
  holders: readonly Holder[],
  canMove: (holder: Holder) => boolean,
): Holder[] | undefined {
  const room = roomFor(node, demand)
  for (const holder of holders) {
    lift(node, holder)
    if (roomFor(node, demand) > room && canMove(holder)) return [holder]
    putBack(node, holder)
  }
  return undefined
}

function together(node: NodeState, demand: Demand, holders: readonly Holder[]): Holder[] | undefined {
  const room = roomFor(node, demand)
  const isEnough = () => roomFor(node, demand) > room
  const lifted: Holder[] = []
  for (const holder of holders) {
    lift(node, holder)
    lifted.push(holder)
    if (isEnough()) break
  }
  const isNeeded = (holder: Holder) => {
    putBack(node, holder)
    if (isEnough()) return false
    lift(node, holder)
    return true
  }
  if (isEnough()) return lifted.toReversed().filter(isNeeded)
  for (const holder of lifted) putBack(node, holder)
  return undefined
}

function lift(node: NodeState, { claims }: Holder): void {
  for (const [pod, claim] of claims) give(node, pod, claim)
}

function putBack(node: NodeState, { claims }: Holder): void {
  for (const [pod, claim] of claims) take(node, pod, claim)
}

import type { Gang } from '../../model/kinds/gang.ts'
import { Packing, roomyWeights, tightWeights, type Weights } from '../packing/packing.ts'
import { pricesOf, type SizeDemand } from '../packing/prices.ts'
import { nameOf, type Shape, type Typical, typicalOf } from '../packing/typical.ts'
import { requiredTerms } from './affinity.ts'
import type { Fleet } from './fleet.ts'
import { type Asked, held, type Large } from './places.ts'
import { modelsAllowed } from './ranking.ts'

/** Whether packing is to be learnt anew is asked when so many members came or went, and half of those that it was asked of last. */
const changesMin = 16

/** What members ask for, over all gangs that are known: packing keeps room for more of the same. */
export class Mix {
  readonly #shapes = new Map<string, { shape: Shape; members: number }>()
  readonly #gangs = new Map<string, Gang['spec']['groups']>()
  #changes = 0
  #learntFrom = 0
  #members = 0
  #isTight = false

  /** Notes a gang, or, without one, that it has gone. */
  set(key: string, gang: Gang | undefined): void {
    const before = this.#gangs.get(key)
    const groups = gang?.spec.groups
    if (before === groups) return
    if (before !== undefined) this.#count(before, -1)
    if (groups === undefined) this.#gangs.delete(key)
    else {
      this.#gangs.set(key, groups)
      this.#count(groups, 1)
    }
  }

  /** Brings the fleet's packing up to date, if what is asked for has changed enough, or how full the fleet is. */
  teach(fleet: Fleet): void {
    if (fleet.packing.isTooLarge(fleet.nodes.size)) fleet.packing = fleet.packing.fresh()
    this.#learn(fleet)
    if (fleet.packing.typical.length > 0) fleet.packing = fleet.packing.weighed(this.#weights(fleet))
  }

  /** Knowing the same gangs as another, has learnt what that one had learnt of them when it was last asked. */
  takeOver(other: Mix): void {
    this.#changes = other.#changes
    this.#learntFrom = other.#learntFrom
    this.#isTight = other.#isTight
  }

  #learn(fleet: Fleet): void {
    if (this.#changes < Math.max(changesMin, this.#learntFrom / 2)) return
    this.#changes = 0
    this.#learntFrom = this.#members
    const shapes = [...this.#shapes.values()].filter(({ members }) => members > 0)
    fleet.expectLarge(largeOf(shapes), askedBy(shapes))
    const typical = typicalOf(shapes.map(({ shape, members }) => [shape, members] as const))
    if (isAlike(fleet.packing.typical, typical)) return
    const accelerators = fleet.accelerators()
    fleet.packing = new Packing(typical, pricesOf(sizesOf(shapes, accelerators), accelerators), this.#weights(fleet))
  }

  #weights(fleet: Fleet): Weights {
    const free = fleet.acceleratorsFree() / Math.max(1, fleet.accelerators())
    this.#isTight = free < (this.#isTight ? roomyFrom : tightBelow)
    return this.#isTight ? tightWeights : roomyWeights
  }

  #count(groups: Gang['spec']['groups'], sign: 1 | -1): void {
    for (const group of groups) {
      const shape = shapeAsked(group)
      const name = nameOf(shape)
      const known = this.#shapes.get(name) ?? { shape, members: 0 }
      known.members += sign * group.max
      if (known.members === 0) this.#shapes.delete(name)
      else this.#shapes.set(name, known)
      this.#members += sign * group.max
      this.#changes += group.max
    }
  }
}

/** Free share of the accelerators below which it is tight, and from which it is roomy again: not one and the other in turn. */
const [tightBelow, roomyFrom] = [0.4, 0.5]

/**
 * Members of several accelerators need nodes where so many are idle at once, with the cores for them, and each such node that
 * a small member breaks open is lost to them. Of each kind, how many there are, larger ones included.
 */
function largeOf(shapes: readonly { shape: Shape; members: number }[]): Large[] {
  const asked = shapes
    .filter(({ shape }) => shape.count > 1)
    .sort(({ shape: a }, { shape: b }) => b.count - a.count || b.cpuMilli - a.cpuMilli)
  const kinds: Shape[] = []
  for (const { shape } of asked) {
    const last = kinds.at(-1)
    if (last?.count !== shape.count || shape.cpuMilli < alike * last.cpuMilli) kinds.push(shape)
  }
  return kinds.slice(0, largeMax).map(({ count, cpuMilli }) => {
    const least = { count, cpuMilli: alike * cpuMilli }
    const members = asked.reduce(
      (sum, { shape, members }) => sum + members * held(least, shape.count, shape.cpuMilli),
      0,
    )
    return { count, cpuMilli, members }
  })
}

function askedBy(shapes: readonly { shape: Shape; members: number }[]): Asked {
  const all = (of: (shape: Shape) => number) => shapes.reduce((sum, { shape, members }) => sum + of(shape) * members, 0)
  return { accelerators: all(({ count, milli }) => count * milli) / 1000, cpuMilli: all(({ cpuMilli }) => cpuMilli) }
}

/** So many kinds are looked after, the largest first. */
const largeMax = 12
/** Kinds whose cores differ by less are one. */
const alike = 0.8

/** Whether the shares of all shapes are within a few hundredths: not worth scoring every node anew. */
function isAlike(before: readonly Typical[], after: readonly Typical[]): boolean {
  const shares = new Map(before.map((one) => [nameOf(one), one.share]))
  let difference = 0
  for (const one of after) {
    const name = nameOf(one)
    difference += Math.abs(one.share - (shares.get(name) ?? 0))
    shares.delete(name)
  }
  for (const share of shares.values()) difference += share
  return difference <= differenceMax
}

const differenceMax = 0.1

/** By its first alternative; its models are those of all. */
function shapeAsked({ accelerators, cpuMilli, affinity }: Gang['spec']['groups'][number]): Shape {
  const count = accelerators[0]?.count ?? 0
  if (count === 0) return { cpuMilli, count: 0, milli: 0, models: undefined }
  const terms = requiredTerms(affinity)
  const allowed = accelerators.map(({ model }) => modelsAllowed(model, terms))
  const models = allowed.includes(undefined) ? undefined : allowed.flatMap((one) => one ?? [])
  if (count < 1) return { cpuMilli, count: 1, milli: Math.ceil(count * 1000 - 1e-9), models }
  return { cpuMilli, count: Math.ceil(count - 1e-9), milli: 1000, models }
}

/** How many of each size to expect when the fleet is full. */
function sizesOf(shapes: readonly { shape: Shape; members: number }[], accelerators: number): SizeDemand[] {
  const counts = new Map<number, number>()
  let demand = 0
  for (const { shape, members } of shapes) {
    if (shape.count === 0) continue
    counts.set(shape.milli, (counts.get(shape.milli) ?? 0) + shape.count * members)
    demand += (shape.count * shape.milli * members) / 1000
  }
  const scale = demand > 0 ? accelerators / demand : 0
  return [...counts].map(([milli, count]) => ({ milli, count: count * scale }))
}

import { levelNamed } from '../../model/fabric.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Topology } from '../../model/kinds/topology.ts'
import type { Slice } from '../fleet/rooms.ts'

/** A level of the fabric, or a label that is none: then whoever shares its value is together. */
export type Place = { level: number; name: string } | { label: string; name: string }

/** What has a place of its own: the gang, groups of it that belong together, one group. */
export interface Part {
  required: Place | undefined
  preferred: Place | undefined
  /** Indices of all groups in it. */
  groups: readonly number[]
  /** What it is made of; empty for one group. */
  parts: readonly Part[]
  /** Its groups are near each other, not only inside one domain: the first goes where it leaves room for the others. */
  isSet: boolean
}

/** How the members of one group are spread over the domains of their part. */
export interface Spreading {
  slices: readonly Slice[] | undefined
  /** The first of them, as it was written. */
  widest: { size: number; within: string } | undefined
  isBalanced: boolean
  isScattered: boolean
}

export function partsOf({ spec }: Gang): Part {
  const leaves = spec.groups.map((group, index) => part(group.topology, [index], []))
  const sets = spec.together ?? []
  if (sets.length === 0) return one(part(spec.topology, all(spec), leaves))
  const indexOf = new Map(spec.groups.map(({ name }, index) => [name, index]))
  const parts: Part[] = []
  const isIn = new Set<number>()
  for (const { groups, topology } of sets) {
    const inside = groups.flatMap((name) => indexOf.get(name) ?? []).filter((index) => !isIn.has(index))
    for (const index of inside) isIn.add(index)
    // The smallest first: one leader finds a place among workers, not the other way round.
    const ordered = inside.toSorted((a, b) => (spec.groups[a]?.max ?? 0) - (spec.groups[b]?.max ?? 0) || a - b)
    const set = part(
      topology,
      inside,
      ordered.flatMap((index) => leaves[index] ?? []),
    )
    if (inside.length > 0) parts.push({ ...set, isSet: true })
  }
  for (const [index, leaf] of leaves.entries()) if (!isIn.has(index)) parts.push(leaf)
  return part(spec.topology, all(spec), parts)
}

/** Whatever the group does not say itself, its set or the gang says for it. */
export function spreadingOf({ spec }: Gang, index: number): Spreading {
  const group = spec.groups[index]
  const set = spec.together?.find(({ groups }) => group !== undefined && groups.includes(group.name))
  if ((group?.topology ?? set?.topology ?? spec.topology) === undefined) return unsaid
  const said = [group?.topology, set?.topology, spec.topology].filter((topology) => topology !== undefined)
  const slices = said.find((topology) => topology.slices !== undefined)?.slices
  const [widest] = slices ?? []
  return {
    slices: slices === undefined ? undefined : slicesOf(slices),
    widest: widest === undefined ? undefined : { size: widest.size, within: widest.required },
    isBalanced: said.find((topology) => topology.balanced !== undefined)?.balanced === true,
    isScattered: said.find((topology) => topology.scattered !== undefined)?.scattered === true,
  }
}

const unsaid: Spreading = { slices: undefined, widest: undefined, isBalanced: false, isScattered: false }

/** Whether anything is required or preferred of where its members sit together. */
export function isBound({ required, preferred, parts }: Part): boolean {
  return required !== undefined || preferred !== undefined || parts.some(isBound)
}

/** The same groups, wherever there is room. */
export function unbound(gang: Gang): Gang {
  const { topology: _, together: __, ...spec } = gang.spec
  const groups = spec.groups.map(({ topology: ___, ...group }) => group)
  return { ...gang, spec: { ...spec, groups } }
}

function part(topology: Topology | undefined, groups: readonly number[], parts: readonly Part[]): Part {
  const required = placeNamed(topology?.required)
  const preferred = placeNamed(topology?.preferred)
  return { required, preferred, groups, parts, isSet: false }
}

/** A gang of one group that says nothing else is that group. */
function one(gang: Part): Part {
  const [leaf, ...others] = gang.parts
  if (leaf === undefined || others.length > 0 || (isBound(leaf) && (gang.required ?? gang.preferred) !== undefined)) {
    return gang
  }
  return isBound(leaf) ? leaf : { ...leaf, required: gang.required, preferred: gang.preferred }
}

/** Slices of one member are none. A label that is no level is a level that no domain has. */
function slicesOf(slices: NonNullable<Topology['slices']>): Slice[] | undefined {
  const real = slices.filter(({ size }) => size > 1)
  return real.length === 0 ? undefined : real.map(({ size, required }) => ({ size, level: levelNamed(required) ?? -1 }))
}

function placeNamed(name: string | undefined): Place | undefined {
  if (name === undefined) return undefined
  const level = levelNamed(name)
  return level === undefined ? { label: name, name } : { level, name }
}

function all({ groups }: Gang['spec']): number[] {
  return groups.map((_, index) => index)
}

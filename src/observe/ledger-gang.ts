import type { Gang } from '../model/kinds/gang.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { label } from '../model/names.ts'
import { keyOf } from '../model/refs.ts'
import { milliHeld, nodesUnder, seatsOn } from '../model/seats.ts'

/** What the ledger reads off a gang, each question answered in one place. */

/** What the slots under both are used for is the same. What is only equal counts as different: it is looked at again. */
export function usesAlike(a: Gang, b: Gang): boolean {
  return (
    a.status?.seats === b.status?.seats &&
    a.spec.attempt === b.spec.attempt &&
    a.spec.suspend === b.spec.suspend &&
    a.spec.queue === b.spec.queue &&
    a.metadata.labels === b.metadata.labels &&
    a.metadata.uid === b.metadata.uid
  )
}

interface Tag {
  key: string
  id: string
  /** Which durable checkpoint its work comes after now. */
  checkpoint: string
}

/** Texts that a gang is known by: asked for with each second of each of its members. */
export function tagOf(gang: Gang): Tag {
  const known = tags.get(gang)
  if (known !== undefined) return known
  const { checkpoint } = gang.status ?? {}
  const key = keyOf(gang)
  const tag = {
    key,
    id: `${key} ${gang.metadata.uid}`,
    checkpoint: checkpoint === undefined ? '' : `${checkpoint.attempt}/${checkpoint.step}`,
  }
  tags.set(gang, tag)
  return tag
}

const tags = new WeakMap<Gang, Tag>()

export function idOf(gang: Gang): string {
  return tagOf(gang).id
}

export function stepKey(gang: Gang): string {
  return `${gang.metadata.uid} ${gang.spec.attempt}`
}

export function nodesOf(gang: Gang | undefined): readonly string[] {
  const members = gang?.status?.seats?.members
  return members === undefined ? [] : nodesUnder(members)
}

export function slotsMilliOn(gang: Gang, node: string): number {
  const members = gang.status?.seats?.members
  return members === undefined ? 0 : milliHeld(seatsOn(members, node))
}

export function gangKeyOf(pod: Pod): string[] {
  const gang = pod.metadata.labels?.[label.gang]
  return gang === undefined ? [] : [`${pod.metadata.namespace ?? 'default'}/${gang}`]
}

/** What a member asks of its node, as packing sees it: memory plays no part in what fragments accelerators. */
export interface Shape {
  cpuMilli: number
  /** Accelerators, and thousandths of each; a share of one is `count: 1, milli < 1000`. */
  count: number
  milli: number
  /** Accelerator models that it may sit on; undefined for any. */
  models: readonly string[] | undefined
}

export interface Typical extends Shape {
  /** Its share of all members. */
  share: number
}

/** Typical shapes cover this share of all members. */
const coverage = 0.95

/**
 * The shapes that members mostly have, most frequent first, their shares adding up to one. Source: FGD (USENIX ATC '23),
 * with its order among equals, which decides what is kept.
 */
export function typicalOf(members: Iterable<readonly [Shape, number]>): Typical[] {
  const counts = new Map<string, { shape: Shape; count: number }>()
  let all = 0
  for (const [shape, count] of members) {
    const key = nameOf(shape)
    const known = counts.get(key)
    if (known === undefined) counts.set(key, { shape, count })
    else known.count += count
    all += count
  }
  const order = [...counts.values()].sort(
    (a, b) =>
      b.count - a.count ||
      b.shape.cpuMilli - a.shape.cpuMilli ||
      b.shape.milli - a.shape.milli ||
      b.shape.count - a.shape.count ||
      descending((a.shape.models ?? []).join('|'), (b.shape.models ?? []).join('|')),
  )
  const kept: typeof order = []
  let covered = 0
  for (const one of order) {
    kept.push(one)
    covered += one.count
    if (covered >= coverage * all) break
  }
  return kept.map(({ shape, count }) => ({ ...shape, share: count / covered }))
}

/** Equal for shapes that are the same. */
export function nameOf({ cpuMilli, count, milli, models }: Shape): string {
  return `${cpuMilli} ${count} ${milli} ${models === undefined ? '*' : models.join('|')}`
}

function descending(a: string, b: string): number {
  return a < b ? 1 : a > b ? -1 : 0
}

import { health } from '../../model/health.ts'

/**
 * A straggler is a rank that takes longer over its part of a step than others over theirs: below this part of the usual
 * speed, as NVIDIA's Resiliency Extension has it (relative score, facts/reliability.md §4). MegaScale found half a percent
 * of hosts about 10 % slow, which uneven work can do as well: those stay.
 */
export const scoreMin = health.straggler.at

/** How long a rank works in a step by itself, waiting for nobody. */
export interface OwnTime {
  rank: number
  node: string
  group: string
  busySeconds: number
}

export interface Straggler {
  node: string
  rank: number
  /** Its speed, of what is usual among those elsewhere: below `scoreMin`. */
  score: number
}

export interface Stragglers {
  /** One a node, by its slowest rank. */
  slow: readonly Straggler[]
  /** Of each step, what all wait for them: it would be gone without them. */
  wasted: number
}

/**
 * Ranks of a synchronous job all have the same step time, whoever of them is slow: that one works while the others wait.
 * So each is held against those of its group on other nodes, which do the same work; what is slow wherever it sits
 * (`uneven`) says nothing of a node.
 */
export function stragglersAmong(times: readonly OwnTime[], uneven: ReadonlySet<number>): Stragglers | undefined {
  const even = times.filter(({ rank }) => !uneven.has(rank))
  const slowest = new Map<string, Straggler>()
  for (const one of even) {
    const score = scoreOf(one, even)
    if (score >= scoreMin || score >= (slowest.get(one.node)?.score ?? 1)) continue
    slowest.set(one.node, { node: one.node, rank: one.rank, score })
  }
  if (slowest.size === 0) return undefined
  const longest = (of: readonly OwnTime[]) => of.reduce((most, { busySeconds }) => Math.max(most, busySeconds), 0)
  const wasted = 1 - longest(times.filter(({ node }) => !slowest.has(node))) / longest(times)
  return wasted > 0 ? { slow: [...slowest.values()], wasted } : undefined
}

function scoreOf({ node, group, busySeconds }: OwnTime, all: readonly OwnTime[]): number {
  const others = all.filter((other) => other.group === group && other.node !== node)
  const usual = medianOf(others.map((other) => other.busySeconds))
  return usual === undefined || busySeconds <= 0 ? 1 : usual / busySeconds
}

function medianOf(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return low === undefined || high === undefined ? undefined : (low + high) / 2
}

/**
 * It has been slow for three reports of its agent: a node that is closed is out of service until somebody looks at it,
 * which is in no price.
 */
const slowSecondsMin = health.stragglerLeast.at

/** Accelerator-seconds: what stays as it is costs, and what leaving would. */
export interface Stakes {
  /** What they waste a second, and for how many they have been slow. */
  perSecond: number
  slowSeconds: number
  /** What they would waste until the end. */
  ahead: number
  /** What leaving costs all that would leave with them: work that is done again, and starting. */
  price: number
}

/**
 * Whether leaving pays: only where more is ahead than it costs, and not before as much is wasted as it costs. Nobody knows
 * how long a node stays slow; so who waits for that loses at most twice what the best guess would (the ski rental
 * problem), and what is slow for a moment moves nobody.
 */
export function whenToLeave({ perSecond, slowSeconds, ahead, price }: Stakes): { inSeconds: number } | 'does not pay' {
  if (ahead <= price) return 'does not pay'
  return { inSeconds: Math.max(0, Math.max(slowSecondsMin, price / perSecond) - slowSeconds) }
}

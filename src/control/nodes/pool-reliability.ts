import { conditionOf } from '../../model/conditions.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import { closedBecause, isSaidToBeGone } from '../../model/nodes.ts'
import { nodeRates, type SeenOfNodes } from '../../model/reliability.ts'
import { silentReasons } from './signs.ts'

export type Observed = NonNullable<NonNullable<Pool['status']>['reliability']>

/** Written no more often than this while nothing fails. */
export const observedEveryMs = 900_000
/** Nobody looked for so long: what was meanwhile is not known, and not guessed. */
const gapMs = 3_600_000
/** What is older counts less and less: hardware ages, and lemons are replaced. Ours. */
const memoryMs = 90 * 86_400_000

/**
 * Pure: what is known of how often nodes of a pool fail and how long they are away, `sinceMs` after it was written last. A node is
 * out when it is lost, not well, said to be gone, or closed by recovery; not when a person has closed it or its agent was stopped.
 * The same comes back when there is nothing to write. `areCutOff`: so many are silent that it is rather we who are.
 */
export function observed(
  before: Observed | undefined,
  nodes: readonly Node[],
  areCutOff: boolean,
  nowMs: number,
  sinceMs: number,
): Observed {
  const through = new Date(nowMs).toISOString()
  const out = nodes
    .filter(isOut)
    .map(({ metadata }) => metadata.name)
    .toSorted()
  // Who was out when nobody counted yet has failed before.
  if (before === undefined)
    return {
      through,
      out: areCutOff ? [] : out,
      nodes: nodes.length,
      nodeSeconds: 0,
      failures: 0,
      outSeconds: 0,
      repairs: 0,
    }
  if (areCutOff) return sinceMs < observedEveryMs ? before : { ...before, through, nodes: nodes.length }
  const [was, is] = [new Set(before.out), new Set(out)]
  const failures = out.filter((name) => !was.has(name)).length
  // Also of one that is not there any more: whatever takes its place is there, or nobody misses it.
  const repairs = before.out.filter((name) => !is.has(name)).length
  if (failures + repairs === 0 && nodes.length === before.nodes && sinceMs < observedEveryMs) return before
  const seconds = sinceMs > gapMs ? 0 : sinceMs / 1000
  const kept = Math.exp((-1000 * seconds) / memoryMs)
  return {
    through,
    out,
    nodes: nodes.length,
    nodeSeconds: before.nodeSeconds * kept + seconds * Math.max(0, before.nodes - before.out.length),
    failures: before.failures * kept + failures,
    outSeconds: before.outSeconds * kept + seconds * before.out.length,
    repairs: before.repairs * kept + repairs,
  }
}

/** More than half of a fleet, and more than one node: as `signs.ts` has it, and known to who has just begun to lead, too. */
export function areCutOff(nodes: readonly Node[]): boolean {
  const counted = nodes.filter((node) => !isSaidToBeGone(node))
  const silent = counted.filter(isSilent).length
  return silent > 1 && silent > counted.length / 2
}

/** For people. */
export function whySo(seen: Observed): string {
  const { mtbfSeconds, repairSeconds } = nodeRates(ratesSeen(seen))
  const days = (seconds: number) => `${Math.round(seconds / 8_640) / 10} days`
  const found = `${Math.round(seen.failures)} failures in ${days(seen.nodeSeconds)} of its nodes and ${Math.round(seen.repairs)} repairs`
  return `a node fails once in ${days(mtbfSeconds)}, and is away for ${Math.round(repairSeconds / 360) / 10} hours: ${found} were seen, beside one of a large fleet`
}

/** What its rates follow from. */
export function ratesSeen({ nodeSeconds, failures, outSeconds, repairs }: Observed): SeenOfNodes {
  return { nodeSeconds, failures, outSeconds, repairs }
}

function isOut(node: Node): boolean {
  if (closedBecause(node) !== undefined || isSaidToBeGone(node)) return true
  const ready = conditionOf(node.status?.conditions, 'Ready')
  if (ready === undefined || ready.status === 'True') return false
  return ready.reason !== silentReasons.late && ready.reason !== stopped
}

function isSilent(node: Node): boolean {
  return conditionOf(node.status?.conditions, 'Ready')?.status === 'Unknown'
}

/** What an agent says that somebody stops (`agent/node.ts`). */
const stopped = 'AgentStopped'

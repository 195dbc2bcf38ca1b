import { z } from 'zod'
import type { Ages } from '../../base/ages.ts'
import { formatDuration } from '../../model/duration.ts'
import { health } from '../../model/health.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { type BadCondition, badConditionsOf, isWell } from '../../model/node-conditions.ts'
import { closedBecause, isSaidToBeGone, leavingReasonOf, opened, slow, unhealthy } from '../../model/nodes.ts'
import { refOf } from '../../model/refs.ts'
import { seenMs } from '../gangs.ts'
import { again, type Context, type Outcome, type Reconciler, settled, sooner } from '../reconciler.ts'
import { closedFor } from './lemons.ts'

/**
 * Conditions of a node that recovery has acted on, on the node itself, with when they became so: whoever leads next does
 * nothing twice, and who opens the node meanwhile has the last word. It stays while they are bad.
 */
export const conditionsSeenAnnotation = 'millwright.dev/conditions-seen'

const seenConditions = z.array(z.object({ type: z.string(), since: z.string() }))
type SeenCondition = z.output<typeof seenConditions>[number]

/** What the budget did not allow is looked at again after so long. */
const againMs = 60_000
/** Of two that wrote a node at once one looks again. */
const staleMs = 50
const wellMs = 1000 * health.conditionWell.at

/** What there is to do about the conditions of a node. */
export interface ConditionsJudged {
  /** What asks for it; none: nothing is to be done. */
  asks: readonly BadCondition[]
  wants: 'close' | 'leave'
  because: string
  /** What the node's record becomes. */
  seen: readonly SeenCondition[]
  /** The next of them lasts long enough by then. */
  inMs: number | undefined
}

/** Pure: conditions that were bad for long enough, each acted on once. `agesMs`: for how long each is, in their order. */
export function judgeConditions(
  bad: readonly BadCondition[],
  agesMs: readonly number[],
  before: readonly SeenCondition[],
): ConditionsJudged {
  const timed = bad.map((one, index) => ({ ...one, restMs: 1000 * one.rule.at - (agesMs[index] ?? 0) }))
  const known = before.filter((seen) => bad.some((one) => isSame(seenOf(one), seen)))
  const asks = timed.filter((one) => one.restMs <= 0 && !known.some((seen) => isSame(seenOf(one), seen)))
  const rests = timed.map(({ restMs }) => restMs).filter((restMs) => restMs > 0)
  const [worst] = asks.toSorted((a, b) => weight(b) - weight(a))
  return {
    asks,
    wants: worst?.rule.wants ?? 'close',
    because: worst === undefined ? '' : becauseOf(worst),
    seen: [...known, ...asks.map(seenOf)],
    inMs: rests.length === 0 ? undefined : Math.min(...rests),
  }
}

/**
 * Takes nodes out of service for what others say of them in their conditions, and lets those work again that are well again
 * and were closed for nothing else.
 */
export function createNodeConditions({ store, views, clock, ages, events, closing }: Context): Reconciler {
  const nodes = views.of('Node')
  const drills = views.of('Drill')
  /** Nodes that are closed, and of which nobody says anything any more, since when, in steady time. */
  const wellSinceMs = new Map<string, number>()
  /** What could not be done, as it was told last. */
  const toldNot = new Map<string, string>()

  async function reconcile(name: string): Promise<Outcome> {
    const node = nodes.get({ name })
    if (node === undefined || !isClosedForConditions(node)) wellSinceMs.delete(name)
    if (node === undefined) {
      toldNot.delete(name)
      return settled()
    }
    const bad = badConditionsOf(node)
    const agesMs = bad.map((one) => ageOf(node, one, ages))
    const judged = judgeConditions(bad, agesMs, seenOn(node))
    const done = judged.asks.length > 0 ? await act(node, judged) : await look(node, bad, judged)
    if (done === 'stale') return again(staleMs)
    return sooner(done, judged.inMs === undefined ? settled() : again(judged.inMs))
  }

  async function act(node: Node, { asks, wants, because, seen }: ConditionsJudged): Promise<Outcome | 'stale'> {
    const { name } = node.metadata
    wellSinceMs.delete(name)
    const isOpen = node.spec?.unschedulable !== true
    // Closed by a person it is theirs; what is to be said of it is said when they open it.
    if (!isOpen && closedBecause(node) === undefined) return settled()
    const reason = leavingReasonOf(node)
    const isMore = isOpen || reason === slow || (wants === 'leave' && reason === undefined)
    if (!isMore) return (await note(node, seen)) ?? settled()
    const refused = isOpen ? closing.whyNot(node) : undefined
    if (refused !== undefined) {
      const said = `${because}; but ${refused}`
      if (toldNot.get(name) !== said) events.record(node, 'Warning', 'NotCordoned', said)
      toldNot.set(name, said)
      return again(againMs)
    }
    toldNot.delete(name)
    const types = [...new Set([...typesOf(node), ...asks.map(({ rule }) => rule.condition)])]
    const isOthers = reason !== undefined && reason !== slow
    const { record: failures, lemon } = closedFor(node, 'closed', drills.list(), clock.now())
    const whole = lemon === undefined ? because : `${because}; ${lemon}`
    const record = {
      [conditionsSeenAnnotation]: JSON.stringify(seen),
      ...failures,
      // Closed for something else, too, or again and again, it is not for us to open.
      ...(lemon === undefined && (isOpen || reason === slow || isClosedForConditions(node))
        ? { [annotation.unhealthy]: types.join() }
        : {}),
    }
    return (
      (await closing.takeOut(node, whole, record, wants === 'leave' && !isOthers ? unhealthy : undefined)) ?? settled()
    )
  }

  /** Nothing new is said against it. */
  async function look(
    node: Node,
    bad: readonly BadCondition[],
    { seen }: ConditionsJudged,
  ): Promise<Outcome | 'stale'> {
    const { name } = node.metadata
    toldNot.delete(name)
    if (!isClosedForConditions(node) || bad.length > 0 || !typesOf(node).every((type) => isWell(node, type))) {
      wellSinceMs.delete(name)
      return (await note(node, seen)) ?? settled()
    }
    const sinceMs = wellSinceMs.get(name) ?? clock.steadyMs()
    wellSinceMs.set(name, sinceMs)
    const restMs = sinceMs + wellMs - clock.steadyMs()
    if (restMs > 0) return again(restMs)
    const { resourceVersion } = node.metadata
    const written = await store.patch('Node', refOf(node), opened(node), { resourceVersion })
    if (typeof written === 'string') return written === 'stale' ? written : settled()
    events.record(
      node,
      'Normal',
      'Uncordoned',
      `${typesOf(node).join(', ')} is well again, for ${formatDuration(wellMs)}`,
    )
    return settled()
  }

  async function note(node: Node, seen: readonly SeenCondition[]): Promise<'stale' | undefined> {
    const text = seen.length === 0 ? undefined : JSON.stringify(seen)
    if (node.metadata.annotations?.[conditionsSeenAnnotation] === text) return undefined
    const metadata = { annotations: { [conditionsSeenAnnotation]: text ?? null } }
    const { resourceVersion } = node.metadata
    return (await store.patch('Node', refOf(node), { metadata }, { resourceVersion })) === 'stale' ? 'stale' : undefined
  }

  return {
    name: 'node-conditions',
    watches: [{ kind: 'Node', keys: (node) => (isOfInterest(node) ? [node.metadata.name] : []) }],
    reconcile,
  }
}

/** Those that a bad condition, or what we wrote for one, brings here. */
function isOfInterest(node: Node): boolean {
  const { annotations } = node.metadata
  const isWritten =
    annotations?.[conditionsSeenAnnotation] !== undefined || annotations?.[annotation.unhealthy] !== undefined
  return isWritten || badConditionsOf(node).length > 0
}

/** And for nothing that somebody else says. */
function isClosedForConditions(node: Node): boolean {
  if (closedBecause(node) === undefined || typesOf(node).length === 0 || isSaidToBeGone(node)) return false
  const reason = leavingReasonOf(node)
  return reason === undefined || reason === unhealthy
}

/** The conditions that it was closed for. */
function typesOf({ metadata }: Node): string[] {
  const text = metadata.annotations?.[annotation.unhealthy] ?? ''
  return text === '' ? [] : text.split(',')
}

/** Since it became so; where nobody says when that was, since we saw it. */
function ageOf({ metadata }: Node, one: BadCondition, ages: Ages): number {
  const key = `${metadata.uid ?? ''} ${one.rule.condition}`
  const sinceMs = Date.parse(one.condition.lastTransitionTime ?? '')
  return Number.isNaN(sinceMs) ? ages.seen(key, 0) : ages.of(key, sinceMs, seenMs)
}

function seenOn({ metadata }: Node): SeenCondition[] {
  try {
    const parsed = seenConditions.safeParse(JSON.parse(metadata.annotations?.[conditionsSeenAnnotation] ?? '[]'))
    return parsed.success ? parsed.data : []
  } catch {
    return [] // a hand edited it: what is bad counts anew
  }
}

function seenOf({ rule, condition }: BadCondition): SeenCondition {
  return { type: rule.condition, since: condition.lastTransitionTime ?? '' }
}

function isSame(a: SeenCondition, b: SeenCondition): boolean {
  return a.type === b.type && a.since === b.since
}

function weight({ rule }: BadCondition): number {
  return rule.wants === 'leave' ? 1 : 0
}

/** What others wrote is theirs: no more than fits beside the rest. */
function becauseOf({ rule, condition }: BadCondition): string {
  const said = condition.message || condition.reason || ''
  return `${rule.condition} is ${rule.bad}${said === '' ? '' : ` (${said.slice(0, 500)})`}: ${rule.advice}`
}

import { z } from 'zod'
import { formatDuration } from './duration.ts'
import { health } from './health.ts'
import type { Node } from './kinds/kubernetes.ts'

/**
 * What speaks against the machine, on the node itself: failures that recovery blamed on it, and what it was closed for. Whoever
 * leads next knows it. Emptied when the node is closed for it; opened again it starts anew.
 */
export const failuresAnnotation = 'millwright.dev/failures'

const nodeFailure = z.object({
  atMs: z.number(),
  /** The uid of the gang that failed; of what happens to no gang nothing. */
  gang: z.string(),
  /** How it failed; or 'xid', 'closed': the node was closed for an XID, for its conditions. */
  kind: z.string(),
  /** The gang had no other node. */
  alone: z.boolean().optional(),
})
const nodeFailures = z.array(nodeFailure)

export type NodeFailure = z.output<typeof nodeFailure>

const windowMs = 1000 * health.lemon.withinSeconds
/** What fails again and again wherever it runs is to blame itself: of one gang no more count. */
const ofOneGangMax = health.lemonOfGang.at
/** What comes together is one: a lost node takes all its gangs along, and a GPU tells an XID of what fails. */
const togetherMs = 1000 * health.sameFailure.at

export function failuresOf({ metadata }: Pick<Node, 'metadata'>): NodeFailure[] {
  try {
    const parsed = nodeFailures.safeParse(JSON.parse(metadata.annotations?.[failuresAnnotation] ?? '[]'))
    return parsed.success ? parsed.data : []
  } catch {
    return [] // a hand edited it: counting starts anew
  }
}

/** What counts after this failure; `before` itself when this one does not, or is one of them already. */
export function withFailure(before: readonly NodeFailure[], failure: NodeFailure): readonly NodeFailure[] {
  const recent = before.filter(({ atMs }) => atMs > failure.atMs - windowMs)
  const isKnown = recent.some(({ atMs }) => Math.abs(failure.atMs - atMs) < togetherMs)
  const ofIt = recent.filter(({ gang }) => gang !== '' && gang === failure.gang)
  return isKnown || ofIt.length >= ofOneGangMax ? before : [...recent, failure]
}

/** How much speaks against a node: a weighed sum, of what happened within the last seven days. */
export interface LemonScore {
  points: number
  isLemon: boolean
  /** Half of what makes a lemon, and more: worth a look. */
  isNear: boolean
  said: string
}

export function lemonScore(failures: readonly NodeFailure[], nowMs: number): LemonScore {
  const recent = failures.filter(({ atMs }) => atMs > nowMs - windowMs)
  const counts = signals.map((signal) => ({ ...signal, count: recent.filter(signal.isOf).length }))
  const points = counts.reduce((sum, { weight, count }) => sum + weight * count, 0)
  const of = counts.flatMap(({ count, words }) => (count === 0 ? [] : [`${count} ${words}`]))
  const said = `${points} of ${health.lemon.at} points within ${formatDuration(windowMs)}: ${of.join(', ')}`
  return { points, isLemon: points >= health.lemon.at, isNear: points > health.lemon.at / 2, said }
}

const notOfGangs = ['xid', 'closed']
const signals: readonly { isOf(failure: NodeFailure): boolean; weight: number; words: string }[] = [
  {
    isOf: ({ kind, alone }) => !notOfGangs.includes(kind) && alone === true,
    weight: health.lemonAlone.at,
    words: 'failed alone',
  },
  {
    isOf: ({ kind, alone }) => !notOfGangs.includes(kind) && alone !== true,
    weight: health.lemonWithOthers.at,
    words: 'failed among others',
  },
  { isOf: ({ kind }) => kind === 'xid', weight: health.lemonXid.at, words: 'closed for an XID' },
  { isOf: ({ kind }) => kind === 'closed', weight: health.lemonClosed.at, words: 'closed for its conditions' },
]

import { z } from 'zod'
import { health } from '../../model/health.ts'
import type { Drill } from '../../model/kinds/drill.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { End } from './cause.ts'

/**
 * Failures of machines that recovery blamed on a node, on the node itself: whoever leads next knows them. Emptied when the
 * node is closed; opened again it starts anew.
 */
export const failuresAnnotation = 'millwright.dev/failures'

const nodeFailure = z.object({
  atMs: z.number(),
  /** The uid of the gang that failed. */
  gang: z.string(),
  kind: z.string(),
})
const nodeFailures = z.array(nodeFailure)

export type NodeFailure = z.output<typeof nodeFailure>

/** Failures within so long make a lemon: a repeat offender has five remediations in seven days (facts/reliability.md §4). */
const windowMs = 1000 * health.lemon.withinSeconds
const failuresMax = health.lemon.at
/** What fails again and again wherever it runs is to blame itself: of one gang no more count. */
const ofOneGangMax = health.lemonOfGang.at
/** What fails together is one failure: a lost node takes all its gangs along. */
const togetherMs = 1000 * health.sameFailure.at

export function failuresOf({ metadata }: Node): NodeFailure[] {
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
  const ofIt = recent.filter(({ gang }) => gang === failure.gang)
  return isKnown || ofIt.length >= ofOneGangMax ? before : [...recent, failure]
}

export function isLemon(failures: readonly NodeFailure[], nowMs: number): boolean {
  return failures.filter(({ atMs }) => atMs > nowMs - windowMs).length >= failuresMax
}

/** Not what a person or the kernel killed, and not the script's own errors. */
export function isOfMachine({ kind, signal, reason }: End): boolean {
  if (kind === 'lost' || kind === 'hung' || kind === 'gpu') return true
  return kind === 'killed' && reason !== 'OOMKilled' && !stopSignals.has(signal ?? '')
}

const stopSignals: ReadonlySet<string> = new Set(['', 'SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'])

/** Whether what fails there now was meant to. */
export function isDrilled(drills: readonly Drill[], node: string): boolean {
  return drills.some(
    ({ status }) =>
      (status?.phase === 'Striking' || status?.phase === 'Recovering') && status.target?.nodes.includes(node) === true,
  )
}

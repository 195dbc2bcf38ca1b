import type { Drill } from '../../model/kinds/drill.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { failuresAnnotation, failuresOf, lemonScore, withFailure } from '../../model/lemons.ts'
import type { End } from './cause.ts'

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

/**
 * A node is closed for something that may be mended: who has to be mended again and again is a lemon all the same. What its record
 * becomes, and why it is one.
 */
export function closedFor(
  node: Node,
  kind: 'xid' | 'closed',
  drills: readonly Drill[],
  nowMs: number,
): { record: object; lemon: string | undefined } {
  const before = failuresOf(node)
  const isMeant = isDrilled(drills, node.metadata.name)
  const failures = isMeant ? before : withFailure(before, { atMs: nowMs, gang: '', kind })
  const score = lemonScore(failures, nowMs)
  const text = score.isLemon || failures.length === 0 ? null : JSON.stringify(failures)
  return { record: { [failuresAnnotation]: text }, lemon: score.isLemon ? `a lemon, ${score.said}` : undefined }
}

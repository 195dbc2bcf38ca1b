import type { Cancel } from '../../base/clock.ts'
import type { Listening, Liveness } from '../../base/liveness.ts'
import { conditionOf } from '../../model/conditions.ts'
import { health } from '../../model/health.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { isSaidToBeGone } from '../../model/nodes.ts'
import { nodeSign } from '../../model/signs.ts'
import type { Views } from '../views.ts'

/**
 * Agents speak every ten seconds. One that missed two is late, and its node takes no new work; after four, as on
 * Kubernetes, it is lost, and so is what runs there.
 */
export const lateMs = 1000 * health.agentLate.at
export const lostMs = 1000 * health.agentLost.at

/** What `control/nodes` says of a node whose agent is silent. */
export const silentReasons = { late: 'HeartbeatLate', lost: 'NodeStatusUnknown' } as const

/** A node is judged by its silence, by our own clock, never by a time that it wrote. */
export interface NodeSigns {
  silenceOf(node: string): 'none' | keyof typeof silentReasons
  /** When it was last heard of, by its heartbeat or what its agent reported of a pod; undefined: not yet. */
  heardMs(node: string): number | undefined
  /** Hears the name of each node whose silence begins, or grows too long. */
  onSilence(tell: (node: string) => void): Cancel
  /**
   * More than one node, and more than half of the fleet, is silent at once: then it is rather we who are cut off from it
   * than so many nodes that are lost, and nothing is given up. Kubernetes stops evictions at 55 % of a zone, NVSentinel
   * its remediations at 50 % of a fleet (facts/reliability.md §4). Nodes that somebody has said to be gone do not count.
   */
  areCutOff(): boolean
  stop(): void
}

interface Heard {
  /** What the node's own sign of life looked like. */
  sign: string
  /** Somebody said that it is gone. */
  isGone: boolean
  silence: 'none' | keyof typeof silentReasons
  late: Listening
  lost: Listening
}

/** Follows the nodes of one term. */
export function createNodeSigns({ views, liveness }: { views: Views; liveness: Liveness }): NodeSigns {
  const nodes = new Map<string, Heard>()
  const hearers = new Set<(node: string) => void>()

  views.of('Node').onChange(({ type, object }) => {
    if (type === 'DELETED') forget(object.metadata.name)
    else see(object)
  })
  // One that is only listed may be of long ago.
  views.of('Report').onChange(({ type, object }) => {
    const known = nodes.get(object.spec.node ?? '')
    if (type === 'MODIFIED' && known !== undefined) hear(known)
  })

  function see(node: Node): void {
    const { name } = node.metadata
    const [sign, isGone] = [signOfLife(node), isSaidToBeGone(node)]
    const known = nodes.get(name)
    if (known === undefined) {
      const late = listen(name, 'late', lateMs)
      nodes.set(name, { sign, isGone, silence: 'none', late, lost: listen(name, 'lost', lostMs) })
      return
    }
    if (known.sign !== sign && sign !== ours) hear(known)
    known.sign = sign
    known.isGone = isGone
  }

  function hear(known: Heard): void {
    known.silence = 'none'
    known.late.heard()
    known.lost.heard()
  }

  function listen(name: string, silence: keyof typeof silentReasons, patienceMs: number): Listening {
    return liveness.watch(
      nodeSign(name),
      () => patienceMs,
      () => {
        const known = nodes.get(name)
        if (known !== undefined) known.silence = silence
        for (const tell of hearers) tell(name)
      },
    )
  }

  function forget(name: string): void {
    const known = nodes.get(name)
    known?.late.stop()
    known?.lost.stop()
    nodes.delete(name)
  }

  return {
    silenceOf: (node) => nodes.get(node)?.silence ?? 'none',
    heardMs: (node) => nodes.get(node)?.late.heardMs(),
    areCutOff() {
      const counted = [...nodes.values()].filter(({ isGone }) => !isGone)
      const silent = counted.filter(({ silence }) => silence !== 'none').length
      return silent > 1 && silent > counted.length * health.cutOff.at
    },
    onSilence(tell) {
      hearers.add(tell)
      return () => void hearers.delete(tell)
    },
    stop() {
      for (const name of [...nodes.keys()]) forget(name)
    },
  }
}

/** What stands there in place of a sign when we wrote that there is none. */
const ours = 'unknown'

function signOfLife(node: Node): string {
  const ready = conditionOf(node.status?.conditions, 'Ready')
  const reasons: readonly (string | undefined)[] = Object.values(silentReasons)
  if (ready?.status === 'Unknown' && reasons.includes(ready.reason)) return ours
  return `${ready?.status ?? ''} ${String(ready?.['lastHeartbeatTime'] ?? '')}`
}

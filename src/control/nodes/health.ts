import { conditionOf, setCondition } from '../../model/conditions.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import { refOf } from '../../model/refs.ts'
import { isLive } from '../gangs.ts'
import { again, type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'

/** As Kubernetes: local agents speak every ten seconds, so this is four missed. */
const silentMsMax = 40_000
const lookEveryMs = 5_000
/** A look that comes so late means that we slept, not the node: counting starts again. */
const lateMsMax = 5_000

interface Heard {
  /** What the node's own sign of life looked like. */
  sign: string
  atMs: number
  lookedAtMs: number
}

/**
 * A node is judged by its silence, by our own clock, never by a time that it wrote. One not heard of becomes Ready:
 * Unknown, and its pods have failed with it. Its agent says otherwise as soon as it can.
 */
export function createNodeHealth({ store, views, clock, events }: Context): Reconciler {
  const nodes = views.of('Node')
  views.of('Pod')
  const heard = new Map<string, Heard>()

  function silentMs(node: Node): number {
    const { name } = node.metadata
    const nowMs = clock.now()
    const sign = signOfLife(node)
    const before = heard.get(name)
    const isNews = before === undefined || (before.sign !== sign && sign !== ours)
    const overslept = before !== undefined && nowMs - before.lookedAtMs > lookEveryMs + lateMsMax
    const atMs = isNews || overslept ? nowMs : before.atMs
    heard.set(name, { sign, atMs, lookedAtMs: nowMs })
    return nowMs - atMs
  }

  async function reconcile(name: string): Promise<Outcome> {
    const node = nodes.get({ name })
    if (node === undefined) {
      heard.delete(name)
      return settled()
    }
    if (silentMs(node) < silentMsMax) return again(lookEveryMs)
    await markUnknown(node)
    await failPods(name)
    return again(lookEveryMs)
  }

  async function markUnknown(node: Node): Promise<void> {
    if (conditionOf(node.status?.conditions, 'Ready')?.status === 'Unknown') return
    const message = `its agent was not heard of for ${silentMsMax / 1000} s`
    const conditions = setCondition(
      node.status?.conditions,
      { type: 'Ready', status: 'Unknown', reason: lostReason, message },
      clock.now(),
    )
    const written = await store.updateStatus('Node', { ...node, status: { ...node.status, conditions } })
    if (typeof written !== 'string') events.record(node, 'Warning', 'NodeLost', message)
  }

  async function failPods(name: string): Promise<void> {
    const lost = views.podsOnNode(name).filter(isLive)
    await Promise.all(lost.map((pod) => failPod(pod, name)))
  }

  async function failPod(pod: Pod, node: string): Promise<void> {
    const status = {
      phase: 'Failed',
      reason: 'NodeLost',
      message: `node ${node} was lost: its agent was not heard of for ${silentMsMax / 1000} s`,
    }
    await store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
  }

  return {
    name: 'node-health',
    watches: [{ kind: 'Node', keys: (node) => [node.metadata.name] }],
    reconcile,
  }
}

const lostReason = 'NodeStatusUnknown'
const ours = 'unknown'

function signOfLife(node: Node): string {
  const ready = conditionOf(node.status?.conditions, 'Ready')
  if (ready?.status === 'Unknown' && ready.reason === lostReason) return ours
  return `${ready?.status ?? ''} ${String(ready?.['lastHeartbeatTime'] ?? '')}`
}

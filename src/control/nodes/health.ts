import type { Listening } from '../../base/liveness.ts'
import { conditionOf, setCondition } from '../../model/conditions.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import { refOf } from '../../model/refs.ts'
import { nodeSign } from '../../model/signs.ts'
import { isLive } from '../gangs.ts'
import { type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'

/** As Kubernetes: local agents speak every ten seconds, so this is four missed. */
const silentMsMax = 40_000

interface Heard {
  /** What the node's own sign of life looked like. */
  sign: string
  isSilent: boolean
  listening: Listening
}

/**
 * A node is judged by its silence, by our own clock, never by a time that it wrote. One not heard of becomes Ready:
 * Unknown, and its pods have failed with it. Its agent says otherwise as soon as it can.
 */
export function createNodeHealth({ store, views, clock, liveness, events }: Context): Reconciler {
  const nodes = views.of('Node')
  views.of('Pod')
  const heard = new Map<string, Heard>()
  let wake: (name: string) => void = () => {}

  async function reconcile(name: string): Promise<Outcome> {
    const node = nodes.get({ name })
    if (node === undefined) forget(name)
    else if (listenTo(node).isSilent) {
      await markUnknown(node)
      await failPods(name)
    }
    return settled()
  }

  function listenTo(node: Node): Heard {
    const { name } = node.metadata
    const sign = signOfLife(node)
    const known = heard.get(name) ?? { sign, isSilent: false, listening: listen(name) }
    heard.set(name, known)
    if (known.sign !== sign && sign !== ours) {
      known.isSilent = false
      known.listening.heard()
    }
    known.sign = sign
    return known
  }

  function listen(name: string): Listening {
    return liveness.watch(
      nodeSign(name),
      () => silentMsMax,
      () => {
        const known = heard.get(name)
        if (known !== undefined) known.isSilent = true
        wake(name)
      },
    )
  }

  function forget(name: string): void {
    heard.get(name)?.listening.stop()
    heard.delete(name)
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
    watches: [
      { kind: 'Node', keys: (node) => [node.metadata.name] },
      // One that was bound just before its node fell silent fails with the others.
      {
        kind: 'Pod',
        keys: ({ spec }) => (heard.get(spec.nodeName ?? '')?.isSilent === true ? [spec.nodeName ?? ''] : []),
      },
    ],
    start: (wakeOne) => {
      wake = wakeOne
      return () => {
        for (const name of [...heard.keys()]) forget(name)
      }
    },
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

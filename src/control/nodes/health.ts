import { conditionOf, setCondition } from '../../model/conditions.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import { refOf } from '../../model/refs.ts'
import { isLive } from '../gangs.ts'
import { type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'
import { lateMs, lostMs, silentReasons } from './signs.ts'

/**
 * A node that is not heard of becomes Ready: Unknown and takes no new work; if it stays silent its pods have failed with
 * it. Its agent says otherwise as soon as it can.
 */
export function createNodeHealth({ store, views, clock, signs, events }: Context): Reconciler {
  const nodes = views.of('Node')
  views.of('Pod')

  async function reconcile(name: string): Promise<Outcome> {
    const node = nodes.get({ name })
    const silence = signs.silenceOf(name)
    if (node === undefined || silence === 'none') return settled()
    await markUnknown(node, silence)
    if (silence === 'lost') await failPods(name)
    return settled()
  }

  async function markUnknown(node: Node, silence: keyof typeof silentReasons): Promise<void> {
    const reason = silentReasons[silence]
    const ready = conditionOf(node.status?.conditions, 'Ready')
    if (ready?.status === 'Unknown' && ready.reason === reason) return
    const message = `its agent was not heard of for ${(silence === 'lost' ? lostMs : lateMs) / 1000} s`
    const condition = { type: 'Ready', status: 'Unknown' as const, reason, message }
    const conditions = setCondition(node.status?.conditions, condition, clock.now())
    const written = await store.updateStatus('Node', { ...node, status: { ...node.status, conditions } })
    if (silence === 'lost' && typeof written !== 'string') events.record(node, 'Warning', 'NodeLost', message)
  }

  async function failPods(name: string): Promise<void> {
    const lost = views.podsOnNode(name).filter(isLive)
    await Promise.all(lost.map((pod) => failPod(pod, name)))
  }

  async function failPod(pod: Pod, node: string): Promise<void> {
    const status = {
      phase: 'Failed',
      reason: 'NodeLost',
      message: `node ${node} was lost: its agent was not heard of for ${lostMs / 1000} s`,
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
        keys: ({ spec }) => (signs.silenceOf(spec.nodeName ?? '') === 'lost' ? [spec.nodeName ?? ''] : []),
      },
    ],
    start: (wake) => signs.onSilence(wake),
    reconcile,
  }
}

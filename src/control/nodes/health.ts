import { conditionOf, setCondition } from '../../model/conditions.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { isSaidToBeGone, opened } from '../../model/nodes.ts'
import { refOf } from '../../model/refs.ts'
import { hasEnded, isLive } from '../gangs.ts'
import { again, type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'
import { lateMs, lostMs, silentReasons } from './signs.ts'

/** So often a node whose pods are not given up, since most of the fleet is silent, is looked at again. */
const cutOffLookMs = 5_000

/**
 * A node that is not heard of becomes Ready: Unknown and takes no new work; if it stays silent its pods have failed with
 * it, unless most of the fleet is silent: then a person says which nodes are gone. Its agent says otherwise as soon as it
 * can. Who deletes a node takes its pods along, if it does not come back by itself.
 */
export function createNodeHealth({ store, views, clock, signs, events }: Context): Reconciler {
  const nodes = views.of('Node')
  views.of('Pod')
  /** Nodes that pods are bound to and that do not exist, and since when, in steady time. */
  const missingSinceMs = new Map<string, number>()

  async function reconcile(name: string): Promise<Outcome> {
    const node = nodes.get({ name })
    if (node === undefined) return await waitForNode(name)
    missingSinceMs.delete(name)
    await openWhole(node)
    const silence = signs.silenceOf(name)
    if (silence === 'none') return settled()
    const isGone = isSaidToBeGone(node)
    const isKept = silence === 'lost' && !isGone && liveOn(name).length > 0 && signs.areCutOff()
    const known = await markUnknown(node, silence, isKept)
    // Its agent may be back: what is written to the node, or heard of it, meanwhile is looked at first.
    if (known === 'changed' || signs.silenceOf(name) !== silence) return settled()
    if (isKept) return again(cutOffLookMs)
    if (isGone || silence === 'lost') await failPods(name, `node ${name} was lost: its agent was ${unheard(silence)}`)
    return settled()
  }

  /** Whoever opens a node that recovery closed need not know what else recovery wrote to it: `kubectl uncordon` does not. */
  async function openWhole(node: Node): Promise<void> {
    if (node.spec?.unschedulable === true || node.metadata.annotations?.[annotation.cordonedBecause] === undefined)
      return
    await store.patch('Node', refOf(node), opened(node), { resourceVersion: node.metadata.resourceVersion })
  }

  /** An agent that lives makes its node anew. */
  async function waitForNode(name: string): Promise<Outcome> {
    if (liveOn(name).length === 0) {
      missingSinceMs.delete(name)
      await letGo(name)
      return settled()
    }
    const sinceMs = missingSinceMs.get(name) ?? clock.steadyMs()
    missingSinceMs.set(name, sinceMs)
    const waitMs = sinceMs + lostMs - clock.steadyMs()
    if (waitMs > 0) return again(waitMs)
    await failPods(name, `node ${name} was deleted`)
    return settled()
  }

  async function markUnknown(
    node: Node,
    silence: keyof typeof silentReasons,
    isKept: boolean,
  ): Promise<'changed' | undefined> {
    const reason = silentReasons[silence]
    const ready = conditionOf(node.status?.conditions, 'Ready')
    const message = `its agent was ${unheard(silence)}${isKept ? cutOffMessage(node.metadata.name) : ''}`
    if (ready?.status === 'Unknown' && ready.reason === reason && ready.message === message) return undefined
    const condition = { type: 'Ready', status: 'Unknown' as const, reason, message }
    const conditions = setCondition(node.status?.conditions, condition, clock.now())
    const written = await store.updateStatus('Node', { ...node, status: { ...node.status, conditions } })
    if (typeof written === 'string') return 'changed'
    if (silence === 'lost') events.record(node, 'Warning', 'NodeLost', message)
    return undefined
  }

  function liveOn(node: string): Pod[] {
    return views.podsOnNode(node).filter(isLive)
  }

  async function failPods(node: string, message: string): Promise<void> {
    await Promise.all(liveOn(node).map((pod) => failPod(pod, message)))
    await letGo(node)
  }

  async function failPod(pod: Pod, message: string): Promise<void> {
    const status = { phase: 'Failed', reason: 'NodeLost', message }
    // Its agent may have said meanwhile how it ended.
    const { uid, resourceVersion } = pod.metadata
    await store.patch('Pod', refOf(pod), { status }, { status: true, uid, resourceVersion })
  }

  /** What was to end, and has: its agent, who would let go of it, is not there, and others may wait for its name. */
  async function letGo(node: string): Promise<void> {
    const over = views.podsOnNode(node).filter((pod) => hasEnded(pod) && pod.metadata.deletionTimestamp !== undefined)
    await Promise.all(over.map((pod) => store.delete('Pod', refOf(pod), { uid: pod.metadata.uid })))
  }

  return {
    name: 'node-health',
    watches: [
      { kind: 'Node', keys: (node) => [node.metadata.name] },
      // One that was bound just before its node fell silent, or went, fails with the others.
      { kind: 'Pod', keys: ({ spec: { nodeName: name } }) => (name !== undefined && isAway(name) ? [name] : []) },
    ],
    start: (wake) => signs.onSilence(wake),
    reconcile,
  }

  function isAway(name: string): boolean {
    return signs.silenceOf(name) === 'lost' || nodes.get({ name }) === undefined
  }
}

function unheard(silence: keyof typeof silentReasons): string {
  return `not heard of for ${(silence === 'lost' ? lostMs : lateMs) / 1000} s`
}

function cutOffMessage(name: string): string {
  return `, and nor are most others, so that nothing is given up until they are; if this one is gone: millwright cordon ${name} --gone`
}

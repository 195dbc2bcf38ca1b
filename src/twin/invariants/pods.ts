import { hasEnded } from '../../control/gangs.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/** A pod that has ended stays so, for the reason that it had, and a pod that is bound stays where it is. */
export class Pods implements Invariant {
  readonly name = 'pods'
  readonly #pods = new Map<string, Pod>()

  check({ kind, type, object }: Entry): string | undefined {
    if (kind !== 'Pod') return undefined
    const pod = object as Pod
    const uid = pod.metadata.uid ?? ''
    const before = this.#pods.get(uid)
    if (type === 'DELETED') this.#pods.delete(uid)
    else this.#pods.set(uid, pod)
    if (before === undefined) return undefined
    if (hasEnded(before) && before.status?.phase !== pod.status?.phase)
      return `pod ${keyOf(pod)} was ${before.status?.phase} and is ${pod.status?.phase}`
    if (hasEnded(before) && before.status?.reason !== pod.status?.reason)
      return `pod ${keyOf(pod)} had ended (${before.status?.reason}), and now ended otherwise (${pod.status?.reason})`
    if (before.spec.nodeName !== undefined && before.spec.nodeName !== pod.spec.nodeName)
      return `pod ${keyOf(pod)} was bound to ${before.spec.nodeName} and is on ${pod.spec.nodeName}`
    return undefined
  }
}

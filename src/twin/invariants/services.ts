import { isTrue } from '../../model/conditions.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/** A service counts no replica as ready whose probe has never succeeded. */
export class Services implements Invariant {
  readonly name = 'services'
  /** By service, pods that were ready once. */
  readonly #ready = new Map<string, Set<string>>()

  check({ kind, object }: Entry): string | undefined {
    if (kind === 'Pod') this.#seePod(object as Pod)
    if (kind !== 'InferenceService') return undefined
    const service = object as InferenceService
    const key = keyOf(service)
    const said = service.status?.readyReplicas ?? 0
    const ready = this.#ready.get(key)?.size ?? 0
    return said > ready ? `service ${key} says that ${said} replicas are ready, and ${ready} ever were` : undefined
  }

  #seePod(pod: Pod): void {
    const service = pod.metadata.labels?.[label.service]
    if (service === undefined || !isTrue(pod.status?.conditions, 'Ready')) return
    const key = `${pod.metadata.namespace ?? ''}/${service}`
    this.#ready.set(key, (this.#ready.get(key) ?? new Set()).add(pod.metadata.uid ?? ''))
  }
}

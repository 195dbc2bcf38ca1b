import { isTrue } from '../../model/conditions.ts'
import { neededOf } from '../../model/kinds/disruption-budget.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { GangState } from '../gangs.ts'

/**
 * Who shares a disruption budget: the replicas of one service. A budget is about all that want seats, as Kubernetes' is
 * about all pods that there should be; those that leave, are not ready, or wait in line are not available.
 */
export class Budgets {
  readonly #gangs: ReadonlyMap<string, GangState>
  readonly #pods: ReadonlyMap<string, Pod>
  readonly #sharing = new Map<string, Set<string>>()
  /** What was known of each that matters to the others. */
  readonly #seen = new Map<string, { budget: string; stands: string }>()

  constructor(gangs: ReadonlyMap<string, GangState>, pods: ReadonlyMap<string, Pod>) {
    this.#gangs = gangs
    this.#pods = pods
  }

  /** Follows what is known of the gang; whether others may leave now who could not before. */
  follow(state: GangState): boolean {
    const budget = budgetOf(state)
    const before = this.#seen.get(state.key)
    if (budget === undefined) return before !== undefined && this.forget(state.key)
    const stands = JSON.stringify([state.object.spec.disruptionBudget, wants(state), this.isReady(state)])
    if (before?.budget === budget && before.stands === stands) return false
    if (before !== undefined && before.budget !== budget) this.forget(state.key)
    this.#seen.set(state.key, { budget, stands })
    this.#sharing.set(budget, (this.#sharing.get(budget) ?? new Set()).add(state.key))
    return true
  }

  forget(gang: string): boolean {
    const { budget } = this.#seen.get(gang) ?? {}
    if (budget === undefined) return false
    this.#seen.delete(gang)
    const sharing = this.#sharing.get(budget)
    sharing?.delete(gang)
    if (sharing?.size === 0) this.#sharing.delete(budget)
    return true
  }

  /** Its leaving would make one fewer of those that are available. */
  isReady({ key, leaving, moving, object: { spec, status } }: GangState): boolean {
    const { seats, eviction } = status ?? {}
    if (leaving || moving !== undefined || spec.suspend) return false
    if (seats?.attempt !== spec.attempt || eviction?.attempt === spec.attempt) return false
    const namespace = key.slice(0, key.indexOf('/'))
    return seats.members.every((member) => {
      const pod = this.#pods.get(`${namespace}/${member.pod}`)
      return pod === undefined || isTrue(pod.status?.conditions, 'Ready')
    })
  }

  /** How many more may leave of those that share the gang's; negative when fewer are ready than should be. */
  leftOf(state: GangState): number {
    const { disruptionBudget } = state.object.spec
    let [expected, ready] = [0, 0]
    for (const gang of this.#sharing.get(budgetOf(state) ?? '') ?? []) {
      const one = this.#gangs.get(gang)
      if (one === undefined) continue
      if (wants(one)) expected++
      if (this.isReady(one)) ready++
    }
    return ready - neededOf(disruptionBudget ?? {}, expected)
  }
}

/** `namespace/name` of those that share it. */
export function budgetOf({ key, object }: GangState): string | undefined {
  const { disruptionBudget } = object.spec
  return disruptionBudget === undefined ? undefined : `${key.slice(0, key.indexOf('/'))}/${disruptionBudget.of}`
}

function wants({ object: { metadata, spec } }: GangState): boolean {
  return !spec.suspend && metadata.deletionTimestamp === undefined
}

import type { Gang } from '../../model/kinds/gang.ts'
import { priceOfGang } from '../../model/lost-work.ts'
import type { Why } from '../contract.ts'
import type { GangState } from '../gangs.ts'
import { budgetOf } from '../preemption/budgets.ts'
import type { QuotaTree } from '../quota/tree.ts'
import type { Explained } from './explained.ts'
import { listed } from './reasons.ts'

type Displaceable = NonNullable<Why['displaceable']>

/** By whom a gang that sits may be displaced, and what work that would lose if it were now. */
export function displaceableBy(scene: Explained, state: GangState, nowMs: number): Displaceable {
  const { quota } = scene
  const { object, holds } = state
  const { queue, preemptible } = object.spec
  const price = priceOfGang(object, nowMs)
  const borrows = [...holds].flatMap(([model, milli]) => {
    const over = Math.min(milli, -quota.nominalLeft(queue, model))
    return over > 0 ? [{ model, accelerators: over / 1000 }] : []
  })
  const by = preemptible ? [...inQueue(quota, object.spec), ...fromOthers(scene, queue, borrows)] : []
  const spared = by.length === 0 ? undefined : sparedNow(scene, state, nowMs)
  return { by, ...(spared === undefined ? {} : { spared }), borrows, priceSeconds: price?.gpuSeconds ?? 0 }
}

/** What keeps it from being displaced for now. */
function sparedNow({ quota, budgets }: Explained, state: GangState, nowMs: number): string | undefined {
  const { spec, status } = state.object
  const satSeconds = (nowMs - Date.parse(status?.seats?.at ?? '')) / 1000
  const leftSeconds = quota.minRunSeconds(spec.queue, spec.queue) - satSeconds
  if (leftSeconds > 0) return `not in its own queue for ${Math.ceil(leftSeconds)} s more (minRunSeconds)`
  const isHeld = budgetOf(state) !== undefined && budgets.isReady(state) && budgets.leftOf(state) <= 0
  return isHeld ? 'not now, as its service can spare no more replicas (disruptionBudget)' : undefined
}

function* inQueue(quota: QuotaTree, { queue, priority, served = 0 }: Gang['spec']): Iterable<string> {
  const { withinQueue } = quota.policyOf(queue)
  if (withinQueue === 'Never') return
  const older = withinQueue === 'LowerOrNewerEqualPriority' ? `, or of ${priority} and older` : ''
  const less = served > 0 ? `, or of ${priority} and less accelerator-time by a step` : ''
  yield `priority above ${priority} in queue ${queue}${less}${older}`
}

/** What is borrowed may be taken back: by who owns it, or, with fair sharing, by whose share stays the smaller. */
function* fromOthers({ quota, queues }: Explained, queue: string, borrows: Displaceable['borrows']): Iterable<string> {
  if (borrows.length === 0) return
  const what = borrows.map(({ model, accelerators }) => `${accelerators} × ${model}`).join(', ')
  const takers = [...queues.keys()].filter(
    (other) =>
      other !== queue &&
      quota.policyOf(other).reclaimWithinCohort !== 'Never' &&
      borrows.some(({ model }) => shareQuota(quota, queues, queue, other, model)),
  )
  const sharing = takers.filter((other) => quota.isFair(other))
  const owning = takers.filter(
    (other) => !quota.isFair(other) && borrows.some(({ model }) => quota.accountOf(other).quota(model) > 0),
  )
  const said = (names: readonly string[]) => `queue${names.length === 1 ? '' : 's'} ${listed(names)}, for the ${what}`
  if (sharing.length > 0)
    yield `${said(sharing)} that its queue borrows, while ${sharing.length === 1 ? 'its' : 'their'} share stays the smaller`
  if (owning.length > 0)
    yield `${said(owning)} that its queue borrows, up to what ${owning.length === 1 ? 'it owns' : 'they own'}`
}

/** Whether one may borrow what the other owns: in one tree, or both in trees of which neither stands alone for the model. */
function shareQuota(quota: QuotaTree, queues: Explained['queues'], a: string, b: string, model: string): boolean {
  const [rootA, rootB] = [rootOf(quota, a), rootOf(quota, b)]
  const standsAlone = (root: string) => queues.get(root)?.spec.nominalQuota?.[model] !== undefined
  return rootA === rootB || !(standsAlone(rootA) || standsAlone(rootB))
}

function rootOf(quota: QuotaTree, queue: string): string {
  return quota.ancestorsOf(queue).at(-1) ?? queue
}

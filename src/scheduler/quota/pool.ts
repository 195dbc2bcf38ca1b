import type { Account } from './account.ts'
import { type Candidate, holdsAny, isAllowed, isPast, type Request } from './candidates.ts'
import type { PreemptionPolicy, QuotaTree } from './tree.ts'

/** What one search is about. */
export interface Contest {
  /** Models of which the request misses something. */
  models: readonly string[]
  /** Whoever is below may hold what it misses. */
  scope: Account
}

/**
 * What the request misses. First the quota: the models of which its queue may not hold enough, contested among those who
 * borrow from the same. Then room: quota may suffice and the nodes be full (of what others borrow of the fleet, or
 * because free room is scattered), so all models that it wants are contested, in the whole fleet.
 */
export function contestsOf(tree: QuotaTree, request: Request): Contest[] {
  const own = tree.accountOf(request.queue)
  const wanted = [...request.wants].filter(([, milli]) => milli > 0).map(([model]) => model)
  const lacking = wanted.filter((model) => (request.wants.get(model) ?? 0) > own.available(model))
  const forRoom = { models: wanted, scope: tree.fleet }
  if (lacking.length === 0) return [forRoom]
  const forQuota = { models: lacking, scope: lastLender(own, lacking) }
  return forQuota.scope === tree.fleet && lacking.length === wanted.length ? [forRoom] : [forQuota, forRoom]
}

/** Whether the request could fit its quota if nobody else held anything. */
export function couldFit(tree: QuotaTree, request: Request): boolean {
  const own = tree.accountOf(request.queue)
  return [...request.wants].every(
    ([model, milli]) => milli <= own.potential(model) || own.available(model) === Number.POSITIVE_INFINITY,
  )
}

function lastLender(own: Account, models: readonly string[]): Account {
  let last = own
  for (const model of models) {
    for (let account: Account | undefined = own; account !== undefined; account = account.lender(model)) {
      if (account.depth < last.depth) last = account
    }
  }
  return last
}

/** Whether its queue, and whoever stands between that and `above`, holds more than is his of what the candidate holds. */
export function isOverBelow(from: Account, above: Account, candidate: Candidate, models: readonly string[]): boolean {
  const held = models.filter((model) => (candidate.holds.get(model) ?? 0) > 0)
  for (let account: Account | undefined = from; account !== undefined && account !== above; account = account.parent) {
    if (!account.isOver(held)) return false
  }
  return true
}

/**
 * Those of the account's candidates that the request may take as far as policy, models and the candidates' wishes go, in
 * their order. No more of them are looked at than are asked for.
 */
export function* allowed(
  policy: PreemptionPolicy,
  request: Request,
  isOwn: boolean,
  models: readonly string[],
  candidates: Iterable<Candidate>,
): Generator<Candidate> {
  const rule = isOwn ? policy.withinQueue : policy.reclaimWithinCohort
  if (rule === 'Never') return
  for (const candidate of candidates) {
    if (isPast(rule, request, candidate)) return
    if (candidate.key === request.gang || !isAllowed(rule, request, candidate)) continue
    const mayLeave = candidate.leaving || (candidate.preemptible && candidate.spared !== true)
    if (mayLeave && holdsAny(candidate, models)) yield candidate
  }
}

export function lowestCommon(a: Account, b: Account): Account {
  let [left, right] = [a, b]
  while (left !== right) {
    if (left.depth >= right.depth && left.parent !== undefined) left = left.parent
    else if (right.parent !== undefined) right = right.parent
    else return left
  }
  return left
}

/** The account on the way up from `from` that stands just below `above`. */
export function justBelow(from: Account, above: Account): Account {
  let account = from
  while (account.parent !== undefined && account.parent !== above) account = account.parent
  return account
}

import type { Account } from './account.ts'
import { type Candidate, type Chosen, candidateOrder, type Request } from './candidates.ts'
import { allowed, type Contest, isOverBelow } from './pool.ts'
import { Shortlist } from './shortlist.ts'
import type { PreemptionPolicy } from './tree.ts'
import { type Pick, type Trial, takeUntilFits } from './trial.ts'

type CandidatesOf = (queue: string) => Iterable<Candidate>

/** `reclaim` may be taken by who ends without borrowing; `hierarchical` and `borrowing` also by who borrows. */
type Claim = 'hierarchical' | 'reclaim' | 'borrowing' | 'own'

interface Classified {
  candidate: Candidate
  account: Account
  /** What the request's queue and the candidate's are both part of. */
  common: Account
  claim: Claim
}

/**
 * Victims where priority alone decides: Kueue's classical preemption, in trees. A queue that, itself or with an ancestor,
 * stays within what is theirs has a hierarchical advantage over whoever borrowed it. Others may reclaim only what lets
 * them end without borrowing, unless `borrowWithinCohort` lets them take lower priorities while they borrow.
 */
export class Classical {
  readonly #trial: Trial
  readonly #contest: Contest
  readonly #classified: Classified[]

  constructor(trial: Trial, contest: Contest, candidatesOf: CandidatesOf) {
    this.#trial = trial
    this.#contest = contest
    this.#classified = [...classify(trial, contest, candidatesOf)]
  }

  /** In which order to try with and without borrowing; Kueue's. */
  attempts(): boolean[] {
    const { own, tree, request } = this.#trial
    const isForbidden = !borrowsOver(tree.policyOf(request.queue))
    const isUnderNominal = [...this.#contest.models].every((model) => own.usage(model) < own.quota(model))
    const hasForeign = this.#classified.some(({ claim }) => claim !== 'own')
    const hasHierarchical = this.#classified.some(({ claim }) => claim === 'hierarchical')
    if (!hasForeign || (isForbidden && !isUnderNominal)) return [true]
    return isForbidden && !hasHierarchical ? [false, true] : [true, false]
  }

  take(trial: Trial, mayBorrow: boolean): boolean {
    return takeUntilFits(trial, this.#picks(trial, mayBorrow))
  }

  *#picks(trial: Trial, mayBorrow: boolean): Generator<Pick> {
    const order = candidateOrder(trial.request.queue)
    const list = new Shortlist(
      this.#classified,
      (a, b) =>
        Number(b.candidate.leaving) - Number(a.candidate.leaving) ||
        turn[a.claim] - turn[b.claim] ||
        order(a.candidate, b.candidate),
    )
    for (let one = list.pop(); one !== undefined; one = list.pop()) {
      const { candidate, account, common, claim } = one
      if (mayBorrow && claim === 'reclaim') continue
      if (claim !== 'own' && !isOverBelow(account, common, candidate, this.#contest.models)) continue
      if (trial.helps(candidate)) yield { candidate, reason: reasonOf[claim] }
    }
  }
}

const turn: Record<Claim, number> = { hierarchical: 0, reclaim: 1, borrowing: 1, own: 2 }

const reasonOf: Record<Claim, Chosen['reason']> = {
  hierarchical: 'InCohortReclamation',
  reclaim: 'InCohortReclamation',
  borrowing: 'InCohortReclaimWhileBorrowing',
  own: 'InQueue',
}

/** Walks from the request's queue to the top, and at each step into all that the step before did not see. */
function* classify(trial: Trial, contest: Contest, candidatesOf: CandidatesOf): Generator<Classified> {
  const { own, tree, request } = trial
  const policy = tree.policyOf(request.queue)
  for (const candidate of allowed(policy, request, true, contest.models, candidatesOf(own.queue))) {
    yield { candidate, account: own, common: own, claim: 'own' }
  }
  if (policy.reclaimWithinCohort === 'Never') return
  let [below, rest] = [own, new Map(request.wants)]
  let hasAdvantage = false
  while (below !== contest.scope && below.parent !== undefined) {
    const common = below.parent
    hasAdvantage = isWithin(below, rest) || hasAdvantage
    rest = new Map([...rest].map(([model, milli]) => [model, Math.max(0, milli - below.unlentLeft(model))]))
    for (const account of borrowersBelow(common, below, contest.models)) {
      for (const candidate of allowed(policy, request, false, contest.models, candidatesOf(account.queue))) {
        const claim = hasAdvantage ? 'hierarchical' : claimWithoutAdvantage(policy, request, candidate, common)
        yield { candidate, account, common, claim }
      }
    }
    below = common
  }
}

function isWithin(account: Account, wants: ReadonlyMap<string, number>): boolean {
  return !account.isOver(wants.keys(), wants)
}

/** Queues below `account` that hold more than is theirs, through others that do, save those below `but`. */
function* borrowersBelow(account: Account, but: Account, models: readonly string[]): Generator<Account> {
  const open = [account]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const child of next.children) {
      if (child === but || !child.isOver(models)) continue
      if (child.children.length === 0) yield child
      else open.push(child)
    }
  }
}

/**
 * Between trees, weights decide, so that one which goes by priority and one which shares by weight cannot displace each
 * other in turn: there nobody takes anything in order to borrow.
 */
function claimWithoutAdvantage(
  policy: PreemptionPolicy,
  request: Request,
  candidate: Candidate,
  common: Account,
): 'reclaim' | 'borrowing' {
  const threshold = policy.borrowWithinCohort?.maxPriorityThreshold ?? Number.POSITIVE_INFINITY
  if (!borrowsOver(policy) || common.kind === 'fleet') return 'reclaim'
  return candidate.priority >= request.priority || candidate.priority > threshold ? 'reclaim' : 'borrowing'
}

function borrowsOver(policy: PreemptionPolicy): boolean {
  return policy.borrowWithinCohort?.policy === 'LowerPriority'
}

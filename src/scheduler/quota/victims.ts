import type { Candidate, Chosen, Request, Stage } from './candidates.ts'
import { Classical } from './classical.ts'
import { Displacements } from './displacements.ts'
import { takeByShare } from './fair.ts'
import { type Contest, contestsOf, couldFit } from './pool.ts'
import type { QuotaTree } from './tree.ts'
import { giveBackUnneeded, Trial } from './trial.ts'

/** The gangs that hold seats in a queue's name, in the order of `candidateOrder`. */
export type CandidatesOf = (queue: string) => Iterable<Candidate>

/**
 * Who has to leave so that the request, which does not fit now, fits; undefined: nobody is evicted for it. Victims that
 * leave already are among them. Leaves the stage and the tree as it found them.
 *
 * @param candidatesOf Asked only for queues that come into question.
 * @param displaced Whom the request must not displace, lest it go round; see there why it ends.
 */
export function victimsFor(
  tree: QuotaTree,
  request: Request,
  candidatesOf: CandidatesOf,
  stage: Stage,
  displaced = new Displacements(),
): Chosen[] | undefined {
  if (!couldFit(tree, request)) return undefined
  const search = tree.isFair(request.queue) ? byShare : byPriority
  for (const contest of contestsOf(tree, request)) {
    const chosen = search(tree, request, contest, sparing(tree, request, contest, candidatesOf, displaced), stage)
    if (chosen !== undefined) return chosen
  }
  return undefined
}

/** Without those whom the request has to spare because they displaced it. */
function sparing(
  tree: QuotaTree,
  { gang, queue, wants }: Request,
  contest: Contest,
  candidatesOf: CandidatesOf,
  displaced: Displacements,
): CandidatesOf {
  const displacers = displaced.displacersOf(gang)
  if (displacers.size === 0) return candidatesOf
  const isEntitled = !tree.isBorrowing(queue, contest.models, wants)
  const isFine = (one: Candidate) =>
    one.leaving ||
    !displacers.has(displaced.sideOf(one.key)) ||
    (isEntitled && one.queue !== queue && !displaced.wasExcepted(gang, one.key))
  return (of) => [...candidatesOf(of)].filter(isFine)
}

type Search = (
  tree: QuotaTree,
  request: Request,
  contest: Contest,
  candidatesOf: CandidatesOf,
  stage: Stage,
) => Chosen[] | undefined

const byShare: Search = (tree, request, contest, candidatesOf, stage) =>
  tried(new Trial(tree, request, stage, true), (trial) => takeByShare(trial, contest, candidatesOf))

const byPriority: Search = (tree, request, contest, candidatesOf, stage) => {
  const classical = new Classical(new Trial(tree, request, stage, true), contest, candidatesOf)
  for (const mayBorrow of classical.attempts()) {
    const chosen = tried(new Trial(tree, request, stage, mayBorrow), (trial) => {
      if (!classical.take(trial, mayBorrow)) return false
      giveBackUnneeded(trial)
      return true
    })
    if (chosen !== undefined) return chosen
  }
  return undefined
}

function tried(trial: Trial, take: (trial: Trial) => boolean): Chosen[] | undefined {
  try {
    if (!take(trial)) return undefined
    return trial.taken.map(({ candidate, reason }) => ({ key: candidate.key, reason }))
  } finally {
    trial.clear()
  }
}

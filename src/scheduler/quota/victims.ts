import type { Candidate, Chosen, Request, Stage } from './candidates.ts'
import { Classical } from './classical.ts'
import { takeByShare } from './fair.ts'
import { type Contest, contestsOf, couldFit } from './pool.ts'
import type { QuotaTree } from './tree.ts'
import { giveBackUnneeded, Trial } from './trial.ts'

/**
 * Who has to leave so that the request, which does not fit now, fits; undefined: nobody is evicted for it. Victims that
 * leave already are among them. Leaves the stage and the tree as it found them.
 *
 * @param candidatesOf The gangs that hold seats in the queue's name; asked only for queues that come into question.
 */
export function victimsFor(
  tree: QuotaTree,
  request: Request,
  candidatesOf: (queue: string) => Iterable<Candidate>,
  stage: Stage,
): Chosen[] | undefined {
  if (!couldFit(tree, request)) return undefined
  const search = tree.isFair(request.queue) ? byShare : byPriority
  for (const contest of contestsOf(tree, request)) {
    const chosen = search(tree, request, contest, candidatesOf, stage)
    if (chosen !== undefined) return chosen
  }
  return undefined
}

type Search = (
  tree: QuotaTree,
  request: Request,
  contest: Contest,
  candidatesOf: (queue: string) => Iterable<Candidate>,
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

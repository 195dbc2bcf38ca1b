import type { Gang } from '../model/kinds/gang.ts'
import type { Why } from './contract.ts'
import { type Candidate, type Family, families } from './fixes.ts'
import { acceleratorsHeld, countOf, describe, holdersOf, type Scene as Said, titleOf } from './reasons.ts'
import { type Scene, type Started, WhatIf } from './what-if.ts'

/** What explaining needs of a scheduler that has decided. */
export type Explained = Scene & Said

/** Computed on request: what is missing, who holds it, when it is expected, and edits that were tried and would start it now. */
export function explain(scheduler: Explained, key: string, nowMs: number): Why {
  const state = scheduler.gangs.get(key)
  if (state === undefined) return unknown(key)
  const { object: gang, inFlight } = state
  const about = whyBase(scheduler, key, gang)
  if (gang.spec.suspend)
    return { ...about, state: 'suspended', reason: 'Suspended', message: 'it is suspended or has ended' }
  const blocked = scheduler.line.laneOf(key)?.blocked?.verdict
  if (inFlight?.verdict.kind === 'bind' || blocked === undefined) {
    return { ...about, state: 'seated', reason: 'Scheduled', message: seatedMessage(gang, inFlight !== undefined) }
  }
  const placeInLine = scheduler.line.placeOf(key)
  return {
    ...about,
    state: 'waiting',
    ...describe(blocked, gang, scheduler),
    ...(placeInLine === undefined ? {} : { placeInLine }),
    ...expectedStart(scheduler, key, placeInLine ?? 1, nowMs),
    fixes: fixesOf(scheduler, key, gang, about.holders, nowMs),
  }
}

function expectedStart(scheduler: Explained, key: string, place: number, nowMs: number): Pick<Why, 'expectedStart'> {
  const start = scheduler.startOf(key, nowMs)
  if (start === undefined) return {}
  const ahead = place > 1 ? `, if the ${place - 1} before it in line leave it that` : ''
  const basis = `by the declared or measured ends of what runs${ahead}`
  return { expectedStart: { earliest: new Date(start.atMs).toISOString(), basis } }
}

const fixesMax = 5
/** An edit of more parts is not looked through for parts that it could do without. */
const partsMax = 16

function fixesOf(scheduler: Explained, key: string, gang: Gang, holders: Why['holders'], nowMs: number): string[] {
  const whatIf = new WhatIf(scheduler, key, nowMs)
  const found: string[] = []
  for (const family of families(scheduler, key, gang, holders)) {
    if (found.length === fixesMax) break
    const fix = smallest(family, (candidate) => whatIf.starts(candidate.edit))
    if (fix !== undefined) found.push(said(scheduler, fix))
  }
  return found
}

interface Fix {
  candidate: Candidate
  started: Started
}

/** The smallest of the family that helps, without the parts that it does not need. */
function smallest({ sizes, without }: Family, starts: (candidate: Candidate) => Started | undefined): Fix | undefined {
  const tried = (candidate: Candidate | undefined): Fix | undefined => {
    const started = candidate === undefined ? undefined : starts(candidate)
    return candidate === undefined || started === undefined ? undefined : { candidate, started }
  }
  let best = tried(sizes.at(-1))
  if (best === undefined) return undefined
  let [low, high] = [0, sizes.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    const fix = tried(sizes[middle])
    if (fix === undefined) low = middle + 1
    else [high, best] = [middle, fix]
  }
  if (without === undefined || high >= partsMax) return best
  for (let index = high; index >= 0; index--) best = tried(without(best.candidate, index)) ?? best
  return best
}

function said(scheduler: Explained, { candidate, started: { evicts } }: Fix): string {
  if (evicts.length === 0) return candidate.says
  const [first, ...others] = evicts.map(({ gang }) => titleOf(gang, scheduler.gangs.get(gang)?.object))
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  const lost = Math.round(evicts.reduce((sum, { lostSeconds }) => sum + lostSeconds, 0))
  return `${candidate.says} (displaces ${first}${more}: ${lost} accelerator-seconds of work)`
}

function whyBase(scheduler: Explained, key: string, gang: Gang): Why {
  const models = [...new Set(gang.spec.groups.flatMap((group) => group.accelerators.map((one) => one.model)))]
  return {
    gang: key,
    state: 'unknown',
    reason: '',
    message: '',
    asked: {
      members: gang.spec.groups.reduce((sum, group) => sum + group.min, 0),
      accelerators: totals(gang),
    },
    free: models.map((model) => {
      const { free, total } = countOf(scheduler.fleet, model)
      return { model, count: free, total }
    }),
    holders: models.flatMap((model) => {
      const { total } = countOf(scheduler.fleet, model)
      return holdersOf(scheduler, acceleratorsHeld(model)).map(({ gang: holder, queue, held, priority }) => ({
        gang: holder,
        queue,
        model,
        accelerators: held,
        share: total === 0 ? 0 : held / total,
        priority,
      }))
    }),
    fixes: [],
  }
}

/** By each group's preferred alternative. */
function totals(gang: Gang): { model: string; count: number }[] {
  const sums = new Map<string, number>()
  for (const { min, accelerators } of gang.spec.groups) {
    const [first] = accelerators
    if (first !== undefined) sums.set(first.model, (sums.get(first.model) ?? 0) + min * first.count)
  }
  return [...sums].map(([model, count]) => ({ model, count }))
}

function seatedMessage(gang: Gang, startsNow: boolean): string {
  const members = gang.status?.seats?.members ?? []
  if (startsNow) return 'there is room: it is being seated now'
  const nodes = [...new Set(members.map((member) => member.node))]
  return `${members.length} ${members.length === 1 ? 'member sits' : 'members sit'} on ${nodes.join(', ')}`
}

function unknown(key: string): Why {
  return {
    gang: key,
    state: 'unknown',
    reason: 'NotFound',
    message: `there is no gang ${key}`,
    asked: { members: 0, accelerators: [] },
    free: [],
    holders: [],
    fixes: [],
  }
}

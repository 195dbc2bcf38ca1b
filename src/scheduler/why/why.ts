import type { Gang } from '../../model/kinds/gang.ts'
import type { Why } from '../contract.ts'
import { wantsOf } from '../gangs.ts'
import { type Blocked, isPreempting } from '../line/line.ts'
import { counted } from './counted.ts'
import type { Explained } from './explained.ts'
import { type Candidate, type Family, families } from './fixes.ts'
import { forecast } from './forecast.ts'
import { describe, type Holders, holdersOfShortage, preemptingMessage, titleOf } from './reasons.ts'
import { seated } from './seated.ts'
import { type Started, WhatIf } from './what-if.ts'

/** Computed on request: what is missing, who holds it, when it is expected, and edits that were tried and would start it now. */
export function explain(scheduler: Explained, key: string, nowMs: number): Why {
  const state = scheduler.gangs.get(key)
  if (state === undefined) return unknown(key)
  const { object: gang, inFlight } = state
  const about = whyBase(scheduler, key, gang)
  if (gang.spec.suspend)
    return { ...about, state: 'suspended', reason: 'Suspended', message: 'it is suspended or has ended' }
  if (inFlight?.verdict.kind === 'preempt') {
    return { ...about, state: 'waiting', reason: 'Preempting', message: preemptingMessage(inFlight.verdict.victims) }
  }
  if (inFlight?.verdict.kind === 'bind')
    return { ...about, state: 'seated', reason: 'Scheduled', message: 'there is room: it is being seated now' }
  if (gang.status?.seats?.attempt === gang.spec.attempt)
    return { ...about, state: 'seated', ...seated(scheduler, state, nowMs) }
  const blocked = scheduler.line.laneOf(key)?.verdictOn(key)
  if (blocked === undefined)
    return { ...about, state: 'waiting', reason: 'Pending', message: 'it has not been decided about yet' }
  const placeInLine = scheduler.line.placeOf(key)
  const holders = blocked.kind === 'queue' ? nobody : holdersOfShortage(blocked.shortage, gang, scheduler)
  const expectedStart = blocked.kind === 'queue' ? undefined : forecast(scheduler, state, blocked, holders, nowMs)
  return {
    ...about,
    state: 'waiting',
    ...describe(blocked, gang, scheduler, holders),
    ...shown(scheduler, blocked, holders),
    ...(placeInLine === undefined ? {} : { placeInLine }),
    ...(expectedStart === undefined ? {} : { expectedStart }),
    // Who only waits for others to leave is about to start.
    fixes: isPreempting(blocked) ? [] : fixesOf(scheduler, key, gang, nowMs),
  }
}

const nobody: Holders = { named: [], others: { count: 0, held: 0 } }

function shown(scheduler: Explained, blocked: Blocked, { named, others }: Holders): Pick<Why, 'holders' | 'others'> {
  if (blocked.kind === 'queue') return { holders: [] }
  const { kind, alternative } = blocked.shortage
  const { model } = alternative
  const isOfAccelerators = !['cpu', 'memory', 'company'].includes(kind)
  const total = isOfAccelerators ? scheduler.fleet.countOf(model).total : 0
  const holders = named.map(({ gang, queue, priority, held }) => ({
    gang,
    queue,
    priority,
    model,
    accelerators: isOfAccelerators ? held : 0,
    share: total === 0 ? 0 : held / total,
  }))
  return others.count === 0 ? { holders } : { holders, others: { gangs: others.count, accelerators: others.held } }
}

const fixesMax = 5
/** As a Queue has it that does not say. */
const defaultMaxPrice = 0.25
/** An edit of more parts is not looked through for parts that it could do without. */
const partsMax = 16

function fixesOf(scheduler: Explained, key: string, gang: Gang, nowMs: number): string[] {
  const whatIf = new WhatIf(scheduler, key, nowMs)
  const found: string[] = []
  for (const family of families(scheduler, key, gang, nowMs)) {
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

/** The smallest of the family that helps, without the parts that it does not need: found by doubling, then bisection. */
function smallest(
  { from, count, at, without }: Family,
  starts: (candidate: Candidate) => Started | undefined,
): Fix | undefined {
  const tried = (size: number | Candidate): Fix | undefined => {
    const candidate = typeof size === 'number' ? at(size) : size
    const started = starts(candidate)
    return started === undefined ? undefined : { candidate, started }
  }
  let [low, high, step] = [from - 1, from, 1]
  let best = count < from ? undefined : tried(from)
  while (best === undefined && high < count) {
    low = high
    high = Math.min(count, high + step)
    step *= 2
    best = tried(high)
  }
  if (best === undefined) return undefined
  while (high - low > 1) {
    const middle = (low + high) >> 1
    const fix = tried(middle)
    if (fix === undefined) low = middle
    else [high, best] = [middle, fix]
  }
  if (without === undefined || high > partsMax) return best
  for (let index = high - 1; index >= 0; index--) {
    const less = without(best.candidate, index)
    best = (less === undefined ? undefined : tried(less)) ?? best
  }
  return best
}

function said(scheduler: Explained, { candidate, started: { evicts, gainSeconds } }: Fix): string {
  if (evicts.length === 0) return candidate.says
  const [first, ...others] = evicts.map(({ gang }) => titleOf(gang, scheduler.gangs.get(gang)?.object))
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  const lost = Math.round(evicts.reduce((sum, { lostSeconds }) => sum + lostSeconds, 0))
  if (gainSeconds === undefined)
    return `${candidate.says} (displaces ${first}${more}: ${counted(lost, 'accelerator-second')} of work)`
  const maxPrice = Math.max(defaultMaxPrice, Math.ceil((100 * lost) / gainSeconds) / 100)
  const gained = Math.round(gainSeconds)
  return `${candidate.says}, spec.defragmentation.maxPrice: ${maxPrice} (moves ${first}${more}: ${counted(lost, 'accelerator-second')} of work for ${gained})`
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
      accelerators: [...wantsOf(gang)].map(([model, milli]) => ({ model, count: milli / 1000 })),
    },
    free: models.map((model) => {
      const { free, total } = scheduler.fleet.countOf(model)
      return { model, count: free, total }
    }),
    holders: [],
    fixes: [],
  }
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

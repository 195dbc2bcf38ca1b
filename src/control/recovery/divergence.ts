import { health } from '../../model/health.ts'
import type { RecoveryRecord } from './record.ts'

/** A loss that rises a third time within a day, wherever the job runs, is the job's own. */
const spikesMax = health.lossSpikesOfJob.at
const windowMs = 1000 * health.lossSpikesOfJob.withinSeconds

/** One member, as its agent tells it. */
export interface Told {
  node: string
  step: number | undefined
  isSpike: boolean
}

/**
 * Nodes that may be to blame for a loss that rose at this step: all but those whose ranks have told that step with a loss as
 * usual. Where the loss is that of all ranks together, as mostly, none is acquitted.
 */
export function suspectsOf(members: readonly Told[], spikeStep: number): string[] {
  const acquitted = new Set(
    members.flatMap(({ node, step = -1, isSpike }) => (!isSpike && step >= spikeStep ? [node] : [])),
  )
  const guilty = members.flatMap(({ node, isSpike }) => (isSpike ? [node] : []))
  const nodes = new Set(members.map(({ node }) => node))
  return [...nodes].filter((node) => !acquitted.has(node) || guilty.includes(node)).toSorted()
}

/** What comes of it: whom to leave, or that there is no further attempt. */
export interface Divergence {
  record: Pick<RecoveryRecord, 'spikesMs' | 'suspects'>
  /** The one node that it happened on both times. */
  blamed?: string
  isJobs: boolean
}

/** The first time nobody is blamed: the work is done again. Who was there both times, alone, is. */
export function divergenceAfter(before: RecoveryRecord, suspects: readonly string[], nowMs: number): Divergence {
  const spikesMs = [...before.spikesMs.filter((atMs) => atMs > nowMs - windowMs), nowMs]
  const again = suspects.filter((node) => before.suspects.includes(node))
  const left = again.length > 0 ? again : [...suspects]
  const isJobs = spikesMs.length >= spikesMax
  if (again.length !== 1 || isJobs) return { record: { spikesMs, suspects: left }, isJobs }
  return { record: { spikesMs, suspects: [] }, blamed: again[0] ?? '', isJobs }
}

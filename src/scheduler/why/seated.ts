import type { Why } from '../contract.ts'
import type { GangState } from '../gangs.ts'
import type { ExpectedEnd } from '../line/reservations.ts'
import { counted } from './counted.ts'
import { displaceableBy } from './displaceable.ts'
import type { Explained } from './explained.ts'
import { growthOf } from './growing.ts'
import { hereOf } from './here.ts'

type Seated = Pick<Why, 'reason' | 'message' | 'here' | 'displaceable' | 'expectedEnd' | 'growth'>

/** Of a gang that sits: why here, who may displace it, until when it sits, and why it is not larger. */
export function seated(scheduler: Explained, state: GangState, nowMs: number): Seated {
  const { seats, eviction, resize } = state.object.status ?? {}
  const sits = sitsMessage(seats?.members ?? [])
  if (eviction !== undefined && eviction.attempt === seats?.attempt)
    return { reason: 'Leaving', message: `${sits} and leaves: ${eviction.message}` }
  if (state.leaving)
    return { reason: 'Leaving', message: `${sits}; its seats are kept for another that it is to leave for` }
  const end = scheduler.ends.get(state.key)
  const about = {
    here: hereOf(scheduler, state),
    displaceable: displaceableBy(scheduler, state, nowMs),
    ...(end === undefined ? {} : { expectedEnd: endSaid(end) }),
  }
  if (resize !== undefined && resize.attempt === seats?.attempt)
    return { ...about, reason: 'Resizing', message: `${sits}; it ${resize.message}` }
  const growth = growthOf(scheduler, state, nowMs)
  return { ...about, ...(growth === undefined ? {} : { growth }), reason: 'Scheduled', message: sits }
}

const nodesNamed = 8

function sitsMessage(members: readonly { node: string }[]): string {
  const nodes = [...new Set(members.map(({ node }) => node))]
  const named = nodes.slice(0, nodesNamed).join(', ')
  const more = nodes.length > nodesNamed ? ` and ${counted(nodes.length - nodesNamed, 'more node')}` : ''
  return `${counted(members.length, 'member sits', 'members sit')} on ${named}${more}`
}

function endSaid({ atMs, earliestMs, latestMs, basis }: ExpectedEnd): NonNullable<Why['expectedEnd']> {
  const time = (ms: number) => new Date(ms).toISOString()
  return {
    at: time(atMs),
    earliest: time(earliestMs),
    latest: time(latestMs),
    basis: basis === 'pace' ? 'by its steps and its pace' : 'as declared (expectedSeconds)',
  }
}

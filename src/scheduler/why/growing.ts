import type { Gang } from '../../model/kinds/gang.ts'
import { acceleratorsHeld } from '../../model/seats.ts'
import { unbound } from '../fit/parts.ts'
import { seatsOf } from '../fit/seats.ts'
import type { GangState } from '../gangs.ts'
import {
  gainPerPrice,
  idleSeconds,
  noFewer,
  placesFor,
  restartsApart,
  sizeMax,
  whoWants,
  worthOf,
} from '../line/growth.ts'
import type { Explained } from './explained.ts'
import { titleOf } from './reasons.ts'

/** Why an elastic gang that sits with fewer members than it could have does not grow now, and when it would. */
export function growthOf(scene: Explained, state: GangState, nowMs: number): string | undefined {
  const { object } = state
  const from = object.status?.seats?.members.length ?? 0
  if (from >= sizeMax(object)) return undefined
  const more = noFewer(object, scene.fleet)
  const wanted = whoWants(scene.line, more)
  if (wanted !== undefined) {
    const title = titleOf(wanted.key, scene.gangs.get(wanted.key)?.object)
    return `not while ${title} is in line for ${wanted.model}`
  }
  const placed = placesFor(scene, state, more)
  if (placed.length === 0) {
    const apart = placesFor(scene, state, unbound(more)).length
    return apart === 0
      ? 'not now: there is no room for more'
      : `not now: there is room for ${apart} more, ${notThereOf(object)}`
  }
  const gpus = acceleratorsHeld(seatsOf(more, placed).members)
  const worth = worthOf(object, gpus, nowMs)
  if (worth === undefined) return undefined
  if (object.spec.rejoins === true)
    return `${sizeSaid(object, from, placed.length)} once that room has been idle for ${idleSeconds} s: they join it while it runs`
  return `${sizeSaid(object, from, placed.length)} ${whenSaid(worth)}`
}

/** Why it joins nobody elsewhere. */
function notThereOf({ spec }: Gang): string {
  const topologies = [spec, ...spec.groups].flatMap(({ topology }) => topology ?? [])
  const required = topologies.find((one) => one.required !== undefined)?.required
  const preferred = topologies.find((one) => one.preferred !== undefined)?.preferred
  if (required !== undefined) return `but not in the ${required} that it requires`
  return preferred === undefined
    ? 'but not where it has to be'
    : `but not in the ${preferred} that it prefers and sits in`
}

function sizeSaid(gang: Gang, from: number, more: number): string {
  return `from ${from} to ${from + more} of ${sizeMax(gang)} members`
}

function whenSaid({ satSeconds, price, gainSeconds, priceSeconds, isRested }: NonNullable<ReturnType<typeof worthOf>>) {
  const restSeconds = restartsApart * price.restartSeconds
  if (!isRested) {
    return `in ${Math.ceil(restSeconds - satSeconds)} s at the earliest: it has sat for ${Math.round(satSeconds)} s of ${restartsApart} × ${round(price.restartSeconds)} s to restart`
  }
  if (gainSeconds < gainPerPrice * priceSeconds) {
    return `not before its next checkpoint: it gains ${Math.round(gainSeconds)} accelerator-seconds, less than ${gainPerPrice} times the ${Math.round(priceSeconds)} that starting again costs`
  }
  return `once that room has been idle for ${idleSeconds} s: it gains ${Math.round(gainSeconds)} accelerator-seconds for ${Math.round(priceSeconds)}`
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10
}

import { type FieldError, fieldError } from './field-error.ts'
import { gangOfJob } from './gangs.ts'
import type { Gang } from './kinds/gang.ts'
import { plainLimits } from './plain.ts'
import type { Resource } from './registry.ts'

/** What seats may take of the values that a Gang may have; the rest is for its checkpoints and whatever else is known. */
const seatValuesMax = 0.9 * plainLimits.gangNodes
/** A seat by itself, its pod, group, rank, local rank, node, and its lists of devices and ports. */
const valuesOfSeat = 8
/** Its address, and that it joined. */
const valuesOfRejoining = 2
/** A device by itself, its id and its share. */
const valuesOfDevice = 3

/** Seats are written to one object, all at once: a gang whose seats it could not hold is refused before it waits for them. */
export function seatValueErrors(resource: Resource): FieldError[] {
  if (resource.kind === 'Gang') return tooManySeats(resource.spec, ['spec', 'groups'])
  if (resource.kind !== 'TrainingJob') return []
  const field = resource.spec.groups === undefined ? 'workers' : 'groups'
  return tooManySeats(gangOfJob(resource).spec, ['spec', field])
}

function tooManySeats({ groups, rejoins }: Gang['spec'], at: readonly string[]): FieldError[] {
  const ofSeat = valuesOfSeat + (rejoins === true ? valuesOfRejoining : 0)
  let [members, values] = [0, 0]
  for (const { max, accelerators, ports } of groups) {
    const devices = Math.max(...accelerators.map(({ count }) => Math.ceil(count)))
    members += max
    values += max * (ofSeat + ports + valuesOfDevice * devices)
  }
  if (values <= seatValuesMax) return []
  const most = Math.floor((members * seatValuesMax) / values)
  return [
    fieldError(at, `must have at most ${most} such members together, for their seats are written in one piece`, {
      found: String(members),
    }),
  ]
}

import { health } from '../../model/health.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { drained, faulty, slow, unhealthy } from '../../model/nodes.ts'
import { seenMs } from '../gangs.ts'
import type { Context } from '../reconciler.ts'
import { progressNow, stepAhead } from './checkpoints.ts'
import { patchGang } from './gang.ts'
import type { Seen } from './job.ts'

/** The checkpoint that was asked for when a node was to be left: `ATTEMPT/STEP/WHEN`. */
const askedAnnotation = 'millwright.dev/checkpoint-before-leaving'

/** A spot instance on AWS has two minutes' notice, of which half a minute is left for the grace period. */
const noticeMs = 1000 * health.leavingNotice.at
const patientMs = 1000 * health.leavingPatient.at
/** What a person, or recovery, says of a node that is not going away. */
const patient: ReadonlySet<string> = new Set([drained, slow, faulty, unhealthy])

/**
 * Work that is to leave a node writes a checkpoint while it still works, and leaves once that is durable: within a grace
 * period it often would not be. How long it is to wait for that; 0: no more, or there is nothing to wait for.
 */
export async function checkpointFirst(context: Context, seen: Seen): Promise<number> {
  const { job, gang, nowMs } = seen
  const { checkpoint } = gang.status ?? {}
  const now = progressNow(seen)
  if (now === undefined || (checkpoint === undefined && job.spec.checkpoint.interval === undefined)) return 0
  const [attempt = 0, step = 0, askedMs = 0] = (gang.metadata.annotations?.[askedAnnotation] ?? '')
    .split('/')
    .map(Number)
  const said = context.leaving.saidTo(gang)
  const msMax = said !== undefined && patient.has(said) ? patientMs : noticeMs
  if (attempt !== gang.spec.attempt) {
    const at = stepAhead(now)
    await patchGang(context, gang, {
      metadata: { annotations: { [askedAnnotation]: `${gang.spec.attempt}/${at}/${nowMs}` } },
      spec: { checkpointRequest: { step: at, stop: false } },
    })
    return msMax
  }
  if (checkpoint?.attempt === attempt && checkpoint.step >= step) return 0
  return Math.max(0, msMax - context.ages.of(`${gang.metadata.uid} leaves`, askedMs, seenMs))
}

/** The node stays after all: whoever is to leave it later in this attempt writes another checkpoint first. */
export async function forgetLeaving(context: Context, gang: Gang): Promise<'nothing' | 'written' | 'stale'> {
  if (gang.metadata.annotations?.[askedAnnotation] === undefined) return 'nothing'
  return patchGang(context, gang, { metadata: { annotations: { [askedAnnotation]: null } } })
}

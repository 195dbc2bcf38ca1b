import { conditionOf, isTrue } from '../../model/conditions.ts'
import { formatDuration } from '../../model/duration.ts'
import { faults, lastsMsOf, mayLeaveUnharmed, noticeMsOf } from '../../model/faults.ts'
import type { Drill } from '../../model/kinds/drill.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { label } from '../../model/names.ts'
import { refOfKey } from '../../model/refs.ts'
import { attemptOf } from '../gangs.ts'
import type { Context } from '../reconciler.ts'
import { recoveryOf } from '../recovery/record.ts'
import { slowestStep } from './choose.ts'

type Struck = NonNullable<NonNullable<Drill['status']>['target']>['gangs'][number]

/** How far what was struck has come. */
export interface Followed {
  detectedMs: number | undefined
  recoveredMs: number | undefined
  reason: string | undefined
  attempts: number
  lostSeconds: number
  /** The slowest mean of recent steps of what was struck, so far. */
  stepSeconds: number | undefined
  /** Why it will not come back, and since when. */
  trouble: { message: string; atMs: number } | undefined
}

/** What is known of it is read off resources alone: another leader finds the same. What was written once stays. */
export function follow(context: Context, drill: Drill, struckMs: number): Followed {
  const { detectedAt, recoveredAt, stepSeconds, target } = drill.status ?? {}
  const gangs = (target?.gangs ?? []).map((struck) => followGang(context, drill, struck))
  const detected = gangs.flatMap(({ detectedMs }) => detectedMs ?? [])
  const allBack = gangs.every(({ recoveredMs }) => recoveredMs !== undefined)
  const backMs =
    gangs.length === 0
      ? alone(context, drill)
      : allBack
        ? Math.max(...gangs.map((one) => one.recoveredMs ?? 0))
        : undefined
  const attempts = gangs.reduce((sum, one) => sum + one.attempts, 0)
  return {
    detectedMs: known(detectedAt) ?? (detected.length === 0 ? undefined : Math.max(struckMs, Math.min(...detected))),
    recoveredMs: known(recoveredAt) ?? (backMs === undefined ? undefined : Math.max(struckMs, backMs)),
    reason: gangs.find(({ reason }) => reason !== undefined)?.reason,
    attempts,
    lostSeconds: gangs.reduce((sum, { lostSeconds }) => sum + lostSeconds, 0),
    stepSeconds: slowest([stepSeconds, ...gangs.map((one) => one.stepSeconds)]),
    trouble: gangs.find(({ trouble }) => trouble !== undefined)?.trouble ?? cutShort(drill, attempts),
  }
}

/** Of means that are known. */
export function slowest(means: readonly (number | undefined)[]): number | undefined {
  const told = means.flatMap((mean) => mean ?? [])
  return told.length === 0 ? undefined : Math.max(...told)
}

/** A timer may be early. */
const earlyMsMax = 1_000

/** What was undone before its time, or before anybody noticed where it had none, shows nothing. */
function cutShort({ spec: { fault }, status }: Drill, attempts: number): Followed['trouble'] {
  const [struckMs, mendedMs] = [known(status?.struckAt), known(status?.mendedAt)]
  if (struckMs === undefined || mendedMs === undefined) return undefined
  const lastsMs = lastsMsOf(fault)
  const wholeMs = lastsMs === undefined ? undefined : noticeMsOf(fault) + lastsMs
  const isWhole = wholeMs === undefined ? attempts > 0 : mendedMs >= struckMs + wholeMs - earlyMsMax
  if (isWhole) return undefined
  const long = wholeMs === undefined ? '' : `, not ${formatDuration(wholeMs)}`
  const over = `over after ${formatDuration(mendedMs - struckMs)}${long}`
  return { message: `cut short: ${over}; the factory was stopped, or died`, atMs: mendedMs }
}

/** Nothing lasts any more of what it did to those that work again: who hung goes on, or was replaced. */
export function isOver({ spec, status }: Drill): boolean {
  return faults[spec.fault.kind].strikes === 'process' || status?.mendedAt !== undefined
}

/** Where no work was struck: another leader leads, the nodes are back, or a clock is right again; who stood still may lead on. */
function alone({ views, clock, epoch }: Context, { spec, status }: Drill): number | undefined {
  const { kind } = spec.fault
  const isSucceeded = epoch > (status?.target?.epoch ?? epoch)
  if ((kind === 'control-plane-crash' || kind === 'control-plane-pause') && isSucceeded) return clock.now()
  if (kind === 'control-plane-crash') return undefined
  const nodes = (status?.target?.nodes ?? []).map((name) => views.of('Node').get({ name }))
  const areReady = nodes.every((node) => node === undefined || isTrue(node.status?.conditions, 'Ready'))
  return areReady && status?.mendedAt !== undefined ? clock.now() : undefined
}

function followGang(context: Context, drill: Drill, struck: Struck): Followed {
  const gang = context.views.of('Gang').get(refOfKey(struck.name))
  const nothing = {
    detectedMs: undefined,
    recoveredMs: undefined,
    reason: undefined,
    attempts: 0,
    lostSeconds: 0,
    stepSeconds: undefined,
    trouble: undefined,
  }
  const isService = struck.owner.startsWith('InferenceService/')
  // A replica that is replaced, or not wanted any more, leaves nothing behind that would have to come back.
  if (gang === undefined)
    return isService
      ? { ...nothing, recoveredMs: context.clock.now() }
      : { ...nothing, trouble: { message: `${struck.owner} was deleted`, atMs: 0 } }
  const attempts = Math.max(0, gang.spec.attempt - struck.attempt)
  const { last, lostSeconds } = recoveryOf(gang)
  const isDecided = last !== undefined && last.attempt >= struck.attempt
  return {
    detectedMs: isDecided || attempts > 0 ? context.clock.now() : undefined,
    recoveredMs: attempts > 0 ? backMs(context, gang, struck) : unharmedMs(context, drill, gang),
    reason: isDecided ? last.reason : undefined,
    attempts,
    lostSeconds: Math.max(0, lostSeconds - struck.lostSeconds),
    stepSeconds: drill.status?.mendedAt === undefined ? slowestStep(context, gang, struck.attempt) : undefined,
    trouble: troubleOf(context, gang, struck),
  }
}

/** When a later attempt of it worked: of a job that tells its steps, did the first. */
function backMs(context: Context, gang: Gang, struck: Struck): number | undefined {
  const { views, clock } = context
  const pods = views.podsOf(gang).filter((pod) => attemptOf(pod) === gang.spec.attempt)
  const job = jobOf(context, gang)
  if (job === undefined) return pods.some(({ status }) => isTrue(status?.conditions, 'Ready')) ? clock.now() : undefined
  if (job.status?.phase === 'Succeeded') return Date.parse(job.status.completionTime ?? '')
  const later = views.reportsOf(gang).filter(({ spec }) => (spec.attempt ?? 0) > struck.attempt)
  const steps = later.flatMap(({ status }) => status?.firstStepAtMs ?? [])
  if (steps.length > 0) return Math.min(...steps)
  const runs = job.status?.phase === 'Running' && (job.status.attempt ?? 0) > struck.attempt
  return runs && job.status?.step === undefined ? clock.now() : undefined
}

/** What only stood still, was slow or waited may have gone on as it was, or come to its end. */
function unharmedMs(context: Context, drill: Drill, gang: Gang): number | undefined {
  const { views } = context
  const { kind } = drill.spec.fault
  const { mendedAt } = drill.status ?? {}
  if (!mayLeaveUnharmed(kind) || mendedAt === undefined) return undefined
  if (jobOf(context, gang)?.status?.phase === 'Succeeded') return Date.parse(mendedAt)
  const pods = views.podsOf(gang).filter((pod) => attemptOf(pod) === gang.spec.attempt)
  const isWell = pods.every(
    ({ status }) => status?.phase === 'Running' && conditionOf(status.conditions, 'Ready')?.status !== 'False',
  )
  const hangs = views.reportsOf(gang).some(({ status }) => status?.hungSinceMs !== undefined)
  return isWell && !hangs ? Date.parse(mendedAt) : undefined
}

function troubleOf(context: Context, gang: Gang, { owner }: Struck): Followed['trouble'] {
  const { phase, message = '', completionTime = '' } = jobOf(context, gang)?.status ?? {}
  return phase === 'Failed'
    ? { message: `${owner} has failed: ${message}`, atMs: Date.parse(completionTime) }
    : undefined
}

function jobOf({ views }: Context, { metadata }: Gang) {
  const name = metadata.labels?.[label.job]
  return name === undefined ? undefined : views.of('TrainingJob').get({ name, namespace: metadata.namespace })
}

function known(at: string | undefined): number | undefined {
  return at === undefined ? undefined : Date.parse(at)
}

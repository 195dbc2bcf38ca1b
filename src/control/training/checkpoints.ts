import { OperatingError } from '../../base/errors.ts'
import { sha256Of } from '../../blob/file/sha256.ts'
import { readManifest } from '../../blob/manifest.ts'
import { durationMs } from '../../model/duration.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { keyOf } from '../../model/refs.ts'
import { autoInterval } from '../../model/reliability.ts'
import { nodesUnder, seatsNow } from '../../model/seats.ts'
import {
  committedOf,
  evictionNow,
  type GangStatus,
  gangStatusOf,
  membersRejoin,
  type ReportStatus,
  stopIsAsked,
} from '../gangs.ts'
import { again, type Context, type Outcome, settled } from '../reconciler.ts'
import { patchGang } from './gang.ts'
import { rankCount, rankOf, requestMsMax, type Seen } from './job.ts'
import { keptAmong } from './poison.ts'

type Shipped = ReportStatus['checkpoints'][number]
type Committed = NonNullable<GangStatus['checkpoint']>

/** What training remembers of its gangs' checkpoints, by the gang's uid: the next leader finds it out again. */
export interface CheckpointMemory {
  /** When each was asked for one last, in steady time. */
  askedAtMs: Map<string, number>
  /** Steps that did not read back whole, by their manifests: nobody need read and tell of them again. */
  damaged: Map<string, Set<string>>
}

export function newCheckpointMemory(): CheckpointMemory {
  return { askedAtMs: new Map(), damaged: new Map() }
}

export function forgetCheckpoints({ askedAtMs, damaged }: CheckpointMemory, { metadata: { uid = '' } }: Gang): void {
  askedAtMs.delete(uid)
  damaged.delete(uid)
}

/**
 * Records the newest step that every writer of the present attempt has shipped and that reads back whole. The write is a
 * compare-and-set on the gang, whose attempt it names: an older incarnation that still lives somewhere cannot commit.
 * Storage that does not answer holds up nothing of a job that works: it is looked again later.
 */
export async function commitCheckpoint(
  context: Context,
  seen: Seen,
  memory: CheckpointMemory,
): Promise<'committed' | 'nothing new' | Later> {
  const { uid = '' } = seen.gang.metadata
  for (const set of completeSets(seen)) {
    const name = set.map(({ manifest }) => manifest).join()
    const damaged = memory.damaged.get(uid)
    if (damaged?.has(name)) continue
    const problem = await problemWith(context, set).catch(laterOr)
    if (typeof problem === 'object') {
      const step = set[0]?.step
      context.log.warn('a checkpoint cannot be read back yet', { job: keyOf(seen.job), step, error: problem.message })
      return { ...problem, message: `waits until its checkpoint of step ${step} can be read back: ${problem.message}` }
    }
    if (problem !== undefined) {
      memory.damaged.set(uid, (damaged ?? new Set()).add(name))
      context.events.record(seen.job, 'Warning', 'CheckpointDamaged', `step ${set[0]?.step} is not used: ${problem}`)
      continue
    }
    memory.damaged.delete(uid)
    await context.store.updateStatus('Gang', { ...seen.gang, status: statusWith(seen, set) })
    return 'committed'
  }
  return 'nothing new'
}

/** One is stored that cannot be read back yet. No later attempt can commit it. */
export interface Later {
  message: string
  retryAfterMs: number
}

function laterOr(error: unknown): Later {
  if (!(error instanceof OperatingError) || error.policy === 'give-up') throw error
  return { message: error.message, ...error.policy }
}

/** Per step newer than the committed one, newest first: what each writer shipped, by rank. */
function completeSets(seen: Seen): Shipped[][] {
  const { job, gang, pods } = seen
  const committed = gang.status?.checkpoint
  const isNew = ({ step }: Shipped) =>
    committed === undefined || committed.attempt < gang.spec.attempt || step > committed.step
  if (membersRejoin(gang)) return wholeOnes(seen, isNew)
  const writers = job.spec.checkpoint.ranks === 'all' ? pods : pods.filter((pod) => rankOf(pod) === 0)
  const isShort = job.spec.checkpoint.ranks === 'all' && writers.length < rankCount(seen)
  if (writers.length === 0 || isShort || writers.some((pod) => rankOf(pod) === undefined)) return []
  const byStep = new Map<number, Map<string, Shipped>>()
  for (const pod of writers) {
    const { name } = pod.metadata
    for (const shipped of seen.reportOf(name)?.checkpoints ?? []) {
      if (!isNew(shipped)) continue
      const set = byStep.get(shipped.step) ?? new Map<string, Shipped>()
      byStep.set(shipped.step, set.set(name, shipped))
    }
  }
  return [...byStep.entries()]
    .filter(([, set]) => set.size === writers.length)
    .sort(([a], [b]) => b - a)
    .map(([, set]) => [...set.values()].sort((a, b) => a.rank - b.rank))
}

/** Where ranks come and go, whichever writes a checkpoint writes all of it. */
function wholeOnes({ pods, reportOf }: Seen, isNew: (shipped: Shipped) => boolean): Shipped[][] {
  const all = pods.flatMap(({ metadata }) => reportOf(metadata.name)?.checkpoints ?? [])
  return all
    .filter(isNew)
    .sort((a, b) => b.step - a.step || a.rank - b.rank)
    .map((one) => [one])
}

async function problemWith({ blobs }: Context, set: readonly Shipped[]): Promise<string | undefined> {
  for (const { manifest, digest } of set) {
    const read = await readManifest(blobs, manifest)
    if (read.kind === 'missing') return `${manifest} is not in the blob store`
    if (read.kind === 'damaged') return read.message
    if (read.digest !== digest) return `${manifest} is not what was reported`
  }
  return undefined
}

function statusWith(seen: Seen, set: readonly Shipped[]): GangStatus {
  const { gang, job } = seen
  const status = gangStatusOf(gang)
  const stepSeconds = seen.told.reduce((most, { report }) => Math.max(most, report.stepSeconds ?? 0), 0)
  const restartSeconds = restartSecondsOf(seen)
  const { checkpointRequestSeconds: before, ...others } = status
  const checkpointRequestSeconds = onRequestSeconds(seen, set, before)
  const newest = committedFrom(gang, set)
  return {
    ...others,
    ...(checkpointRequestSeconds === undefined ? {} : { checkpointRequestSeconds }),
    checkpoint: newest,
    checkpoints: keptAmong([newest, ...committedOf(gang).map(withoutCopies)], job.spec).slice(1),
    ...(stepSeconds > 0 ? { stepSeconds } : {}),
    ...(restartSeconds === undefined ? {} : { restartSeconds }),
  }
}

/**
 * What a checkpoint on request costs the job: how long this one kept it from working, and until it was durable. One that
 * was asked for and is passed over says that the job heeds no requests, for what was known before.
 */
function onRequestSeconds({ gang, job }: Seen, set: readonly Shipped[], before: number | undefined) {
  const asked = gang.spec.checkpointRequest?.step
  const step = set[0]?.step
  if (asked === undefined || step === undefined || step < asked) return before
  const had = gang.status?.checkpoint
  if (step > asked) return had?.attempt === gang.spec.attempt && had.step >= asked ? before : undefined
  const seconds = (costOf(set, 'stallSeconds') ?? 0) + (costOf(set, 'persistSeconds') ?? 0)
  return seconds <= requestMsMax(job) / 1000 ? seconds : undefined
}

function committedFrom(gang: Gang, set: readonly Shipped[]): Committed {
  const seconds = costOf(set, 'stallSeconds')
  const writtenAtMs = set.reduce((latest, one) => Math.max(latest, one.writtenAtMs), 0)
  return {
    step: set[0]?.step ?? 0,
    attempt: gang.spec.attempt,
    at: new Date(writtenAtMs).toISOString(),
    digest: digestOf(set),
    bytes: set.reduce((sum, one) => sum + one.bytes, 0),
    manifests: set.map((one) => one.manifest),
    digests: set.map((one) => one.digest),
    ...(set.some((one) => one.copies !== undefined) ? { copies: set.map(({ copies = [] }) => copies.join()) } : {}),
    ...(seconds === undefined ? {} : { seconds }),
  }
}

/** Agents keep copies of the newest alone. */
function withoutCopies({ copies: _, ...older }: GangStatus['checkpoints'][number]): GangStatus['checkpoints'][number] {
  return older
}

/** One rank's own digest; of several, the digest of their digests in rank order. */
function digestOf(set: readonly Shipped[]): string {
  const digests = set.map((one) => one.digest)
  const [only] = digests
  if (digests.length === 1 && only !== undefined) return only
  return sha256Of(new TextEncoder().encode(digests.join('\n')))
}

/** From committed seats to the last rank's first step, of those who sat down together. */
function restartSecondsOf({ gang, told }: Seen): number | undefined {
  const seats = seatsNow(gang)
  const joined = new Set(seats?.members.flatMap((seat) => (seat.joined === true ? [seat.pod] : [])))
  const firsts = told.flatMap(({ pod, report }) => (joined.has(pod.metadata.name) ? [] : (report.firstStepAtMs ?? [])))
  if (seats === undefined || firsts.length === 0) return undefined
  return Math.max(0, (firsts.reduce((a, b) => Math.max(a, b), 0) - Date.parse(seats.at)) / 1000)
}

/**
 * Asks for the next checkpoint when its time has come, at one step for all ranks, far enough ahead that all hear of it
 * before they get there. One that a job ignored is not repeated at once.
 */
export async function askForCheckpoint(context: Context, seen: Seen, memory: CheckpointMemory): Promise<Outcome> {
  const { askedAtMs } = memory
  const { job, gang } = seen
  const { interval } = job.spec.checkpoint
  const now = progressNow(seen)
  const key = gang.metadata.uid ?? ''
  if (interval === undefined || now === undefined || gang.spec.suspend || stopIsAsked(gang)) return settled()
  const everyMs = interval === 'auto' ? autoIntervalMs(seen) : durationMs(interval)
  // A request that the job has not come to yet stands: moved ahead of slow steps again and again, it would never be met.
  if ((gang.spec.checkpointRequest?.step ?? 0) > now.step) return again(everyMs)
  const steadyMs = context.clock.steadyMs()
  const askedMs = steadyMs - (askedAtMs.get(key) ?? Number.NEGATIVE_INFINITY)
  // That one was written is told once it is stored, however late that is.
  const restMs =
    everyMs - Math.min(askedMs, context.ages.of(`${key} checkpoint`, now.sinceMs, Number.POSITIVE_INFINITY))
  if (restMs > 0) return again(restMs)
  const asked = await patchGang(context, gang, {
    spec: { checkpointRequest: { step: stepAhead(now), stop: false } },
  })
  if (asked === 'written') askedAtMs.set(key, steadyMs)
  return again(everyMs)
}

/** Control files reach every rank within this time. */
const reachSeconds = 1

/** Steps are reported at least this often: a job that said nothing for longer evaluates, or stands still. */
const silentMsMax = 15_000

/** A step that all ranks hear of before they get there. */
export function stepAhead({ step, stepSeconds }: ProgressNow): number {
  return step + marginOf(stepSeconds)
}

function marginOf(stepSeconds: number | undefined): number {
  return stepSeconds === undefined || stepSeconds <= 0 ? 2 : Math.ceil(reachSeconds / stepSeconds) + 1
}

interface ProgressNow {
  /** Where the furthest rank must be by now, from its last report and its pace. */
  step: number
  stepSeconds: number | undefined
  /** The last checkpoint, or the first step where there was none. */
  sinceMs: number
}

export function progressNow({ told, gang, nowMs }: Seen): ProgressNow | undefined {
  let now: ProgressNow | undefined
  for (const { report } of told) {
    if (report.step === undefined) continue
    const { step, stepSeconds, stepAtMs = nowMs, firstStepAtMs = nowMs, checkpoints } = report
    const sinceStepMs = Math.min(nowMs - stepAtMs, silentMsMax)
    const ahead = stepSeconds === undefined || stepSeconds <= 0 ? 0 : Math.floor(sinceStepMs / 1000 / stepSeconds)
    const reached = step + Math.max(0, ahead)
    const sinceMs = checkpoints.reduce((latest, one) => Math.max(latest, one.writtenAtMs), firstStepAtMs)
    now = {
      step: Math.max(now?.step ?? 0, reached),
      stepSeconds: stepSeconds ?? now?.stepSeconds,
      sinceMs: Math.max(now?.sinceMs ?? 0, sinceMs),
    }
  }
  const committed = gang.status?.checkpoint
  if (now !== undefined && committed?.attempt === gang.spec.attempt) {
    now.sinceMs = Math.max(now.sinceMs, Date.parse(committed.at))
  }
  return now
}

/** Nobody is kept waiting for seats for longer than this because a job is about to write a checkpoint of its own accord. */
const awaitedMsMax = 60_000

/**
 * How long whoever asks for the seats waits for the next checkpoint of a job that writes them as regularly as the last two and
 * is not known to write any when asked. Waiting keeps the same accelerators from others for less time than the work took that
 * stopping at once would lose; 0 where it would not, where the next is more than a minute away, or once it is committed. A
 * tenth of the time between two is left for one that is late.
 */
export function ownCheckpointInMs(seen: Seen): number {
  const { gang, nowMs } = seen
  const { checkpoint, checkpointRequestSeconds } = gang.status ?? {}
  const askedMs = Date.parse(evictionNow(gang)?.at ?? '')
  if (Number.isNaN(askedMs) || checkpointRequestSeconds !== undefined) return 0
  const [last, before] = writtenBefore(seen, askedMs)
  if (last === undefined || before === undefined || Date.parse(checkpoint?.at ?? '') > last) return 0
  const everyMs = last - before
  const dueMs = last + everyMs + 1000 * (costOf(shippedNow(seen), 'persistSeconds') ?? 0)
  const waitedMs = dueMs - askedMs
  if (waitedMs > awaitedMsMax || waitedMs > askedMs - last) return 0
  return Math.max(0, dueMs + everyMs / 10 - nowMs)
}

/** When its steps' checkpoints of that time were written, the last rank's each, the newest first. */
function writtenBefore(seen: Seen, untilMs: number): number[] {
  const byStep = new Map<number, number>()
  for (const { step, writtenAtMs } of shippedNow(seen)) byStep.set(step, Math.max(byStep.get(step) ?? 0, writtenAtMs))
  return [...byStep.values()].filter((ms) => ms <= untilMs).sort((a, b) => b - a)
}

export function stopStep(seen: Seen): number {
  const now = progressNow(seen)
  return now === undefined ? 0 : stepAhead(now)
}

function autoIntervalMs(seen: Seen): number {
  const { gang, recovery, ranSeconds } = seen
  const shipped = shippedNow(seen)
  const { seconds } = autoInterval({
    // The job's word on what a checkpoint cost may come after the checkpoint was committed.
    stallSeconds: costOf(shipped, 'stallSeconds') ?? gang.status?.checkpoint?.seconds,
    persistSeconds: costOf(shipped, 'persistSeconds'),
    hasCheckpoint: shipped.length > 0 || gang.status?.checkpoint !== undefined,
    failures: Math.max(recovery.restarts, restartsPerReplaced * recovery.replaced),
    runSeconds: ranSeconds,
    nodes: nodesUnder(seatsNow(gang)?.members ?? []).length,
  })
  return seconds * 1000
}

/**
 * Of failures that the others outlive, so many would have taken all, until more is known of the job: the share that the oracle
 * for elastic jobs reckons with (docs/PERFORMANCE.md), an assumption.
 */
const restartsPerReplaced = 0.05

/** The newest few of each rank. */
function shippedNow({ told }: Seen): Shipped[] {
  return told.flatMap(({ report }) => report.checkpoints)
}

/** Mean over the steps; within a step all ranks wait for the slowest. */
function costOf(shipped: readonly Shipped[], cost: 'stallSeconds' | 'persistSeconds'): number | undefined {
  const byStep = new Map<number, number>()
  for (const { step, [cost]: seconds } of shipped) {
    if (seconds !== undefined) byStep.set(step, Math.max(byStep.get(step) ?? 0, seconds))
  }
  return byStep.size === 0 ? undefined : [...byStep.values()].reduce((a, b) => a + b, 0) / byStep.size
}

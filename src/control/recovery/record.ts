import { z } from 'zod'
import type { Gang } from '../../model/kinds/gang.ts'
import { displacingTriesMax } from '../gangs.ts'

/**
 * What recovery knows and decided, on the gang, in the same write as the attempt that it raises: no crash can count a
 * restart twice or lose one. Training shows it in the job's status.
 */
export const recoveryAnnotation = 'millwright.dev/recovery'

const failure = z.object({
  attempt: z.number().int(),
  reason: z.string(),
  message: z.string(),
  pod: z.string().optional(),
  at: z.string(),
  logTail: z.string().optional(),
})

const recoveryRecord = z.object({
  restarts: z.number().int().default(0),
  restartsSinceProgress: z.number().int().default(0),
  /** Members that were replaced while the others went on; and since that checkpoint. */
  replaced: z.number().int().default(0),
  replacedSinceProgress: z.number().int().default(0),
  lostSeconds: z.number().default(0),
  /** The newest committed checkpoint at any failure so far: a newer one is progress. */
  progress: z.string().default(''),
  /** Damaged checkpoints that attempts since then were to start from. */
  strikes: z.number().int().default(0),
  /** Attempts in a row that ended with an exit code before any step was ever done. */
  earlyExits: z.number().int().default(0),
  /** Attempts in a row that could not start because something that they name was not there; no failures of the job. */
  unready: z.number().int().default(0),
  /** When its loss rose all at once, and the nodes that it may be the fault of. */
  spikesMs: z.array(z.number()).default([]),
  suspects: z.array(z.string()).default([]),
  /** Failures by node since that checkpoint. */
  nodes: z.record(z.string(), z.number()).default({}),
  last: failure.optional(),
  /** No further attempt: the job has failed, and why. */
  failed: z.object({ reason: z.string(), message: z.string() }).optional(),
})

export type RecoveryRecord = z.output<typeof recoveryRecord>
export type Failure = z.output<typeof failure>

export function recoveryOf(gang: Gang | undefined): RecoveryRecord {
  if (gang === undefined) return recoveryRecord.parse({})
  const known = records.get(gang) ?? readRecord(gang)
  records.set(gang, known)
  return known
}

/** Of gangs as the store gave them, which never change. */
const records = new WeakMap<Gang, RecoveryRecord>()

function readRecord(gang: Gang): RecoveryRecord {
  const text = gang.metadata.annotations?.[recoveryAnnotation]
  if (text === undefined) return recoveryRecord.parse({})
  try {
    const parsed = recoveryRecord.safeParse(JSON.parse(text))
    return parsed.success ? parsed.data : recoveryRecord.parse({})
  } catch {
    return recoveryRecord.parse({}) // a hand edited it: counting starts anew
  }
}

/** Whether `one` comes after `other`: a checkpoint that was struck leaves an older one, which is no progress. */
export function isNewer(one: string, other: string): boolean {
  const [attempt = 0, step = 0] = one.split('/').map(Number)
  const [otherAttempt = 0, otherStep = 0] = other.split('/').map(Number)
  return attempt > otherAttempt || (attempt === otherAttempt && step > otherStep)
}

/**
 * A gang that fails again and again takes nothing from others until it makes progress: one crash loop of 35 restarts cost
 * others 548 preemptions (Meta, arXiv 2410.21680).
 */
export function preemptionPolicyAfter(record: RecoveryRecord, gang: Gang): Gang['spec']['preemptionPolicy'] {
  const isLooping = record.restartsSinceProgress >= displacingTriesMax && !isNewer(progressOf(gang), record.progress)
  return isLooping ? 'Never' : undefined
}

/** Which checkpoint a restart would go on from. */
export function progressOf(gang: Gang): string {
  const checkpoint = gang.status?.checkpoint
  return checkpoint === undefined ? '' : `${checkpoint.attempt}/${checkpoint.step}`
}

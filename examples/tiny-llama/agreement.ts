import type { Wish } from './job.ts'
import type { Ring } from './ring.ts'

/** What one worker brings to a step. */
export interface Voice {
  loss: number
  /** What it has read so far of what is asked. */
  asked: Wish
  timeIsUp: boolean
  terminated: boolean
}

/** What all know after it, and everybody the same. */
export interface Agreement {
  /** Mean over the workers. */
  loss: number
  /** The latest wishes that anybody has read; 0 for none. */
  asked: Wish
  timeIsUp: boolean
  /** The lowest rank that was told to terminate. */
  terminated: number | undefined
}

/**
 * Averages the gradient in place. What must be decided in one and the same step (a checkpoint or stop that only some
 * have read of yet, a clock that only rank 0 looks at) travels in the same vector: each worker has places of its own
 * behind the gradient, which a sum leaves as they are. Steps are exact in F32 up to 2^24.
 */
export async function agree(
  ring: Pick<Ring, 'sum'>,
  { rank, worldSize }: { rank: number; worldSize: number },
  gradient: Float32Array,
  voice: Voice,
): Promise<Agreement> {
  const size = gradient.length
  const vector = new Float32Array(size + worldSize * places)
  vector.set(gradient)
  const { loss, asked, timeIsUp, terminated } = voice
  vector.set([loss, asked.checkpoint, asked.stop, timeIsUp ? 1 : 0, terminated ? 1 : 0], size + rank * places)
  await ring.sum(vector)
  for (let i = 0; i < size; i++) gradient[i] = (vector[i] ?? 0) / worldSize
  const all = (place: number) => Array.from({ length: worldSize }, (_, r) => vector[size + r * places + place] ?? 0)
  const first = all(4).indexOf(1)
  return {
    loss: all(0).reduce((sum, each) => sum + each, 0) / worldSize,
    asked: { checkpoint: Math.max(...all(1)), stop: Math.max(...all(2)) },
    timeIsUp: all(3).includes(1),
    terminated: first < 0 ? undefined : first,
  }
}

const places = 5

/**
 * Whether a wish for a step is due after `step`. One that is read too late is granted at the first step at which all
 * know of it; one for a step that was `done` before is history, or another incarnation's.
 */
export function isDue(wanted: number, step: number, done: number): boolean {
  return wanted > done && step >= wanted
}

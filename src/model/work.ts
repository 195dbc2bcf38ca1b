import { z } from 'zod'
import { messageOf } from '../base/errors.ts'

/** Its own node and one in another rack: what survives any one rack. */
export const copiesMax = 2

/**
 * What `agent/pod` does beside a pod, fixed when the pod is made (annotation `millwright.dev/work`). Keys are blob
 * keys; a manifest names files by sha256 (see `blob/manifest`).
 */
export const podWork = z.object({
  /** Blob key prefix that checkpoints of this attempt go under: `checkpoints/<namespace>/<job uid>/attempt-K`. */
  checkpoints: z.string().optional(),
  /** Which ranks write checkpoints; any: whichever writes one writes all of it, as where ranks come and go. */
  checkpointRanks: z.enum(['first', 'all', 'any']).default('first'),
  /** How many nodes keep what a rank wrote last in memory: none where left out, 1 its own, 2 also its peer (model/peers). */
  copies: z.number().int().min(0).max(copiesMax).optional(),
  /**
   * The committed checkpoint to restore before the start, this one or none: manifest keys by rank ("first": rank 0's for
   * everyone), and their digests. `attempt` is the one that wrote it. `copies`: by manifest, the nodes that had a copy of it
   * when it was committed, with commas between.
   */
  restore: z
    .object({
      step: z.number().int(),
      attempt: z.number().int().default(0),
      manifests: z.array(z.string()),
      digests: z.array(z.string()).optional(),
      copies: z.array(z.string()).optional(),
    })
    .optional(),
  /** Manifest key of a model to fetch into MILLWRIGHT_MODEL_DIR. */
  model: z.string().optional(),
  /** `file:///path` (linked, not copied) or a manifest key of a dataset to put at MILLWRIGHT_DATA_DIR. */
  data: z.string().optional(),
  /** Blob key of the manifest that rank 0's output is shipped to when it exits 0. */
  output: z.string().optional(),
  /** Its first steps are waited for this long; left out: for ever. */
  firstStepSeconds: z.number().min(0).optional(),
  /** A loss that is so many times what is usual is told as a spike; left out: none is. */
  lossSpikeFactor: z.number().min(1).optional(),
  /** Reads progress from the log instead of MILLWRIGHT_PROGRESS: named groups step, steps, loss, samples, tokens. */
  progressPattern: z.string().max(1000).optional(),
})
export type PodWork = z.output<typeof podWork>

/** What the annotation of a pod says, or what is wrong with it. A pod without one has nothing beside it. */
export function readWork(text: string | undefined): PodWork | string {
  if (text === undefined) return podWork.parse({})
  try {
    return podWork.parse(JSON.parse(text))
  } catch (error) {
    return messageOf(error)
  }
}

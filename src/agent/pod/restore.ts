import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Blobs } from '../../blob/contract.ts'
import { fetchManifest } from '../../blob/file/folder.ts'
import { readManifest } from '../../blob/manifest.ts'
import type { PodWork } from '../../model/work.ts'
import type { Refusal } from '../contract.ts'

type Checkpoint = NonNullable<PodWork['restore']>

/**
 * Puts this rank's part of the committed checkpoint into `folder/step-N`, every byte checked against what was
 * committed; or says what is wrong with it. A rank never takes an older one instead: others may have found theirs whole
 * and go on from the newer step. Which one comes next is decided once for all ranks (control/training/damage).
 */
export async function restoreCheckpoint(
  blobs: Blobs,
  checkpoint: Checkpoint,
  rank: number,
  folder: string,
): Promise<Refusal | undefined> {
  const { step, attempt } = checkpoint
  const target = join(folder, `step-${step}`)
  if ((await stat(target).catch(() => undefined)) !== undefined) return undefined // an agent before us got this far
  const part = checkpoint.manifests[rank] === undefined ? 0 : rank
  const problem = await fetchPart(blobs, checkpoint, part, target)
  if (problem === undefined) return undefined
  const message = `the checkpoint of step ${step} (attempt ${attempt}) is damaged: ${problem}`
  return { refused: true, reason: checkpointDamaged, message, damaged: { attempt, step } }
}

/** The pod's reason when it did not start because of its checkpoint. */
const checkpointDamaged = 'CheckpointDamaged'

async function fetchPart(
  blobs: Blobs,
  { manifests, digests }: Checkpoint,
  part: number,
  target: string,
): Promise<string | undefined> {
  const key = manifests[part]
  if (key === undefined) return 'it names no manifest'
  const read = await readManifest(blobs, key)
  if (read.kind === 'missing') return `${key} is missing`
  if (read.kind === 'damaged') return `${key}: ${read.message}`
  const committed = digests?.[part]
  if (committed !== undefined && committed !== read.digest) return `${key} is not what was committed`
  const partial = `${target}.restoring`
  await rm(partial, { recursive: true, force: true })
  await mkdir(partial, { recursive: true })
  const fetched = await fetchManifest(blobs, key, partial)
  if (fetched.kind === 'missing') return `its file ${fetched.file} of rank ${part} is missing from the blob store`
  if (fetched.kind === 'damaged') return `rank ${part}: ${fetched.message}`
  await rename(partial, target)
  return undefined
}

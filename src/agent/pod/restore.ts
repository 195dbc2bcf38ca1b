import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Blobs, Manifest } from '../../blob/contract.ts'
import { fetchManifest } from '../../blob/file/folder.ts'
import { readManifest } from '../../blob/manifest.ts'
import type { PodWork } from '../../model/work.ts'
import type { Refusal } from '../contract.ts'

type Checkpoint = NonNullable<PodWork['restore']>

/** Which of how many ranks restores. */
interface Rank {
  rank: number
  worldSize: number
}

/**
 * Puts this rank's part of the committed checkpoint into `folder/step-N`, every byte checked against what was
 * committed; or says what is wrong with it. Where each rank wrote a part and there are more or fewer of them now, all
 * parts: in one folder, as on a file system that the ranks share, or each in its `rank-R` where two wrote a file of one
 * name. A rank never takes an older one instead: others may have found theirs whole and go on from the newer step. Which
 * one comes next is decided once for all ranks (control/training/damage).
 */
export async function restoreCheckpoint(
  blobs: Blobs,
  checkpoint: Checkpoint,
  own: Rank,
  folder: string,
): Promise<Refusal | undefined> {
  const { step, attempt } = checkpoint
  const target = join(folder, `step-${step}`)
  if ((await stat(target).catch(() => undefined)) !== undefined) return undefined // an agent before us got this far
  const problem = await fetchParts(blobs, checkpoint, partsFor(checkpoint, own), target)
  if (problem === undefined) return undefined
  const message = `the checkpoint of step ${step} (attempt ${attempt}) is damaged: ${problem}`
  return { refused: true, reason: checkpointDamaged, message, damaged: { attempt, step } }
}

/** The pod's reason when it did not start because of its checkpoint. */
const checkpointDamaged = 'CheckpointDamaged'

/** Of one rank's checkpoint all get the same. */
function partsFor({ manifests }: Checkpoint, { rank, worldSize }: Rank): number[] {
  if (manifests.length <= 1) return [0]
  return manifests.length === worldSize ? [rank] : [...manifests.keys()]
}

async function fetchParts(
  blobs: Blobs,
  checkpoint: Checkpoint,
  parts: readonly number[],
  target: string,
): Promise<string | undefined> {
  const files = new Map<string, string>()
  let isShared = true
  for (const part of parts) {
    const read = await readPart(blobs, checkpoint, part)
    if (typeof read === 'string') return read
    for (const { path, sha256 } of read.files) {
      if ((files.get(path) ?? sha256) !== sha256) isShared = false
      files.set(path, sha256)
    }
  }
  const partial = `${target}.restoring`
  await rm(partial, { recursive: true, force: true })
  await mkdir(partial, { recursive: true })
  for (const part of parts) {
    const key = checkpoint.manifests[part] ?? ''
    const fetched = await fetchManifest(blobs, key, isShared ? partial : join(partial, `rank-${part}`))
    if (fetched.kind === 'missing') return `its file ${fetched.file} of rank ${part} is missing from the blob store`
    if (fetched.kind === 'damaged') return `rank ${part}: ${fetched.message}`
  }
  await rename(partial, target)
  return undefined
}

/** What is committed, or what is wrong with it. */
async function readPart(blobs: Blobs, { manifests, digests }: Checkpoint, part: number): Promise<Manifest | string> {
  const key = manifests[part]
  if (key === undefined) return 'it names no manifest'
  const read = await readManifest(blobs, key)
  if (read.kind === 'missing') return `${key} is missing`
  if (read.kind === 'damaged') return `${key}: ${read.message}`
  const committed = digests?.[part]
  return committed === undefined || committed === read.digest ? read.manifest : `${key} is not what was committed`
}

import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Blobs } from '../../blob/contract.ts'
import { fetchManifest } from '../../blob/file/folder.ts'
import { missingContent, readManifest } from '../../blob/manifest.ts'
import type { PodWork } from '../../model/work.ts'
import type { Notice } from '../contract.ts'

/**
 * Puts the newest usable committed checkpoint into `folder/step-N`. A damaged one is skipped with a notice and the one
 * before it is used. Every rank looks at all ranks' manifests, so that all come to the same step.
 */
export async function restoreCheckpoint(
  blobs: Blobs,
  work: PodWork,
  rank: number,
  folder: string,
): Promise<{ step?: number; notices: Notice[] }> {
  const notices: Notice[] = []
  if (work.restore === undefined) return { notices }
  for (const candidate of [work.restore, ...work.restoreElse]) {
    const problem = (await incomplete(blobs, candidate.manifests)) ?? (await fetchOne(blobs, candidate, rank, folder))
    if (problem === undefined) return { step: candidate.step, notices }
    notices.push({
      type: 'Warning',
      reason: 'CheckpointSkipped',
      message: `the checkpoint of step ${candidate.step} is skipped: ${problem}`,
    })
  }
  const message = 'no committed checkpoint is usable; training starts from its beginning'
  notices.push({ type: 'Warning', reason: 'CheckpointsLost', message })
  return { notices }
}

type Candidate = NonNullable<PodWork['restore']>

async function incomplete(blobs: Blobs, manifests: readonly string[]): Promise<string | undefined> {
  if (manifests.length === 0) return 'it names no manifest'
  for (const key of manifests) {
    const read = await readManifest(blobs, key)
    if (read.kind === 'missing') return `${key} is missing`
    if (read.kind === 'damaged') return `${key}: ${read.message}`
    const lost = await missingContent(blobs, read.manifest)
    if (lost !== undefined) return `its file ${lost} is missing from the blob store`
  }
  return undefined
}

async function fetchOne(blobs: Blobs, candidate: Candidate, rank: number, folder: string): Promise<string | undefined> {
  const key = candidate.manifests[rank] ?? candidate.manifests[0] ?? ''
  const target = join(folder, `step-${candidate.step}`)
  if ((await stat(target).catch(() => undefined)) !== undefined) return undefined // an agent before us got this far
  await mkdir(folder, { recursive: true })
  const partial = `${target}.restoring`
  await rm(partial, { recursive: true, force: true })
  const fetched = await fetchManifest(blobs, key, partial)
  if (fetched.kind === 'ok') {
    await rename(partial, target)
    return undefined
  }
  return fetched.kind === 'missing' ? `its file ${fetched.file} is missing from the blob store` : fetched.message
}

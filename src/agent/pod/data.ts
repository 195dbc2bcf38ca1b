import { lstat } from 'node:fs/promises'
import type { Clock } from '../../base/clock.ts'
import type { Blobs } from '../../blob/contract.ts'
import { type Look, lookAtManifest, type Sources, schemeOf } from '../../blob/sources.ts'
import type { Output } from '../contract.ts'

export type DataRead = NonNullable<Output['data']>

/** Has the data read in the background while the job runs, so that its digest is known when it ends. */
export async function readAhead(sources: Sources, uri: string): Promise<void> {
  if (schemeOf(uri) !== undefined) await sources.look(uri)
}

/**
 * What a job read, once it has ended well; or why that cannot be said. `link` is how the pod came to its data: what was
 * written after the link was made may have been read before or after.
 */
export async function dataRead(
  sources: Sources,
  blobs: Blobs,
  uri: string,
  link: string,
  clock: Clock,
): Promise<DataRead | string> {
  const look = await lookFor(sources, blobs, uri, clock)
  if (look.kind === 'unusable') return `the digest of the dataset is not known: ${look.message}`
  if (look.kind === 'reading') return `the digest of ${uri} is not known: the job was over before all of it was read`
  const linked = await lstat(link)
  if (look.changedAtMs > linked.mtimeMs) {
    return `${uri} changed while the job ran, so that nobody can say what it read; its digest is left out`
  }
  const { digest, bytes, files } = look
  return { uri, digest, bytes, files }
}

async function lookFor(sources: Sources, blobs: Blobs, uri: string, clock: Clock): Promise<Look> {
  if (schemeOf(uri) === undefined) return lookAtManifest(blobs, uri)
  const untilMs = clock.steadyMs() + patienceMs
  let look = await sources.look(uri)
  while (look.kind === 'reading' && clock.steadyMs() < untilMs) {
    await clock.sleep(100)
    look = await sources.look(uri)
  }
  return look
}

/** Somebody waits for the end of the job. */
const patienceMs = 10_000

import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatingError } from '../../base/errors.ts'
import type { Blobs, Manifest } from '../contract.ts'
import { bytesOf, encodeManifest, isInside, missingContent, readManifest } from '../manifest.ts'

export interface Shipped {
  manifest: Manifest
  digest: string
  bytes: number
}

/**
 * Ships every file of `folder`, then the manifest under `key`: whoever sees the manifest sees all that it names. May
 * be repeated after a crash; content that arrived already is not sent again.
 */
export async function shipFolder(
  blobs: Blobs,
  folder: string,
  key: string,
  meta: Omit<Manifest, 'version' | 'files'> = {},
): Promise<Shipped> {
  const paths = await filesIn(folder)
  for (let tries = 0; ; tries++) {
    const files = await inParallel(paths, async (path) => ({ path, ...(await blobs.putFile(join(folder, path))) }))
    const manifest: Manifest = { version: 1, files, ...meta }
    const { bytes, digest } = encodeManifest(manifest)
    await blobs.put(key, bytes)
    const lost = await missingContent(blobs, manifest)
    if (lost === undefined) return { manifest, digest, bytes: bytesOf(manifest) }
    if (tries === 2)
      throw new OperatingError(
        'io',
        { retryAfterMs: 1000 },
        `${lost} of ${folder} vanished from the store while it was shipped`,
      )
  }
}

export type Fetched =
  | { kind: 'ok'; manifest: Manifest; digest: string }
  | { kind: 'missing'; file: string }
  | { kind: 'damaged'; file: string; message: string }

/** Fetches all files of a manifest into `folder`, each verified; anything less than the whole leaves no folder. */
export async function fetchManifest(blobs: Blobs, key: string, folder: string): Promise<Fetched> {
  const read = await readManifest(blobs, key)
  if (read.kind === 'missing') return { kind: 'missing', file: key }
  if (read.kind === 'damaged') return { kind: 'damaged', file: key, message: read.message }
  return (await fetchFiles(read.manifest, folder, blobs.getFile)) ?? read
}

/** Fetches what a manifest names with `getFile`, as of `Blobs`; says what is wrong, and then leaves no folder. */
export async function fetchFiles(
  { files }: Manifest,
  folder: string,
  getFile: Blobs['getFile'],
): Promise<Exclude<Fetched, { kind: 'ok' }> | undefined> {
  const bad = await fetchAll(files, folder, getFile).catch(async (error: unknown) => {
    await rm(folder, { recursive: true, force: true }) // half of it on a full disk only takes room
    throw error
  })
  if (bad === undefined) return undefined
  await rm(folder, { recursive: true, force: true })
  const { file, outcome } = bad
  return outcome === 'missing'
    ? { kind: 'missing', file }
    : { kind: 'damaged', file, message: `${file} does not have the checksum that its manifest names` }
}

async function fetchAll(files: Manifest['files'], folder: string, getFile: Blobs['getFile']) {
  await mkdir(folder, { recursive: true })
  const outcomes = await inParallel(files, async ({ path, sha256 }) => ({
    file: path,
    outcome: await getFile(sha256, join(folder, path)),
  }))
  return outcomes.find(({ outcome }) => outcome !== 'ok')
}

/** Files below `folder`, as `/`-separated paths, sorted. What cannot be stored as it is is an error, never left out. */
async function filesIn(folder: string, below = ''): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isSymbolicLink()) throw unstorable(folder, path, linked)
    if (!isInside(path)) throw unstorable(folder, path, strangeName)
    if (entry.isDirectory()) found.push(...(await filesIn(folder, path)))
    else if (entry.isFile()) found.push(path)
  }
  return found.sort()
}

const linked = 'is a symbolic link, and what it points at may change; copy that there instead'
const strangeName =
  'has a name that cannot be stored: with a backslash, or longer than 4096 characters with its folders; rename it'

function unstorable(folder: string, path: string, why: string): OperatingError {
  return new OperatingError('invalid', 'give-up', `${join(folder, path)} ${why}`)
}

/** Several at once, as each waits for the disk; results in order. When one fails, none is under way any more. */
async function inParallel<A, B>(items: readonly A[], work: (item: A) => Promise<B>): Promise<B[]> {
  const results: B[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index]
      if (item === undefined) continue
      try {
        results[index] = await work(item)
      } catch (error) {
        next = items.length
        throw error
      }
    }
  }
  const workers = await Promise.allSettled(Array.from({ length: Math.min(4, items.length) }, worker))
  for (const each of workers) if (each.status === 'rejected') throw each.reason
  return results
}

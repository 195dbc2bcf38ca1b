import { z } from 'zod'
import type { Blobs, Manifest } from './contract.ts'
import { sha256Of } from './file/sha256.ts'
import { contentKey } from './keys.ts'

/** The manifest as bytes: the same manifest always gives the same bytes, so its digest names it. */
export function encodeManifest(manifest: Manifest): { bytes: Uint8Array; digest: string } {
  const bytes = new TextEncoder().encode(`${JSON.stringify(ordered(manifest))}\n`)
  return { bytes, digest: sha256Of(bytes) }
}

/** A sentence instead of a manifest: what is wrong with these bytes. */
export function parseManifest(bytes: Uint8Array): Manifest | string {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return 'the manifest is not JSON; it was torn or overwritten'
  }
  const parsed = manifestSchema.safeParse(value)
  if (parsed.success) return ordered(parsed.data)
  const issue = parsed.error.issues[0]
  return `the manifest is damaged at ${issue?.path.join('.') || 'its top'}: ${issue?.message}`
}

export async function readManifest(
  blobs: Blobs,
  key: string,
): Promise<
  { kind: 'ok'; manifest: Manifest; digest: string } | { kind: 'missing' } | { kind: 'damaged'; message: string }
> {
  const bytes = await blobs.get(key)
  if (bytes === undefined) return { kind: 'missing' }
  const manifest = parseManifest(bytes)
  return typeof manifest === 'string'
    ? { kind: 'damaged', message: manifest }
    : { kind: 'ok', manifest, digest: sha256Of(bytes) }
}

/** The first file whose content is not in the store. Looks at presence; `getFile` verifies the bytes. */
export async function missingContent(blobs: Blobs, manifest: Manifest): Promise<string | undefined> {
  for (const file of manifest.files) if (!(await blobs.has(contentKey(file.sha256)))) return file.path
  return undefined
}

/**
 * Deletes content that no manifest names, whatever its key. Safe beside running shippers: stores keep content that was
 * put recently before `nowMs`, when the look at what there is begins, or since; however late a deletion is, a manifest may
 * have come meanwhile. Returns how many were offered for deletion.
 */
export async function collectGarbage(blobs: Blobs, nowMs: number): Promise<number> {
  const named = new Set<string>()
  const contents: string[] = []
  for (const { key } of await blobs.list('')) {
    if (key.startsWith('sha256/')) contents.push(key)
    else for (const file of await filesOf(blobs, key)) named.add(contentKey(file.sha256))
  }
  const unused = contents.filter((key) => !named.has(key))
  for (const key of unused) await blobs.delete(key, nowMs)
  return unused.length
}

async function filesOf(blobs: Blobs, key: string): Promise<Manifest['files']> {
  const read = await readManifest(blobs, key)
  return read.kind === 'ok' ? read.manifest.files : []
}

export function bytesOf(manifest: Manifest): number {
  return manifest.files.reduce((sum, file) => sum + file.size, 0)
}

const pathLengthMax = 4096

/** Whether a path is one inside the folder that a manifest is fetched into, on any machine. */
export function isInside(path: string): boolean {
  return (
    path.length <= pathLengthMax &&
    !/[\\\0]/.test(path) &&
    !path.split('/').some((part) => part === '' || part === '.' || part === '..')
  )
}

const whole = z.number().int().min(0)
const manifestSchema = z.object({
  version: z.literal(1),
  files: z
    .array(
      z.object({
        path: z.string().refine(isInside, 'must be a path inside'),
        size: whole,
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    )
    .max(1_000_000)
    .refine((files) => new Set(files.map((file) => file.path)).size === files.length, 'names a file twice'),
  step: whole.optional(),
  attempt: whole.optional(),
  rank: whole.optional(),
  worldSize: whole.optional(),
  parent: z.string().optional(),
})

function ordered(manifest: z.output<typeof manifestSchema>): Manifest {
  const files = manifest.files
    .map(({ path, size, sha256 }) => ({ path, size, sha256 }))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
  return {
    version: 1,
    files,
    ...(manifest.step === undefined ? {} : { step: manifest.step }),
    ...(manifest.attempt === undefined ? {} : { attempt: manifest.attempt }),
    ...(manifest.rank === undefined ? {} : { rank: manifest.rank }),
    ...(manifest.worldSize === undefined ? {} : { worldSize: manifest.worldSize }),
    ...(manifest.parent === undefined ? {} : { parent: manifest.parent }),
  }
}

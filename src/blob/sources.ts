import type { Blobs } from './contract.ts'
import { bytesOf, readManifest } from './manifest.ts'

/** Data that lies where its owner put it: it is read there, never copied or changed. */
export interface Sources {
  /**
   * One look at what a URI names. It never waits for bytes to be read: what was not read since its size or time last
   * changed is read in the background, one file at a time for all that was ever asked for, and a later look tells.
   */
  look(uri: string): Promise<Look>
  /** Ends reading in the background; resolves when what was read until then is remembered. */
  close(): Promise<void>
}

export type Look =
  | {
      kind: 'read'
      /** sha256 of a file; of a folder, of what `sha256sum` prints of its files in byte order of their paths. */
      digest: string
      bytes: number
      files: number
      /** When the youngest of its files and folders was last written. */
      changedAtMs: number
    }
  | { kind: 'reading'; bytes: number; files: number; bytesRead: number }
  /** `reason` in one CamelCase word. */
  | { kind: 'unusable'; reason: string; message: string }

/** The same for what lies in the blob store, whose content is named by its digest. */
export async function lookAtManifest(blobs: Blobs, key: string): Promise<Look> {
  const read = await readManifest(blobs, key)
  if (read.kind === 'missing') {
    return { kind: 'unusable', reason: 'Missing', message: `there is no manifest ${key} in the blob store` }
  }
  if (read.kind === 'damaged') return { kind: 'unusable', reason: 'Damaged', message: `${key}: ${read.message}` }
  const { manifest, digest } = read
  return { kind: 'read', digest, bytes: bytesOf(manifest), files: manifest.files.length, changedAtMs: 0 }
}

/** `s3` of `s3://bucket/key`; undefined for a key of the blob store. */
export function schemeOf(uri: string): string | undefined {
  return /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(uri)?.[1]?.toLowerCase()
}

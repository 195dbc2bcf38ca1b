/**
 * Object storage. A key is `/`-separated, relative, without `..`. A `put` that was acknowledged is durable and whole:
 * a reader sees the old object, or the new one, or none, never a part. Content is immutable by convention: keys under
 * `sha256/` hold what they are named for, so writing one twice is one write.
 */
export interface Blobs {
  put(key: string, bytes: Uint8Array): Promise<void>
  get(key: string): Promise<Uint8Array | undefined>
  has(key: string): Promise<boolean>
  /** Keys under `prefix`, sorted. */
  list(prefix: string): Promise<BlobInfo[]>
  /** Content that was put shortly before `asOfMs`, or since, stays (wall clock; now when left out). */
  delete(key: string, asOfMs?: number): Promise<void>
  /** Ships a local file; returns its digest and size. Stored by content: key `sha256/<hex>`. */
  putFile(path: string): Promise<{ sha256: string; size: number }>
  /** Fetches content `sha256` into `path` (created, fsynced), verifying it; 'damaged' or 'missing' leaves no file. */
  getFile(sha256: string, path: string): Promise<'ok' | 'missing' | 'damaged'>
}

export interface BlobInfo {
  key: string
  size: number
}

/** A set of files: a checkpoint of one rank, a model, an output. Written last; what it names is there. */
export interface Manifest {
  version: 1
  files: { path: string; size: number; sha256: string }[]
  /** For checkpoints. */
  step?: number
  attempt?: number
  rank?: number
  worldSize?: number
  parent?: string
}

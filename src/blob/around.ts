import type { Blobs } from './contract.ts'

/** What happens to the calls on their way to object storage. */
export interface Passage {
  read<T>(ask: () => Promise<T>): Promise<T>
  write<T>(ask: () => Promise<T>): Promise<T>
}

/** Object storage behind a passage that all calls go through. A deletion needs no room, and is no write here. */
export function around(blobs: Blobs, { read, write }: Passage): Blobs {
  return {
    put: (key, bytes) => write(() => blobs.put(key, bytes)),
    putFile: (path) => write(() => blobs.putFile(path)),
    get: (key) => read(() => blobs.get(key)),
    has: (key) => read(() => blobs.has(key)),
    list: (prefix) => read(() => blobs.list(prefix)),
    delete: (key, asOfMs) => read(() => blobs.delete(key, asOfMs)),
    getFile: (sha256, path) => read(() => blobs.getFile(sha256, path)),
  }
}

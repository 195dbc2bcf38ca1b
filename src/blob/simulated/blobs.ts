import { OperatingError } from '../../base/errors.ts'
import type { Blobs } from '../contract.ts'

/**
 * Object storage of the twin: keys and small objects in memory. Bulk bytes are counted by whoever moves them. `onDelete`
 * hears each key that is about to go.
 */
export function createSimulatedBlobs(onDelete: (key: string) => void = () => {}): Blobs {
  const objects = new Map<string, Uint8Array>()
  const refuse = async (): Promise<never> => {
    throw new OperatingError('no-files', 'give-up', 'simulated storage holds no files')
  }
  return {
    put: async (key, bytes) => void objects.set(key, bytes),
    get: async (key) => objects.get(key),
    has: async (key) => objects.has(key),
    list: async (prefix) =>
      [...objects]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, bytes]) => ({ key, size: bytes.length }))
        .sort((a, b) => (a.key < b.key ? -1 : 1)),
    async delete(key) {
      if (objects.has(key)) onDelete(key)
      objects.delete(key)
    },
    putFile: refuse,
    getFile: refuse,
  }
}

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatingError } from '../../base/errors.ts'
import { shipFolder } from '../../blob/file/folder.ts'
import type { Output, PodPlace, PodTools } from '../contract.ts'
import { type StoringOptions, storing } from '../shipping.ts'

export interface ShipOutputOptions extends Pick<StoringOptions, 'signal' | 'waiting'> {
  folder: string
  key: string
  place: PodPlace
  tools: PodTools
}

/**
 * Ships what the job left in MILLWRIGHT_OUTPUT_DIR; `metrics.json` in it is read for the Report. Where ranks come and go one
 * of them leaves something, and the others nothing.
 */
export async function shipOutput(options: ShipOutputOptions): Promise<Output | undefined> {
  const { folder, key, place, tools, signal, waiting } = options
  const isEmpty = (await readdir(folder)).length === 0
  if (isEmpty && place.work.checkpointRanks === 'any') return undefined
  if (isEmpty)
    throw new OperatingError(
      'no-output',
      'give-up',
      'it ended well but wrote nothing to MILLWRIGHT_OUTPUT_DIR, where its model was expected',
    )
  return await storing(
    async () => {
      const meta = { attempt: place.attempt, rank: place.rank, worldSize: place.worldSize }
      const { manifest, digest, bytes } = await shipFolder(tools.blobs, folder, key, meta)
      const metrics = await readMetrics(folder)
      return {
        manifest: key,
        digest,
        bytes,
        files: manifest.files.length,
        ...(metrics === undefined ? {} : { metrics }),
      }
    },
    { clock: tools.clock, signal, waiting },
  )
}

async function readMetrics(folder: string): Promise<Record<string, unknown> | undefined> {
  try {
    const text = await readFile(join(folder, 'metrics.json'), 'utf8')
    const value: unknown = text.length > 65_536 ? undefined : JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

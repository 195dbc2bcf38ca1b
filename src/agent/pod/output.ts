import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDiskFull, messageOf, OperatingError } from '../../base/errors.ts'
import { shipFolder } from '../../blob/file/folder.ts'
import type { Output, PodPlace, PodTools } from '../contract.ts'

export interface ShipOutputOptions {
  folder: string
  key: string
  place: PodPlace
  tools: PodTools
  /** Waiting for room on a full disk, however long, ends with it. */
  signal: AbortSignal
  /** What it waits for, once. */
  waiting(message: string): void
}

/** Ships what the job left in MILLWRIGHT_OUTPUT_DIR; `metrics.json` in it is read for the Report. */
export async function shipOutput({ folder, key, place, tools, signal, waiting }: ShipOutputOptions): Promise<Output> {
  if ((await readdir(folder)).length === 0)
    throw new OperatingError(
      'no-output',
      'give-up',
      'it ended well but wrote nothing to MILLWRIGHT_OUTPUT_DIR, where its model was expected',
    )
  for (let tries = 1; ; tries++) {
    try {
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
    } catch (error) {
      const isFull = isDiskFull(error)
      const canRetry = error instanceof OperatingError && error.policy !== 'give-up'
      if (!canRetry || (tries >= 10 && !isFull) || signal.aborted) throw error
      if (isFull && tries === 1) waiting(messageOf(error))
      await tools.clock.sleep(Math.min(500 * tries, 5000), signal)
    }
  }
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

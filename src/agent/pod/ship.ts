import { readdirSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Blobs } from '../../blob/contract.ts'
import { shipFolder } from '../../blob/file/folder.ts'
import type { PodPlace, PodSink, PodTools } from '../contract.ts'
import { copiedAs, createCopier, reached } from '../copies.ts'
import { checkpointKeyOf } from '../keys.ts'
import { createShipper, type Shelf, type Shipper } from '../shipping.ts'

/** Ships the checkpoints that a job completes in a folder. */
export interface FolderShipper extends Pick<Shipper, 'request' | 'drain' | 'close'> {
  /** Looks for new ones; cheap when the folder did not change. */
  look(): void
}

export function createFolderShipper(
  folder: string,
  place: PodPlace,
  tools: PodTools,
  sink: PodSink,
  known: readonly number[],
): FolderShipper {
  const { clock } = tools
  const { work, rank } = place
  const writes = work.checkpoints !== undefined && (work.checkpointRanks !== 'first' || rank === 0)
  const shipper = createShipper(shelfOf(folder, place, tools, sink), tools, sink, known)
  let seen: { mtimeMs: number; atMs: number } | undefined

  return {
    look() {
      const mtimeMs = statSync(folder, { throwIfNoEntry: false })?.mtimeMs
      if (mtimeMs === undefined || shipper.isBusy) return
      const nowMs = clock.now()
      // Two renames may fall into one tick of the file system's clock: what changed just now is looked at again.
      if (seen !== undefined && seen.mtimeMs === mtimeMs && seen.atMs - mtimeMs > 250) return
      seen = { mtimeMs, atMs: nowMs }
      if (writes) shipper.start()
    },
    request: shipper.request,
    drain: async () => (writes ? await shipper.drain() : undefined),
    close: shipper.close,
  }
}

function shelfOf(folder: string, place: PodPlace, tools: PodTools, sink: PodSink): Shelf {
  const { rank, attempt, worldSize } = place
  const { blobs, copies, clock } = tools
  const sourceOf = (step: number): string => join(folder, `step-${step}`)
  const keyOf = (step: number): string => checkpointKeyOf(place, step)
  const ship = (to: Blobs, step: number) =>
    shipFolder(to, sourceOf(step), keyOf(step), { step, attempt, rank, worldSize })
  const copy = createCopier(place, tools, sink, async (node, step) => (await ship(reached(copies, node), step)).digest)
  return {
    steps: () => completeSteps(folder),
    async store(step) {
      const writtenAtMs = Math.round(statSync(sourceOf(step)).ctimeMs)
      const startedAtMs = clock.steadyMs()
      const copying = copy?.(step)
      const { digest, bytes } = await ship(blobs, step)
      const persistSeconds = (clock.steadyMs() - startedAtMs) / 1000
      const copied = copying === undefined ? {} : copiedAs(digest, await copying)
      return { step, rank, manifest: keyOf(step), digest, bytes, persistSeconds, ...copied, writtenAtMs }
    },
    /** Two stay at hand. */
    async clear(steps) {
      const kept = completeSteps(folder).slice(-localMax)
      for (const step of steps)
        if (!kept.includes(step)) await rm(join(folder, `step-${step}`), { recursive: true, force: true })
    },
  }
}

const localMax = 2

/** Steps whose folders are complete: renamed into place, so without `.tmp`. Ascending. */
function completeSteps(folder: string): number[] {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    return []
  }
  return names
    .map((name) => /^step-(\d{1,15})$/.exec(name)?.[1])
    .filter((step) => step !== undefined)
    .map(Number)
    .sort((a, b) => a - b)
}

/** When anything below a checkpoint that is being written was last touched. */
export function writingAtMs(folder: string): number | undefined {
  let newest: number | undefined
  try {
    for (const name of readdirSync(folder)) {
      if (!/^step-\d+\./.test(name)) continue
      for (const file of ['.', ...readdirSync(join(folder, name))]) {
        const mtimeMs = statSync(join(folder, name, file), { throwIfNoEntry: false })?.mtimeMs ?? 0
        newest = Math.max(newest ?? 0, mtimeMs)
      }
    }
  } catch {
    // It was renamed while we looked: the next look sees it complete.
  }
  return newest
}

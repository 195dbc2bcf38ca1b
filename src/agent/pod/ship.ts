import { readdirSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDiskFull, messageOf, OperatingError } from '../../base/errors.ts'
import { shipFolder } from '../../blob/file/folder.ts'
import type { PodPlace, PodSink, PodTools } from '../contract.ts'

/** Ships the checkpoints that a job completes, in the background, one at a time, the newest first. */
export interface Shipper {
  /** Looks for new ones; cheap when the folder did not change. */
  look(): void
  /** This step was asked for: it is never passed over. */
  request(step: number): void
  /** Until everything that is complete now has been shipped. */
  drain(): Promise<void>
  /** The one under way is still finished. */
  close(): void
}

export function createShipper(
  folder: string,
  place: PodPlace,
  tools: PodTools,
  sink: PodSink,
  known: readonly number[],
): Shipper {
  const { blobs, clock, log } = tools
  const { work, rank } = place
  const prefix = work.checkpoints
  const writes = prefix !== undefined && (work.checkpointRanks === 'all' || rank === 0)
  const done = new Set(known)
  const requested = new Set<number>()
  let seen: { mtimeMs: number; atMs: number } | undefined
  let busy: Promise<void> | undefined
  const closed = new AbortController()

  function next(): number | undefined {
    const waiting = completeSteps(folder).filter((step) => !done.has(step))
    const asked = waiting.find((step) => requested.has(step))
    const step = asked ?? waiting.at(-1)
    // Whoever is faster at writing than the store at taking keeps only the newest.
    for (const each of waiting) if (step !== undefined && each < step && !requested.has(each)) done.add(each)
    return step
  }

  async function shipAll(): Promise<void> {
    for (let step = next(); step !== undefined && !closed.signal.aborted; step = next()) {
      await shipWithRetries(step)
      done.add(step)
    }
    await prune()
  }

  async function shipWithRetries(step: number): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await ship(step)
      } catch (error) {
        if (statSync(join(folder, `step-${step}`), { throwIfNoEntry: false }) === undefined) return // the job took it away
        const message = `the checkpoint of step ${step} could not be shipped: ${messageOf(error)}`
        if (tries === 1) sink.notice({ type: 'Warning', reason: 'CheckpointNotShipped', message })
        // A full disk is waited for, however long, unless the job wrote a newer one meanwhile.
        const isFull = isDiskFull(error)
        const canRetry = isFull ? !isOutdated(step) : !(error instanceof OperatingError) || error.policy !== 'give-up'
        if (!canRetry || (tries >= 20 && !isFull) || closed.signal.aborted) return
        log.warn(message, { tries })
        await clock.sleep(Math.min(250 * tries, 5000), closed.signal)
      }
    }
  }

  function isOutdated(step: number): boolean {
    return !requested.has(step) && completeSteps(folder).some((each) => each > step)
  }

  async function ship(step: number): Promise<void> {
    const source = join(folder, `step-${step}`)
    const writtenAtMs = Math.round(statSync(source).ctimeMs)
    const startedAtMs = clock.now()
    const manifest = `${prefix}/step-${step}/rank-${rank}/manifest.json`
    const meta = { step, attempt: place.attempt, rank, worldSize: place.worldSize }
    const { digest, bytes } = await shipFolder(blobs, source, manifest, meta)
    const persistSeconds = (clock.now() - startedAtMs) / 1000
    sink.shipped({ step, rank, manifest, digest, bytes, persistSeconds, writtenAtMs })
  }

  /** Older ones are in the store, or were passed over; two stay at hand. */
  async function prune(): Promise<void> {
    for (const step of completeSteps(folder).slice(0, -localMax))
      if (done.has(step) || !writes) await rm(join(folder, `step-${step}`), { recursive: true, force: true })
  }

  function start(): void {
    if (!writes || closed.signal.aborted) return
    busy ??= shipAll()
      .catch((error: unknown) => log.error('shipping checkpoints failed', { error: messageOf(error) }))
      .finally(() => {
        busy = undefined
      })
  }

  return {
    look() {
      const mtimeMs = statSync(folder, { throwIfNoEntry: false })?.mtimeMs
      if (mtimeMs === undefined || busy !== undefined) return
      const nowMs = clock.now()
      // Two renames may fall into one tick of the file system's clock: what changed just now is looked at again.
      if (seen !== undefined && seen.mtimeMs === mtimeMs && seen.atMs - mtimeMs > 250) return
      seen = { mtimeMs, atMs: nowMs }
      start()
    },
    request: (step) => void requested.add(step),
    async drain() {
      await busy
      if (!writes) return
      start()
      await busy
    },
    close: () => closed.abort(),
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

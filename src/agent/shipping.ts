import type { Clock } from '../base/clock.ts'
import { isWaitedFor, messageOf, OperatingError } from '../base/errors.ts'
import { aborted } from './aborted.ts'
import type { PodSink, PodTools, ShippedCheckpoint } from './contract.ts'

/** The checkpoints that a rank has completed on its machine, by step. */
export interface Shelf {
  /** Ascending. */
  steps(): number[]
  /** Stores one. What was stored of it before need not be again. */
  store(step: number): Promise<ShippedCheckpoint>
  /** These are in storage, or passed over: they may go. */
  clear(steps: readonly number[]): Promise<void>
}

/** Ships the checkpoints that a job completes, in the background, one at a time, the newest first. */
export interface Shipper {
  /** There are new ones, unless it is busy: then it finds them itself. */
  start(): void
  readonly isBusy: boolean
  /** This step was asked for: it is never passed over, unless storage takes none until a newer one was asked for. */
  request(step: number): void
  /** Until everything that is complete now has been shipped, or it is closed. */
  drain(): Promise<void>
  /** Whoever waits waits no longer; what is on its way may still arrive. */
  close(): void
}

/** Such as nobody waits for: after so many tries a checkpoint is given up. */
const triesMax = 20

export function createShipper(
  shelf: Shelf,
  { clock, log }: Pick<PodTools, 'clock' | 'log'>,
  sink: PodSink,
  known: readonly number[],
): Shipper {
  const done = new Set(known)
  const requested = new Set<number>()
  const closed = new AbortController()
  let isBusy = false
  let work: Promise<void> | undefined

  function next(): number | undefined {
    const waiting = shelf.steps().filter((step) => !done.has(step))
    const asked = waiting.find((step) => requested.has(step))
    const step = asked ?? waiting.at(-1)
    // Whoever is faster at writing than the store at taking keeps only the newest.
    for (const each of waiting) if (step !== undefined && each < step && !requested.has(each)) done.add(each)
    return step
  }

  /** Whoever starts it while it clears is heard as well. */
  async function shipAll(): Promise<void> {
    try {
      do {
        for (let step = next(); step !== undefined && !closed.signal.aborted; step = next()) {
          await shipWithRetries(step)
          done.add(step)
        }
        await shelf.clear(shelf.steps().filter((step) => done.has(step)))
      } while (next() !== undefined && !closed.signal.aborted)
    } catch (error) {
      log.error('shipping checkpoints failed', { error: messageOf(error) })
    } finally {
      isBusy = false
    }
  }

  async function shipWithRetries(step: number): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return sink.shipped(await shelf.store(step))
      } catch (error) {
        if (!shelf.steps().includes(step)) return // the job took it away
        const message = `the checkpoint of step ${step} could not be shipped: ${messageOf(error)}`
        if (tries === 1) sink.notice({ type: 'Warning', reason: 'CheckpointNotShipped', message })
        const waits = isWaitedFor(error)
        const canRetry = waits ? !isOutdated(step) : !(error instanceof OperatingError) || error.policy !== 'give-up'
        if (!canRetry || (tries >= triesMax && !waits) || closed.signal.aborted) return
        log.warn(message, { tries })
        await clock.sleep(Math.min(250 * tries, 5000), closed.signal)
      }
    }
  }

  /**
   * Storage that takes nothing is waited for, but not with what there is something newer for. Of those that were asked for
   * that is the next one of them: all ranks were asked for the same.
   */
  function isOutdated(step: number): boolean {
    return shelf.steps().some((other) => other > step && (requested.has(other) || !requested.has(step)))
  }

  function start(): void {
    if (closed.signal.aborted || isBusy) return
    isBusy = true
    work = shipAll()
  }

  return {
    start,
    get isBusy() {
      return isBusy
    },
    request: (step) => void requested.add(step),
    async drain() {
      const isClosed = aborted(closed.signal)
      await Promise.race([work, isClosed])
      start()
      await Promise.race([work, isClosed])
    },
    close: () => closed.abort(),
  }
}

export interface StoringOptions {
  clock: Clock
  /** Waiting ends with it. */
  signal: AbortSignal
  /** What it waits for, once. */
  waiting(message: string): void
}

/** Stores what nobody can do without: as often as it takes while storage takes nothing, else ten times. */
export async function storing<T>(store: () => Promise<T>, { clock, signal, waiting }: StoringOptions): Promise<T> {
  const isOver = aborted(signal)
  for (let tries = 1; ; tries++) {
    try {
      const stored = await Promise.race([store().then((value) => ({ value })), isOver])
      if (stored === undefined)
        throw new OperatingError('stopped', 'give-up', 'it was to end before storage had taken it')
      return stored.value
    } catch (error) {
      const waits = isWaitedFor(error)
      const canRetry = error instanceof OperatingError && error.policy !== 'give-up'
      if (!canRetry || (tries >= 10 && !waits) || signal.aborted) throw error
      if (waits && tries === 1) waiting(messageOf(error))
      await clock.sleep(Math.min(500 * tries, 5000), signal)
    }
  }
}

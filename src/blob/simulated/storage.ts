import type { Cancel, Clock } from '../../base/clock.ts'
import { diskFull, storageUnreachable } from '../../base/errors.ts'
import { around } from '../around.ts'
import type { Blobs } from '../contract.ts'

/**
 * Object storage of the twin as those who use it find it: it may be slow, refuse everything, or have no room left. Each is
 * so until it is cancelled; of several that slow it down the worst counts.
 */
export interface SimulatedStorage {
  readonly blobs: Blobs
  /** Bulk bytes on their way, to or from it, that take `ms` where nothing is wrong. Whoever waits does so by `clock`. */
  transfer(ms: number, clock: Clock): Promise<void>
  slowDown(slowness: number): Cancel
  breakDown(): Cancel
  fillUp(): Cancel
}

export function createSimulatedStorage(blobs: Blobs, time: Pick<Clock, 'now'>): SimulatedStorage {
  const ills: { slowness: number; isOut: boolean; isFull: boolean }[] = []
  /** Transfers under way: their pace changes with each ill that comes or goes. */
  const underWay = new Set<() => void>()
  const slowness = (): number => ills.reduce((worst, ill) => Math.max(worst, ill.slowness), 1)

  function suffer(ill: Partial<(typeof ills)[number]>): Cancel {
    const one = { slowness: 1, isOut: false, isFull: false, ...ill }
    ills.push(one)
    changed()
    return () => {
      const at = ills.indexOf(one)
      if (at < 0) return
      ills.splice(at, 1)
      changed()
    }
  }

  function changed(): void {
    const all = [...underWay]
    underWay.clear()
    for (const change of all) change()
  }

  function reach(): void {
    if (ills.some(({ isOut }) => isOut)) throw storageUnreachable('it does not answer')
  }

  async function transfer(ms: number, clock: Clock): Promise<void> {
    reach()
    for (let leftMs = ms; leftMs > leastMs; ) {
      const [pace, sinceMs] = [slowness(), time.now()]
      await passing(leftMs * pace, clock)
      reach()
      leftMs -= (time.now() - sinceMs) / pace
    }
  }

  /** So long, or until the pace changes. Who is dead by then hears of neither. */
  function passing(ms: number, clock: Clock): Promise<void> {
    return new Promise((resolve) => {
      const over = (): void => {
        underWay.delete(change)
        resolve()
      }
      const cancel = clock.after(ms, over)
      const change = (): void => {
        cancel()
        clock.after(0, over)
      }
      underWay.add(change)
    })
  }

  const read = async <T>(ask: () => Promise<T>): Promise<T> => {
    reach()
    return await ask()
  }
  const write = <T>(ask: () => Promise<T>): Promise<T> =>
    read(() => {
      if (ills.some(({ isFull }) => isFull)) throw diskFull('object storage', undefined)
      return ask()
    })

  return {
    blobs: around(blobs, { read, write }),
    transfer,
    slowDown: (times) => suffer({ slowness: times }),
    breakDown: () => suffer({ isOut: true }),
    fillUp: () => suffer({ isFull: true }),
  }
}

/** Clocks count whole milliseconds. */
const leastMs = 0.5

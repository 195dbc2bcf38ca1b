import { formatDuration } from '../model/duration.ts'
import type { Screen } from './progress.ts'

const drawMs = 200

export interface TwinProgress {
  /** The seed at `index` has come to `atMs` of its horizon. */
  heard(index: number, atMs: number): void
  /** Takes the line away again. */
  end(): void
}

/** How far a run is, on one line of a terminal; nothing elsewhere. */
export function createTwinProgress(
  horizonMs: number,
  seeds: readonly number[],
  screen: Screen,
  now: () => number,
): TwinProgress {
  if (screen.isTTY !== true) return { heard: () => {}, end: () => {} }
  const startedMs = now()
  let drawnMs = startedMs
  return {
    heard(index, atMs) {
      const nowMs = now()
      if (nowMs - drawnMs < drawMs) return
      drawnMs = nowMs
      const line = twinProgressLine({ horizonMs, seeds, index, atMs, tookMs: nowMs - startedMs })
      screen.write(`\r${line.slice(0, (screen.columns || 80) - 1)}\u001b[K`)
    },
    end: () => void screen.write('\r\u001b[K'),
  }
}

/** `seed 8 (2 of 30)  6h of 1d  ×21600  1m57s left` */
export function twinProgressLine(at: {
  horizonMs: number
  seeds: readonly number[]
  index: number
  atMs: number
  tookMs: number
}): string {
  const { horizonMs, seeds, index, atMs, tookMs } = at
  const doneMs = index * horizonMs + atMs
  const speed = doneMs / Math.max(1, tookMs)
  const leftMs = speed === 0 ? Number.NaN : (seeds.length * horizonMs - doneMs) / speed
  const which = seeds.length === 1 ? `seed ${seeds[0]}` : `seed ${seeds[index]} (${index + 1} of ${seeds.length})`
  return `${which}  ${formatDuration(atMs)} of ${formatDuration(horizonMs)}  ×${Math.round(speed)}  ${formatDuration(leftMs)} left`
}

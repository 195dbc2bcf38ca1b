import { humanDuration } from '../api/age.ts'

export interface Screen {
  isTTY?: boolean | undefined
  /** 0 where the terminal does not say. */
  columns?: number | undefined
  write(text: string): unknown
}

/** Smaller ones are there before anybody wonders. */
const bytesMin = 8 * 1024 * 1024
const drawMs = 200

export interface Progress {
  heard(bytes: number): void
  /** Takes the line away again. */
  end(): void
}

/** How much of a big file has come, on one line of a terminal; nothing elsewhere. */
export function createProgress(name: string, size: number, screen: Screen, now: () => number): Progress {
  if (screen.isTTY !== true || size < bytesMin) return { heard: () => {}, end: () => {} }
  const startedMs = now()
  let drawnMs = Number.NEGATIVE_INFINITY
  return {
    heard(bytes) {
      const nowMs = now()
      if (nowMs - drawnMs < drawMs) return
      drawnMs = nowMs
      const line = progressLine(name, bytes, size, nowMs - startedMs)
      screen.write(`\r${line.slice(0, (screen.columns || 80) - 1)}\u001b[K`)
    },
    end: () => void screen.write('\r\u001b[K'),
  }
}

/** `45 %  1.2 of 2.6 GiB  120 MiB/s  12s left  model.gguf` */
export function progressLine(name: string, bytes: number, size: number, ms: number): string {
  const perSecond = ms < 1000 ? 0 : (bytes / ms) * 1000
  const speed =
    perSecond === 0 ? '' : `  ${mebibytes(perSecond)} MiB/s  ${humanDuration(((size - bytes) / perSecond) * 1000)} left`
  return `${Math.floor((bytes / size) * 100)} %  ${mebibytes(bytes)} of ${mebibytes(size)} MiB${speed}  ${name}`
}

const mebibytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(0)

import { OperatingError } from '../base/errors.ts'

/** Durations as Go and Kubernetes write them, with days: `500ms`, `30s`, `10m`, `1h30m`, `2d`. */
export type ReadDuration = { ms: number } | { problem: string }

/** Never throws. At most ten years, in whole milliseconds (rounded). */
export function readDuration(text: string): ReadDuration {
  if (text.length > 64 || !whole.test(text)) return { problem: `is not a duration; write ${durationForms}` }
  let ms = 0
  for (const [, amount, unit] of text.matchAll(part)) ms += Number(amount) * (unitMs.get(unit ?? '') ?? Number.NaN)
  if (!(ms <= durationMsMax)) return { problem: 'is longer than ten years' }
  return { ms: Math.round(ms) }
}

/** Throws on what admission would refuse. */
export function durationMs(text: string): number {
  const read = readDuration(text)
  if ('ms' in read) return read.ms
  throw new OperatingError('invalid', 'give-up', `"${text.slice(0, 64)}" ${read.problem}`)
}

/** For people: `1h30m`, `45s`, `1.2s`, `300ms`. The two largest units at most. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return 'unknown'
  if (ms < 0) return `-${formatDuration(-ms)}`
  if (ms < 1000) return `${Math.round(ms)}ms`
  if (ms < 9950) return `${Math.round(ms / 100) / 10}s`
  const seconds = Math.round(ms / 1000)
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([amount]) => amount > 0)
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join('')
}

export const durationForms = 'a number with a unit, e.g. 500ms, 30s, 10m, 1h30m or 2d'

const durationMsMax = 315_360_000_000
const whole = /^(?:[0-9]{1,15}(?:\.[0-9]{1,9})?(?:ms|s|m|h|d))+$/
const part = /([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)/g
const unitMs: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

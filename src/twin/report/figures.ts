import { formatDuration } from '../../model/duration.ts'
import type { Unit } from './measures.ts'

/** A figure for people: `93.4 %`, `1h30m`, `12.3 ms`, `1,234.5 h`, `12`, `4,301.20 USD`. */
export function figure(value: number, unit: Unit): string {
  if (unit === 'ratio') return `${(100 * value).toFixed(1)} %`
  if (unit === 'seconds') return value === 0 ? '0s' : formatDuration(value * 1000)
  if (unit === 'milliseconds') return `${grouped(value, Math.abs(value) < 100 ? 1 : 0)} ms`
  if (unit === 'hours') return `${grouped(value, 1)} h`
  if (unit === 'usd') return `${grouped(value, 2)} USD`
  return grouped(value, Number.isInteger(value) ? 0 : 1)
}

/** `93.4 % (91.0 % – 95.2 %)`; without a range where all seeds agree. */
export function figureOver({ mean, min, max }: { mean: number; min: number; max: number }, unit: Unit): string {
  const [middle, low, high] = [figure(mean, unit), figure(min, unit), figure(max, unit)]
  return low === high ? middle : `${middle} (${low} – ${high})`
}

/** Thousands are set apart, the same on every machine. */
function grouped(value: number, digits: number): string {
  const [whole = '', fraction] = value.toFixed(digits).split('.')
  const spaced = whole.replace(/\B(?=([0-9]{3})+$)/g, ',')
  return fraction === undefined ? spaced : `${spaced}.${fraction}`
}

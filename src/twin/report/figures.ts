import { formatDuration } from '../../model/duration.ts'
import type { Unit } from './measures.ts'
import type { Row } from './report.ts'

/** A figure for people: `93.4 %`, `1h30m`, `12.3 ms`, `1,234.5 h`, `18.6 min`, `12`, `4,301.20 USD`. */
export function figure(value: number, unit: Unit): string {
  if (unit === 'ratio') return `${(100 * value).toFixed(1)} %`
  if (unit === 'seconds') return value === 0 ? '0s' : formatDuration(value * 1000)
  if (unit === 'milliseconds') return `${grouped(value, Math.abs(value) < 100 ? 1 : 0)} ms`
  if (unit === 'hours') return hoursSaid(value)
  if (unit === 'usd') return `${grouped(value, 2)} USD`
  return grouped(value, Number.isInteger(value) ? 0 : 1)
}

/** `93.4 % (91.0 % – 95.2 %)`; without a range where all seeds agree. `12h, of 2 of 3 seeds` that have it. */
export function figureOver({ mean, min, max, values }: Omit<Row, 'name' | 'unit'>, unit: Unit): string {
  const [middle, low, high] = [figure(mean, unit), figure(min, unit), figure(max, unit)]
  const known = values.filter((value) => value !== null).length
  const of = known === values.length ? '' : `, of ${known} of ${values.length} seeds`
  return `${low === high ? middle : `${middle} (${low} – ${high})`}${of}`
}

/** In the largest unit of which it is one or more: `1.0 h` rather than `60.0 min`, and `18.6 min` rather than `0.3 h`. */
function hoursSaid(hours: number): string {
  if (hours === 0) return '0 h'
  const isOne = (perHour: number) => Math.round(Math.abs(hours) * perHour * 600) >= 600
  const [unit, perHour] = hourUnits.find(([, perHour]) => isOne(perHour)) ?? ['ms', 3_600_000]
  return `${grouped(hours * perHour, 1)} ${unit}`
}

const hourUnits = [
  ['h', 1],
  ['min', 60],
  ['s', 3600],
] as const

/** Thousands are set apart, the same on every machine. */
function grouped(value: number, digits: number): string {
  const [whole = '', fraction] = value.toFixed(digits).split('.')
  const spaced = whole.replace(/\B(?=([0-9]{3})+$)/g, ',')
  return fraction === undefined ? spaced : `${spaced}.${fraction}`
}

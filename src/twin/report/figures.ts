import { formatDuration } from '../../model/duration.ts'
import type { Unit } from './measures.ts'
import type { Row } from './report.ts'

/** A figure for people: `93.4 %`, `1h30m`, `12.3 ms`, `1,234.5 h`, `12`, `4,301.20 USD`. */
export function figure(value: number, unit: Unit): string {
  if (unit === 'ratio') return `${(100 * value).toFixed(1)} %`
  if (unit === 'seconds') return value === 0 ? '0s' : formatDuration(value * 1000)
  if (unit === 'milliseconds') return `${grouped(value, Math.abs(value) < 100 ? 1 : 0)} ms`
  if (unit === 'hours') return `${grouped(value, 1)} h`
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

/** Thousands are set apart, the same on every machine. */
function grouped(value: number, digits: number): string {
  const [whole = '', fraction] = value.toFixed(digits).split('.')
  const spaced = whole.replace(/\B(?=([0-9]{3})+$)/g, ',')
  return fraction === undefined ? spaced : `${spaced}.${fraction}`
}

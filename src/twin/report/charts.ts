import { figure } from './figures.ts'
import type { Unit } from './measures.ts'

/** Charts as SVG, in the colours of the page that they stand on: `var(--c0)`, `var(--ink)`, … */

const width = 960
const left = 64

export interface Line {
  name: string
  /** A number from 0 to 7: which colour of the page. */
  colour: number
  mean: readonly number[]
  low: readonly number[]
  high: readonly number[]
}

/** Lines over time with the range over seeds behind them. Each point is the mean of a stretch. */
export function lineChart(lines: readonly Line[], max: number, unit: Unit, hours: number): string {
  const height = 200
  const top = Math.max(max, 1e-9)
  const points = Math.max(1, ...lines.map(({ mean }) => mean.length))
  const x = (index: number) => left + ((index + 0.5) / points) * (width - left)
  const y = (value: number) => 10 + (1 - value / top) * (height - 10)
  const path = (values: readonly number[]) => values.map((value, index) => `${at(x(index))},${at(y(value))}`)
  const drawn = lines.map(({ name, colour, mean, low, high }) => {
    const band = [...path(high), ...path(low).toReversed()].join(' ')
    return `<g><title>${escaped(name)}</title><polygon points="${band}" fill="var(--c${colour})" opacity=".2"/><polyline points="${path(mean).join(' ')}" fill="none" stroke="var(--c${colour})" stroke-width="2"/></g>`
  })
  const marks = [0, 0.5, 1].map((share) => {
    const value = share * top
    return `<line class="grid" x1="${left}" x2="${width}" y1="${at(y(value))}" y2="${at(y(value))}"/><text x="${left - 8}" y="${at(y(value) + 4)}" text-anchor="end">${escaped(figure(value, unit))}</text>`
  })
  return svg(
    height + 24,
    [...marks, ...drawn, ...hourMarks(height, hours)],
    lines.map(({ name }) => name).join(' and '),
  )
}

export interface Bar {
  row: string
  /** In hours. */
  from: number
  to: number
  /** Where it lies in its row, and how high it is, from 0 to 1. */
  offset: number
  share: number
  colour: number
  title: string
}

/** Who was where, row by row. */
export function ganttChart(rows: readonly string[], bars: readonly Bar[], hours: number): string {
  const rowHeight = rows.length > 32 ? 12 : 20
  const x = (hour: number) => left + 40 + (hour / hours) * (width - left - 40)
  const place = new Map(rows.map((row, index) => [row, index * rowHeight]))
  const labels = rows.map(
    (row, index) =>
      `<line class="grid" x1="${left + 40}" x2="${width}" y1="${(index + 1) * rowHeight}" y2="${(index + 1) * rowHeight}"/><text x="${left + 32}" y="${(index + 0.5) * rowHeight + 4}" text-anchor="end">${escaped(row)}</text>`,
  )
  const drawn = bars.map(({ row, from, to, offset, share, colour, title }) => {
    const y = (place.get(row) ?? 0) + 1 + offset * (rowHeight - 2)
    const long = Math.max(0.75, x(to) - x(from) - 0.75)
    return `<rect x="${at(x(from))}" y="${at(y)}" width="${at(long)}" height="${at(Math.max(1, share * (rowHeight - 2)))}" fill="var(--c${colour})"><title>${escaped(title)}</title></rect>`
  })
  const height = rows.length * rowHeight
  return svg(height + 24, [...labels, ...drawn, ...hourMarks(height, hours, left + 40)], 'Gangs on nodes over time')
}

export interface Stack {
  name: string
  parts: readonly { name: string; value: number; colour: number }[]
}

/** One bar a name, of parts beside each other. */
export function stackChart(stacks: readonly Stack[], unit: Unit): string {
  const rowHeight = 26
  const from = 220
  const total = ({ parts }: Stack) => parts.reduce((sum, { value }) => sum + value, 0)
  const longest = Math.max(1e-9, ...stacks.map(total))
  const drawn = stacks.flatMap((stack, index) => {
    const y = index * rowHeight
    let x = from
    const parts = stack.parts.map(({ name, value, colour }) => {
      const long = (value / longest) * (width - from - 110)
      const title = `${stack.name}: ${name} ${figure(value, unit)}`
      const rect = `<rect x="${at(x)}" y="${y + 4}" width="${at(long)}" height="${rowHeight - 8}" fill="var(--c${colour})"><title>${escaped(title)}</title></rect>`
      x += long
      return rect
    })
    return [
      `<text x="${from - 10}" y="${y + rowHeight / 2 + 4}" text-anchor="end">${escaped(stack.name)}</text>`,
      ...parts,
      `<text x="${at(x + 8)}" y="${y + rowHeight / 2 + 4}">${escaped(figure(total(stack), unit))}</text>`,
    ]
  })
  return svg(stacks.length * rowHeight, drawn, stacks.map(({ name }) => name).join(', '))
}

function hourMarks(y: number, hours: number, from = left): string[] {
  return [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const x = from + share * (width - from)
    const anchor = share === 1 ? 'end' : share === 0 ? 'start' : 'middle'
    return `<text x="${at(x)}" y="${y + 18}" text-anchor="${anchor}">${escaped(figure(share * hours * 3600, 'seconds'))}</text>`
  })
}

function svg(height: number, parts: readonly string[], label: string): string {
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">${parts.join('')}</svg>`
}

/** A place on the page, to a tenth. */
function at(place: number): string {
  return String(Math.round(place * 10) / 10)
}

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

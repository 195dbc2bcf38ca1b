/** Draws `points` (x rising) as a curve of `width` × `height` characters with its scale on the left. */
export function chart(points: readonly { x: number; y: number }[], width = 64, height = 10): string {
  if (points.length < 2) return ''
  const xs = points.map((point) => point.x)
  const ys = points.map((point) => point.y)
  const [left, right] = [Math.min(...xs), Math.max(...xs)]
  const [low, high] = [Math.min(...ys), Math.max(...ys)]
  const rows = Array.from({ length: height }, () => new Array<string>(width).fill(' '))
  for (const { x, y } of points) {
    const column = Math.round(((x - left) / (right - left || 1)) * (width - 1))
    const row = Math.round(((high - y) / (high - low || 1)) * (height - 1))
    const line = rows[row]
    if (line) line[column] = '•'
  }
  const label = (row: number) => (high - (row / (height - 1)) * (high - low)).toFixed(2).padStart(6)
  const body = rows.map(
    (cells, row) => `${row % 3 === 0 || row === height - 1 ? label(row) : '      '} │${cells.join('').trimEnd()}`,
  )
  const axis = `       └${'─'.repeat(width)}\n        step ${left}${`${right}`.padStart(width - 5 - `${left}`.length)}`
  return [...body, axis].join('\n')
}

import { exit } from './exit.ts'

const color = (code: number) => (text: string) => (useColor() ? `\u001b[${code}m${text}\u001b[0m` : text)
export const paint = {
  bold: color(1),
  dim: color(2),
  red: color(31),
  green: color(32),
  yellow: color(33),
  cyan: color(36),
}

export function useColor(): boolean {
  return process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined && process.env['TERM'] !== 'dumb'
}

/** A reader that went away (`| head`) is no failure of ours: there is nothing left to do. */
export function endWithReader(): void {
  process.stdout.on('error', end)
}

/** For who has more to do than to print: it goes on though nobody reads, and though its terminal is closed. */
export function outliveReader(): void {
  process.stdout.off('error', end)
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}

function end(error: NodeJS.ErrnoException): void {
  process.exit(error.code === 'EPIPE' ? exit.ok : exit.failed)
}

export type Format = 'table' | 'wide' | 'json' | 'yaml' | 'name'

/** Left-aligned columns, two spaces apart, as kubectl prints them. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('   ')
      .trimEnd()
  return [line(header), ...rows.map(line)].join('\n')
}

/** The YAML library is loaded only by who asks for YAML: a table is there sooner. */
export async function dump(value: unknown, format: 'json' | 'yaml'): Promise<string> {
  if (format === 'json') return JSON.stringify(value, null, 2)
  const { stringify } = await import('yaml')
  return stringify(value, { lineWidth: 0 }).trimEnd()
}

/** Names and messages come from others: control characters never reach the terminal. */
export function plain(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd')
}

/** The first few names, and how many more there are. */
export function shortList(names: readonly string[], max = 5): string {
  const more = names.length - max
  return names.slice(0, max).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** As a shell takes it for one word. */
export function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

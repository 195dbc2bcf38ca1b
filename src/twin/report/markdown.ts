import type { TwinReport } from './report.ts'
import { headline, type Table, tablesOf } from './tables.ts'

/** A report as Markdown. */
export function markdownOf(report: TwinReport): string {
  return [`# ${cell(headline(report))}`, ...tablesOf(report).map(markdownTable)].join('\n\n')
}

export function markdownTable({ title, header, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`
  const [first, ...rest] = header
  return [`## ${title}`, '', line([first ?? '', ...rest]), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}

/** Names come from files: they must not break out of their cell. */
function cell(text: string): string {
  return text.replace(/[\\|<>`*_[\]]/g, (character) => `\\${character}`).replace(/\s+/g, ' ')
}

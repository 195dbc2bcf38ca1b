import { readDuration } from '../../model/duration.ts'
import type { LedgerPage } from '../../model/kinds/ledger-page.ts'
import { summarise } from '../../runtime/accounts.ts'
import { oneOf } from '../arguments.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { table } from '../output.ts'

interface LedgerOptions {
  by: string
  output?: string
  since?: string
  explain?: boolean
}

export async function ledger(options: LedgerOptions, global: Global): Promise<void> {
  const by = oneOf('--by', options.by, ['bucket', 'queue', 'namespace', 'owner', 'node'], 'bucket')
  const output = oneOf('--output', options.output, ['table', 'json'], 'table')
  if (options.explain === true) return console.log(explained())
  const sinceMs = options.since === undefined ? undefined : timeOf(options.since, Date.now())
  const { client } = await connect(global)
  const summary = summarise(pagesSince((await client.list('LedgerPage', {})).items, sinceMs), by)
  if (output === 'json') return console.log(JSON.stringify(summary, null, 2))
  const seconds = (ms: number) => (ms / 1000).toFixed(1)
  const rows = summary.rows.map((row) => [
    ...row.key,
    seconds(row.slotMs),
    `${((100 * row.slotMs) / Math.max(1, summary.totalSlotMs)).toFixed(1)} %`,
    row.usd.toFixed(4),
  ])
  rows.push([
    ...summary.header.map((_, i) => (i === 0 ? 'total' : '')),
    seconds(summary.totalSlotMs),
    '100.0 %',
    summary.totalUsd.toFixed(4),
  ])
  console.log(table([...summary.header.map((title) => title.toUpperCase()), 'SLOT-SECONDS', 'SHARE', 'USD'], rows))
  console.log(
    `${summary.nodes} node(s); capacity × time = ${seconds(summary.capacitySlotMs)} slot-seconds; the buckets add up to ${seconds(summary.totalSlotMs)}.`,
  )
  if (sinceMs !== undefined && summary.fromMs !== undefined)
    console.log(`Accounts are kept by the hour: this is since ${new Date(summary.fromMs).toISOString()}.`)
}

function explained(): string {
  return table(
    ['BUCKET', 'WHAT A SLOT WAS DOING'],
    summarise([]).buckets.map(({ name, meaning }) => [name, meaning]),
  )
}

/** Whole pages: those that go beyond `sinceMs`. */
export function pagesSince(pages: readonly LedgerPage[], sinceMs = 0): LedgerPage[] {
  return pages.filter(({ status }) => (status?.throughMs ?? 0) > sinceMs)
}

/** `1h` ago, or a point in time. */
export function timeOf(text: string, nowMs: number): number {
  const read = readDuration(text)
  const atMs = 'ms' in read ? nowMs - read.ms : /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isFinite(atMs) && atMs <= nowMs) return atMs
  const problem = Number.isFinite(atMs) ? 'is in the future' : 'is neither a duration nor a time'
  throw new Exit(exit.usage, `--since: "${text.slice(0, 64)}" ${problem}; write e.g. 1h, 2d or 2026-01-01T00:00Z.`)
}

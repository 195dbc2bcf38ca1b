import { summarise } from '../../runtime/accounts.ts'
import { oneOf } from '../arguments.ts'
import { connect } from '../connect.ts'
import type { Global } from '../global.ts'
import { table } from '../output.ts'

export async function ledger(options: { by: string; output?: string }, global: Global): Promise<void> {
  const by = oneOf('--by', options.by, ['bucket', 'queue', 'owner', 'node'], 'bucket')
  const output = oneOf('--output', options.output, ['table', 'json'], 'table')
  const { client } = await connect(global)
  const pages = (await client.list('LedgerPage', {})).items
  const summary = summarise(pages, by)
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
}

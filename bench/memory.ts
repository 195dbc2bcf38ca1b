import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Whole } from './ettr.ts'
import type { Row } from './row.ts'
import { percent } from './statistics.ts'

/** Without a limit a heap grows to twice what it needs before it is looked through. */
const heapMegabytes = 1100

/** What the twin holds at most while it plays Llama 3's pre-training at full size for so many days, in a process of its own; and its ETTR. */
export async function memoryRows(days: number): Promise<Row[]> {
  const self = fileURLToPath(import.meta.url)
  const args = [`--max-old-space-size=${heapMegabytes}`, self, 'whole', `--days=${days}`]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said, [status]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (status !== 0) throw new Error(`bench: ${days} days at full size did not come to their end (${status})`)
  const { megabytes, seconds, ettr, optimum, failures }: Whole = JSON.parse(said)
  return [
    {
      row: `memory, most: 16,384 accelerators for ${days} days`,
      value: megabytes,
      unit: 'MB',
      bar: '<= 1,500 MB',
      ok: megabytes <= 1500,
      peer: `a heap of at most ${heapMegabytes} MB; ${seconds.toFixed(0)} s of CPU time`,
    },
    {
      row: '... its ETTR, δ 10 s, R 60 s, interval auto, one seed',
      value: 100 * ettr,
      unit: '%',
      bar: `>= ${(99.5 * optimum).toFixed(2)} %`,
      ok: ettr >= 0.995 * optimum,
      peer: `optimum for its ${failures} failures ${percent(optimum)}: ${percent(ettr / optimum)} of it`,
    },
  ]
}

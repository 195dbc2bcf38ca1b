import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Row } from '../row.ts'
import { largeSaid } from './large.ts'

/** What the hunt says of itself with `--json`. */
export interface Hunted {
  from: number
  seconds: number
  histories: number
  large: number
  broken: number
}

/** Of histories to speak of, before the control plane is called done. */
const bar = 200_000
/** One in twenty or so is smaller. */
const enough = 220_000

/** Plays so many histories, each twice, a process for each core. What broke a rule is on standard error. */
export async function huntRows(histories: number): Promise<Row[]> {
  const self = fileURLToPath(new URL('hunt.js', import.meta.url))
  const args = ['--max-semi-space-size=64', self, `--seeds=${histories}`, '--json']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (said === '') throw new Error('bench: the hunt did not come to its end')
  return [huntRow(JSON.parse(said))]
}

/** The bar is claimed only where it was tried. */
export function huntRow({ from, seconds, histories, large, broken }: Hunted): Row {
  const isTried = large >= bar
  const what = broken === 0 ? 'no rule was broken' : `${broken} broke a rule`
  const rest = isTried ? '' : `; the bar, ${bar}, was not tried: --histories=${enough}`
  return {
    row: `the hunt: histories of ${largeSaid}`,
    value: large,
    unit: '',
    bar: isTried ? `>= ${bar}, none broken` : '',
    ok: broken === 0,
    peer: `of ${histories} from seed ${from} in ${seconds.toFixed(0)} s; ${what}${rest}`,
  }
}

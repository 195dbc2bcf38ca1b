import type { Row } from './row.ts'

/** What some version of Node made of the seeds. */
export interface Made {
  version: string
  hashes: readonly string[]
}

/** Versions of Node that make the same of a seed. */
const majors = ['20', '22', '24']

/** Whether it is the same each time it is made here, and on other versions of Node; that is claimed only where all were asked. */
export function sameRows(what: string, here: Made, again: readonly Made[], others: readonly Made[]): Row[] {
  const count = here.hashes.length
  const same = (made: readonly Made[]) =>
    here.hashes.filter((hash, at) => made.every(({ hashes }) => hashes[at] === hash))
  const asked = new Set([here, ...others].map(({ version }) => version.split('.')[0] ?? ''))
  const missing = majors.filter((major) => !asked.has(major))
  const ran =
    others.length === 0 ? '' : `, as on Node ${here.version} on ${others.map(({ version }) => version).join(', ')}`
  const rest =
    missing.length === 0 ? '' : `; not run on Node ${missing.join(', ')}, which MILLWRIGHT_NODES does not name`
  const elsewhere = same(others).length
  return [
    {
      row: `of ${count} ${what}: the same twice in a process and in another`,
      value: same(again).length,
      unit: '',
      bar: `= ${count}`,
      ok: same(again).length === count,
      peer: `Node ${here.version}`,
    },
    {
      row: `... the same on Node ${majors.join(', ')}`,
      value: others.length === 0 ? Number.NaN : elsewhere,
      unit: '',
      bar: missing.length === 0 ? `= ${count}` : '',
      ok: others.length === 0 || elsewhere === count,
      peer: `${ran}${rest}`.replace(/^[,;] /, ''),
    },
  ]
}

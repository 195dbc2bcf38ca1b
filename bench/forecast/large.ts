import { readState } from '../../src/compile/state.ts'
import { forecastOf } from '../../src/twin/forecast/forecast.ts'
import type { Row } from '../row.ts'
import { nodeOf } from '../scheduler/philly.ts'

const [dayMs, days] = [86_400_000, 54]
/** Of a thousand nodes 6.5 fail a day, each for a day: some thirteen of these are away at a time. */
const [members, nodes, nodeFailures] = [2048, 2080, 6.5]

/** How fast a job of 16,384 accelerators is foretold: the scheduler decides after each failure, its agents and steps are not simulated. */
export function largeRow(): Row {
  const job = {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name: 'large', namespace: 'default' },
    spec: {
      workers: members,
      resources: { accelerators: 'V100:8' },
      command: ['train'],
      checkpoint: { interval: 'auto' },
      expectedSeconds: (2 * days * dayMs) / 1000,
    },
  }
  const items = [...Array.from({ length: nodes }, (_, index) => nodeOf(index, 8)), job]
  const read = readState([{ name: 'large.json', text: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) }], {
    nowMs: 0,
  })
  if ('errors' in read) throw new Error(`bench: ${JSON.stringify(read.errors[0])}`)
  const risks = { nodeFailures, repairMs: dayMs, spotReclaims: 0, spotAwayMs: 0, spotNoticeMs: 0 }
  const before = process.cpuUsage()
  const { rows } = forecastOf(read.state, undefined, { nowMs: 0, horizonMs: days * dayMs, seeds: 1, risks })
  const { user, system } = process.cpuUsage(before)
  const seconds = (user + system) / 1e6
  const times = (days * dayMs) / 1000 / seconds
  const figure = (name: 'restarts for nodes' | 'ETTR') =>
    rows.find((row) => row.of === 'fleet' && row.figure === name)?.without?.mean ?? 0
  return {
    row: `virtual time over CPU time: a forecast of a job on ${members} nodes, ${days} days`,
    value: times,
    unit: 'x',
    bar: '>= 100,000 x',
    ok: times >= 100_000,
    peer: `${seconds.toFixed(0)} s; ${figure('restarts for nodes').toFixed(0)} restarts, ETTR ${figure('ETTR').toFixed(1)} %`,
  }
}

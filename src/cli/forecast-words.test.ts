import { describe, expect, test } from 'vitest'
import { readState, type State } from '../compile/state.ts'
import { keyOf } from '../model/refs.ts'
import { forecastOf } from '../twin/forecast/forecast.ts'
import { planLines, textOf } from './forecast-words.ts'

const node = (name: string) => `apiVersion: v1
kind: Node
metadata: { name: ${name}, labels: { millwright.dev/accelerator: H100, millwright.dev/pool: p } }
status: { allocatable: { nvidia.com/gpu: 8 } }
`
const ours = (kind: string, name: string, spec: string) => `apiVersion: millwright.dev/v1alpha1
kind: ${kind}
metadata: { name: ${name} }
spec: ${spec}
`
const pool = (type: string) => ours('Pool', 'p', `{ accelerator: H100, maxNodes: 4, capacityType: ${type} }`)
const queue = (gpus: number) => ours('Queue', 'default', `{ nominalQuota: { H100: ${gpus} } }`)
const job = (name: string, hours: number, more = '') =>
  ours(
    'TrainingJob',
    name,
    `{ command: [x], expectedSeconds: ${3600 * hours}, resources: { accelerators: "H100:8" }${more} }`,
  )
const nodes = (count: number, prefix: string) => Array.from({ length: count }, (_, at) => node(`${prefix}${at}`))

/** What is said of a state and a change: by the plan, and by the forecast. */
function said(state: string[], change: string[], risks: { spotReclaims?: number; nodeFailures?: number } = {}) {
  const text = (documents: string[]) => ({ name: 'file.yaml', text: documents.join('---\n') })
  const read = (changes: string[]): State => {
    const found = readState([text(state)], { nowMs: 0, change: changes.length === 0 ? [] : [text(changes)] })
    if ('errors' in found) throw new Error(JSON.stringify(found.errors))
    return found.state
  }
  const [before, after] = [read([]), read(change)]
  const found = forecastOf(before, after, {
    nowMs: 0,
    horizonMs: 24 * 3_600_000,
    seeds: 5,
    risks: {
      nodeFailures: 0,
      repairMs: 3_600_000,
      spotReclaims: 0,
      spotAwayMs: 3_600_000,
      spotNoticeMs: 120_000,
      ...risks,
    },
  })
  return {
    plan: planLines(found, new Set(before.gangs.map(keyOf))),
    forecast: textOf(found, { isWide: false, isLive: true }),
  }
}

describe('a plan and a forecast answer', () => {
  test('16 more nodes', () => {
    const waiting = Array.from({ length: 17 }, (_, at) => job(`j${at}`, 2))
    const { plan, forecast } = said([...nodes(1, 'n'), pool('reserved'), ...waiting], nodes(16, 'more'))
    expect(plan).toContain('queue/default: wait, median 16h → 0s')
    expect(plan).toContain('queue/default: completion, median 18h → 2h')
    expect(plan).toContain('queue/default: jobs that wait at the end 5 → 0')
    expect(plan).toContain('fleet: spend 1321 USD → 22456.3 USD')
    expect(plan).toContain('job/j11 starts in 22h → now, ends after 24h → in 2h')
    expect(plan.at(-1)).toMatch(/^and \d+ more: `millwright forecast -f` says all$/)
    expect(forecast).toMatch(/^queue\/default +completion, median +18h +2h +-16h$/m)
    expect(forecast).toMatch(/^job\/j5 +default +in 10h +now \(-10h\) +in 12h +in 2h \(-10h\) /m)
  })

  test('this quota', () => {
    const state = [...nodes(4, 'n'), pool('reserved'), queue(8), job('a', 2), job('b', 2)]
    const { plan, forecast } = said(state, [queue(32)])
    expect(plan).toEqual([
      'job/b starts in 2h → now, ends in 4h → in 2h',
      'queue/default: utilisation 16.7 % → 4.2 %',
      'queue/default: wait, median 1h → 0s',
      'queue/default: completion, median 3h → 2h',
    ])
    expect(forecast).toMatch(/^queue\/default +utilisation +16.7 % +4.2 % +-12.5 %$/m)
  })

  test('spot instead of reserved', () => {
    const state = [...nodes(4, 'n'), pool('reserved'), job('a', 100, ', workers: 4, checkpoint: { interval: 1h }')]
    const quiet = said(state, [pool('spot')])
    expect(quiet.plan).toEqual(['fleet: spend 5283.8 USD → 2075.5 USD'])
    const { plan, forecast } = said(state, [pool('spot')], { spotReclaims: 2000 })
    expect(plan.some((line) => /^fleet: spend 5283.8 USD → \d+(\.\d)? USD \(-/.test(line))).toBe(true)
    expect(plan.some((line) => /^queue\/default: moves off spot 0 → [\d.]+ \(\+\d+ to /.test(line))).toBe(true)
    expect(plan.some((line) => /^job\/a ETTR 99.97 % → 99.\d\d %$/.test(line))).toBe(true)
    expect(forecast).toMatch(/^job\/a .* USD +\d+(\.\d)? USD \(-.* USD to -.* USD\)$/m)
  })

  test('twice the checkpoint interval', () => {
    const saves = (interval: string) => job('a', 4, `, checkpoint: { interval: ${interval} }`)
    const { plan, forecast } = said([...nodes(1, 'n'), pool('reserved'), saves('9s')], [saves('18s')])
    expect(plan).toEqual([
      'job/a ends in 4h → in 3h48m, ETTR 90.00 % → 94.74 %',
      'fleet: utilisation 16.7 % → 15.8 %',
      'fleet: hours in checkpoints 3.2 h → 1.6 h',
      'fleet: ETTR 90 % → 94.7 %',
      'queue/default: completion, median 4h → 3h48m',
    ])
    expect(forecast).toMatch(/^job\/a .* 90.00 % +94.74 % \(\+4.7 %\)/m)
  })
})

test('a plan leaves out of the fleet what only some seeds move', () => {
  const state = [...nodes(4, 'n'), pool('reserved'), job('a', 100, ', workers: 2, checkpoint: { interval: 1h }')]
  const { plan, forecast } = said(state, [pool('spot')], { spotReclaims: 100 })
  expect(forecast).toMatch(/^fleet +utilisation .* \+0\.\d % \(0 % to \+/m)
  expect(plan.join('\n')).not.toContain('fleet: utilisation')
  expect(plan.join('\n')).toContain('queue/default: moves off spot')
})

test('who does not start is told why, and whom the change does not move is counted', () => {
  const big = job('big', 1).replace('resources', 'workers: 9, resources')
  const state = [...nodes(2, 'n'), pool('reserved'), queue(8), job('a', 48), job('b', 2), job('c', 2)]
  const { plan, forecast } = said(state, [big])
  const why = 'needs 9 × H100:8; there are 16 in all'
  expect(plan).toContain(`job/big does not start: ${why}`)
  expect(forecast).toContain(`job/big does not start in this time: ${why}.
job/b, job/c do not start in this time: needs 1 × H100:8; queue default may hold 8 × H100.`)
  expect(forecast).toMatch(/^job\/big /m)
  expect(forecast).not.toMatch(/^job\/a /m)
  expect(forecast).toContain('3 jobs that the change does not move; `-o wide` shows all.')
})

test('nodes that are paid for in another way at the old price are named', () => {
  const priced = (type: string, more: string) =>
    pool(type).replace('maxNodes: 4', `maxNodes: 4, pricePerSlotHour: 3${more}`)
  const state = [...nodes(1, 'n'), priced('reserved', '')]
  const kept = said(state, [pool('spot')])
  const hint = 'pool/p is paid for in another way at the price that it names, as before'
  expect(kept.plan.join()).toContain(hint)
  expect(kept.forecast).toContain(hint)
  expect(said(state, [priced('spot', '.5')]).plan.join()).not.toContain(hint)
})

test('a plan leaves out what reads the same before and after', () => {
  const declared = (seconds: number) => job('a', seconds / 3600)
  const state = [...nodes(1, 'n'), pool('reserved'), declared(72_000), job('b', 2)]
  expect(said(state, [declared(72_010)]).plan).toEqual([])
  expect(said(state, [declared(72_100)]).plan).toEqual([
    'job/a ends in 20h → in 20h2m',
    'job/b starts in 20h → in 20h2m, ends in 22h → in 22h2m',
    'fleet: utilisation 91.7 % → 91.8 %',
    'queue/default: wait, median 10h → 10h1m',
    'queue/default: completion, median 21h → 21h2m',
  ])
})

test('a service that answers nobody now is not said to be available without a word', () => {
  const failed = `${ours('InferenceService', 'chat', '{ command: [x], minReplicas: 1, resources: { accelerators: "H100:1" } }')}status: { phase: Failed, conditions: [], readyReplicas: 0, message: no answer }
`
  const { forecast } = said([...nodes(1, 'n'), failed], nodes(1, 'm'))
  expect(forecast).toContain(
    'service/chat answers nobody now (Failed: no answer). Foretold is that its replicas sit, not that they answer.',
  )
})

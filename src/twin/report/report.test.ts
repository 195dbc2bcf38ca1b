import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { recordingOf, setupOfTest } from '../play/play.fixture.ts'
import { reportOf } from './report.ts'

const stormy = `  faults:
    preset: llama3
    scale: 2000
    mix: {slow: {kind: straggler, perNodeDay: 5}}
`

async function reportOfSeeds(...seeds: number[]) {
  const recordings = []
  for (const seed of seeds) recordings.push(await recordingOf(setupOfTest(stormy), seed))
  return reportOf('test', recordings)
}

/**
 * The hash changes with whatever changes a run: a decision of the control plane, a default, a figure of the report. Read
 * what is different (`millwright twin diff`) before it is pinned anew.
 */
test('a report is a function of scenario and seed, byte for byte', async () => {
  const [first, second] = [JSON.stringify(await reportOfSeeds(7, 8)), JSON.stringify(await reportOfSeeds(7, 8))]
  expect(second).toBe(first)
  expect(createHash('sha256').update(first).digest('hex').slice(0, 16)).toBe('a591d54051b07136')
})

test('buckets add up to the capacity, and figures over seeds lie in their range', async () => {
  const report = await reportOfSeeds(7, 8)
  for (const { ledger, capacityHours } of report.seeds)
    expect(Object.values(ledger).reduce((sum, hours) => sum + hours, 0)).toBeCloseTo(capacityHours, 6)
  expect(report.seeds[0]?.capacityHours).toBe(32)
  for (const { name, min, mean, max, values } of report.measures) {
    expect(values, name).toHaveLength(2)
    expect(mean, name).toBeGreaterThanOrEqual(min - 1e-9)
    expect(mean, name).toBeLessThanOrEqual(max + 1e-9)
  }
})

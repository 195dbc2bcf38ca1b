import { expect, test } from 'vitest'
import { differencesOf, differenceTable, unlike } from './diff.ts'
import { readReport } from './read-report.ts'

type Values = readonly (number | null)[]

function report(measures: Record<string, Values>, seeds: readonly number[] = [1, 2, 3, 4, 5, 6]) {
  const rows = Object.entries(measures).map(([name, values]) => {
    const known = values.filter((value) => value !== null)
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length
    const unit = name === 'ettr' ? ('ratio' as const) : ('count' as const)
    return { name, unit, mean, min: Math.min(...known), max: Math.max(...known), values: [...values] }
  })
  return {
    apiVersion: 'millwright.dev/v1alpha1' as const,
    kind: 'TwinReport' as const,
    scenario: { name: 'a', horizonSeconds: 1, nodes: 1, accelerators: 1 },
    measures: rows,
    seeds: seeds.map((seed) => ({ seed })),
  }
}

test('the same seeds are compared one by one: what is small beside their range may be clear', () => {
  const before = report({ ettr: [0.1, 0.3, 0.5, 0.7, 0.8, 0.9], faults: [1, 2, 3, 4, 5, 6] })
  const after = report({ ettr: [0.11, 0.31, 0.51, 0.71, 0.81, 0.91], faults: [2, 1, 3, 4, 5, 6] })
  expect(differenceTable(differencesOf(before, after)).rows).toEqual([
    ['ettr', '55.0 % (10.0 % – 90.0 %)', '56.0 % (11.0 % – 91.0 %)', '+1.0 pp', '*'],
    ['faults', '3.5 (1 – 6)', '3.5 (1 – 6)', '0 (-1 – +1)', ''],
  ])
})

test('other seeds are clear only where their ranges lie apart', () => {
  const seeds = [11, 12, 13, 14, 15, 16]
  const before = report({ faults: [1, 2, 3, 4, 5, 6] })
  const clear = (values: Values) =>
    differencesOf(before, report({ faults: values }, seeds)).map(({ isClear }) => isClear)
  expect(clear([2, 3, 4, 5, 6, 7])).toEqual([false])
  expect(clear([7, 8, 9, 10, 11, 12])).toEqual([true])
})

test('a seed without a value is none of those that make it clear', () => {
  const [before, after] = [report({ mttr: [1, null, null, null] }, [1, 2, 3, 4]), { mttr: [31, null, null, null] }]
  expect(differencesOf(before, report(after, [5, 6, 7, 8]))).toMatchObject([{ change: { mean: 30 }, isClear: false }])
})

test('a measure that only some seeds have is compared over those that have it in both, and says of how many', () => {
  const [before, after] = [{ mtbf: [24, null, 8] }, { mtbf: [12, 6, null] }]
  const seeds = [1, 2, 3]
  expect(differenceTable(differencesOf(report(before, seeds), report(after, seeds))).rows).toEqual([
    ['mtbf', '24, of 1 of 3 seeds', '12, of 1 of 3 seeds', '-12', ''],
  ])
  expect(differenceTable(differencesOf(report(before, seeds), report(after, [4, 5, 6]))).rows).toEqual([
    ['mtbf', '16 (8 – 24), of 2 of 3 seeds', '9 (6 – 12), of 2 of 3 seeds', '-7 (-18 – +4)', ''],
  ])
  expect(differenceTable(differencesOf(report(before, seeds), report({ mtbf: [null, 6, null] }, seeds))).rows).toEqual([
    ['mtbf', '16 (8 – 24), of 2 of 3 seeds', '6, of 1 of 3 seeds', '–', ''],
  ])
})

test('a few seeds make nothing clear', () => {
  const [before, after] = [report({ faults: [1, 2] }, [1, 2]), report({ faults: [11, 12] }, [1, 2])]
  expect(differencesOf(before, after)).toMatchObject([{ change: { mean: 10, min: 10, max: 10 }, isClear: false }])
})

test('reports of other horizons, fleets or seeds are said to be so', () => {
  const before = report({ faults: [1, 2] }, [1, 2])
  const scenario = { ...before.scenario, horizonSeconds: 86_400, nodes: 2, accelerators: 16 }
  expect(unlike(before, before)).toEqual([])
  expect(unlike(before, { ...before, scenario, seeds: [{ seed: 7 }] })).toEqual([
    'The reports are of different horizons: 1s before, 1d after.',
    'The reports are of different fleets: 1 node with 1 accelerator before, 2 nodes with 16 accelerators after.',
    'The reports are of different seeds: 1 to 2 before, 7 after.',
  ])
})

test('a cause that only one of them knows struck zero times in the other, and what is the same is not told', () => {
  const before = report({ faults: [1, 1, 1, 1, 1, 1] })
  const after = report({ faults: [1, 1, 1, 1, 1, 1], 'cause.PSU.faults': [1, 1, 1, 1, 1, 1] })
  expect(differenceTable(differencesOf(before, after)).rows).toEqual([['cause.PSU.faults', '0', '1', '+1', '*']])
})

test('a queue that one of them alone tells apart may have been all that there was in the other', () => {
  const [before, after] = [report({ faults: [1] }, [1]), report({ faults: [1], 'queue.a.jobs.submitted': [3] }, [1])]
  expect(differenceTable(differencesOf(before, after)).rows).toEqual([['queue.a.jobs.submitted', '–', '3', '–', '']])
})

test('what is no report is said', () => {
  expect(readReport('{')).toEqual({ problems: ['is not JSON; write it with `millwright twin run -o json`'] })
  expect(readReport('{"kind":"Twin"}')).toMatchObject({
    problems: expect.arrayContaining(['kind: must be "TwinReport", found "Twin"']),
  })
  expect(readReport(JSON.stringify(report({ faults: [1, null] }, [1, 2])))).toHaveProperty('report')
})

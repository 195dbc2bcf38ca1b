import { expect, test } from 'vitest'
import { drill } from '../model/kinds/drill.ts'
import { drillLines } from './drill-words.ts'

test('whether a straggler made anything slow is told', () => {
  const outcome = { attempts: 0, lostSeconds: 0, stepSeconds: { before: 0.104, slowest: 0.1102 }, unmet: [] }
  const made = drill.parse({
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Drill',
    metadata: { name: 'd', namespace: 'default' },
    spec: { fault: { kind: 'straggler', lasts: '1m' }, target: { job: 'j' } },
    status: { phase: 'Passed', message: 'it came as expected', outcome },
  })
  expect(drillLines(made).join('\n')).toMatch(/\nslowest step +110ms, 104ms before +-/)
})

import { expect, test } from 'vitest'
import { drill } from '../model/kinds/drill.ts'
import { columnsOf } from './columns.ts'

test('what a drill has chosen and not struck is not shown as struck', () => {
  const shown = (status: object): unknown => {
    const made = drill.parse({
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'Drill',
      metadata: { name: 'd', namespace: 'default' },
      spec: { fault: { kind: 'network-partition', lasts: '1m' }, target: { job: 'j' } },
      status: {
        ...status,
        target: { nodes: ['n'], pods: [{ name: 'p', namespace: 'default', uid: '1' }], gangs: [], epoch: 1 },
      },
    })
    return columnsOf('Drill')
      .find(({ name }) => name === 'Struck')
      ?.cell(made, 0)
  }
  expect(shown({ phase: 'Failed', refused: 'a network-partition can be played in the twin alone' })).toBe('-')
  expect(shown({ phase: 'Recovering', struckAt: '2026-01-01T00:00:00.000Z' })).toBe('p')
})

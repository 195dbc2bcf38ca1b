import { expect, test } from 'vitest'
import { conditionOf, isTrue, setCondition } from './conditions.ts'

const ready = { type: 'Ready', status: 'True', reason: 'ProbeOk', message: 'serves' } as const

test('lastTransitionTime moves only with the status', () => {
  const first = setCondition(undefined, ready, 1000)
  const again = setCondition(first, { ...ready, reason: 'StillOk' }, 2000)
  expect(conditionOf(again, 'Ready')).toMatchObject({
    reason: 'StillOk',
    lastTransitionTime: '1970-01-01T00:00:01.000Z',
  })
  const lost = setCondition(again, { ...ready, status: 'False' }, 3000)
  expect(conditionOf(lost, 'Ready')?.lastTransitionTime).toBe('1970-01-01T00:00:03.000Z')
  expect([isTrue(again, 'Ready'), isTrue(lost, 'Ready'), isTrue(lost, 'Other')]).toEqual([true, false, false])
})

test('saying the same again gives the same list: nothing to write', () => {
  const first = setCondition([], ready, 1000)
  expect(setCondition(first, ready, 5000)).toBe(first)
  expect(setCondition(first, { ...ready, observedGeneration: 2 }, 5000)).not.toBe(first)
})

test('others keep their place and the old list is left alone', () => {
  const first = setCondition(setCondition([], ready, 1), { ...ready, type: 'Placed' }, 1)
  const frozen = [...first]
  Object.freeze(frozen)
  expect(setCondition(frozen, { ...ready, status: 'Unknown' }, 2).map((c) => c.type)).toEqual(['Ready', 'Placed'])
})

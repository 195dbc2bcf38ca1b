import { describe, expect, test } from 'vitest'
import { matches, preference, preferencesOf, requiredTerms, valuesAllowed } from './affinity.ts'

const node = { name: 'a', labels: { disk: 'nvme', slots: '8', empty: '' } }

const required = (...terms: object[]) => ({
  nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } },
})
const preferred = (...terms: object[]) => ({
  nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: terms },
})
const labels = (...matchExpressions: object[]) => ({ matchExpressions })
const fields = (...matchFields: object[]) => ({ matchFields })

/** Whether node `a` is one that such an affinity requires. */
const isFine = (...terms: object[]) => matches(node, requiredTerms(required(...terms)) ?? [])

describe('what is required of nodes is read as Kubernetes reads it', () => {
  test.each([
    [{ key: 'disk', operator: 'In', values: ['ssd', 'nvme'] }, true],
    [{ key: 'disk', operator: 'In', values: ['ssd'] }, false],
    [{ key: 'absent', operator: 'In', values: ['ssd'] }, false],
    [{ key: 'disk', operator: 'NotIn', values: ['nvme'] }, false],
    [{ key: 'disk', operator: 'NotIn', values: ['ssd'] }, true],
    [{ key: 'absent', operator: 'NotIn', values: ['ssd'] }, true],
    [{ key: 'disk', operator: 'Exists' }, true],
    [{ key: 'empty', operator: 'Exists' }, true],
    [{ key: 'absent', operator: 'Exists' }, false],
    [{ key: 'disk', operator: 'DoesNotExist' }, false],
    [{ key: 'absent', operator: 'DoesNotExist' }, true],
    [{ key: 'slots', operator: 'Gt', values: ['7'] }, true],
    [{ key: 'slots', operator: 'Gt', values: ['8'] }, false],
    [{ key: 'absent', operator: 'Gt', values: ['0'] }, false],
    [{ key: 'slots', operator: 'Lt', values: ['9'] }, true],
    [{ key: 'slots', operator: 'Lt', values: ['8'] }, false],
    [{ key: 'absent', operator: 'Lt', values: ['9'] }, false],
    [{ key: 'disk', operator: 'Gt', values: ['1'] }, false],
    [{ key: 'slots', operator: 'In', values: [8] }, true],
    [{ key: 'disk', operator: 'Like', values: ['nvme'] }, false],
    [{ key: 'disk' }, false],
    [{ operator: 'Exists' }, false],
    [{ key: 7, operator: 'Exists' }, false],
    [{ key: 'disk', operator: 'In' }, false],
    ['nonsense', false],
  ])('%j: %s', (expression, is) => {
    expect(matches(node, requiredTerms(required(labels(expression as object))) ?? [])).toBe(is)
  })

  test('all expressions of a term hold, or all of another term', () => {
    const [nvme, large] = [
      { key: 'disk', operator: 'In', values: ['nvme'] },
      { key: 'slots', operator: 'Gt', values: ['8'] },
    ]
    expect(isFine(labels(nvme, large))).toBe(false)
    expect(isFine(labels(large), labels(nvme))).toBe(true)
  })

  test('a field is the name of the node; no other is known', () => {
    expect(isFine(fields({ key: 'metadata.name', operator: 'In', values: ['a'] }))).toBe(true)
    expect(isFine(fields({ key: 'metadata.name', operator: 'NotIn', values: ['a'] }))).toBe(false)
    expect(isFine(fields({ key: 'disk', operator: 'Exists' }))).toBe(false)
    expect(isFine(fields({ key: 'disk', operator: 'DoesNotExist' }))).toBe(false)
    const [here, ssd] = [
      { key: 'metadata.name', operator: 'In', values: ['a'] },
      { key: 'disk', operator: 'In', values: ['ssd'] },
    ]
    expect(isFine({ ...fields(here), ...labels(ssd) })).toBe(false)
  })

  test('nothing required is nothing; a term without expressions fits no node', () => {
    for (const affinity of [undefined, null, 'x', {}, { nodeAffinity: {} }, { podAffinity: required({}) }]) {
      expect(requiredTerms(affinity)).toBeUndefined()
    }
    expect(requiredTerms(required({}, labels()))).toEqual([])
    expect(isFine({})).toBe(false)
    expect(isFine({ matchExpressions: 'x' }, labels({ key: 'disk', operator: 'Exists' }))).toBe(true)
  })
})

describe('what is preferred', () => {
  const likes = (weight: unknown, key: string) => ({ weight, preference: labels({ key, operator: 'Exists' }) })

  test('weighs as much as the preferences that the node meets together', () => {
    const preferences = preferencesOf(preferred(likes(5, 'disk'), likes(20, 'slots'), likes(100, 'absent')))
    expect(preference(node, preferences ?? [])).toBe(25)
  })

  test('is left out where it has no weight or no expression, and is none without any', () => {
    expect(preferencesOf(preferred(likes('5', 'disk')))).toBeUndefined()
    expect(preferencesOf(preferred({ weight: 5, preference: {} }))).toBeUndefined()
    expect(preferencesOf(preferred())).toBeUndefined()
    expect(preferencesOf({ nodeAffinity: {} })).toBeUndefined()
    expect(preferencesOf(preferred(likes('5', 'disk'), likes(7, 'slots')))?.map(({ weight }) => weight)).toEqual([7])
  })
})

test('values that every term allows of a label are known only where each names it with In', () => {
  const [h, a] = [
    { key: 'model', operator: 'In', values: ['H100', 'H200'] },
    { key: 'model', operator: 'In', values: ['A100', 'H100'] },
  ]
  const other = { key: 'disk', operator: 'Exists' }
  const allowed = (...terms: object[]) => valuesAllowed(requiredTerms(required(...terms)), 'model')
  expect(allowed(labels(h))).toEqual(['H100', 'H200'])
  expect(allowed(labels(other, h), labels(a))).toEqual(['H100', 'H200', 'A100'])
  expect(allowed(labels(h), labels(other))).toBeUndefined()
  expect(allowed(labels({ ...h, operator: 'NotIn' }))).toBeUndefined()
  expect(valuesAllowed(undefined, 'model')).toBeUndefined()
  expect(valuesAllowed([], 'model')).toBeUndefined()
})

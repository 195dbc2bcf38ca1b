import { expect, test } from 'vitest'
import { controllerOf, involvedObjectOf, isOwnedBy, keyOf, ownerReferenceTo, refOf, refOfKey } from './refs.ts'

const job = {
  apiVersion: 'millwright.dev/v1alpha1',
  kind: 'TrainingJob',
  metadata: { name: 'tiny', namespace: 'default', uid: 'u1' },
}

test('a key reads back as its ref', () => {
  expect(keyOf(job)).toBe('default/tiny')
  expect(refOfKey('default/tiny')).toEqual(refOf(job))
  expect(keyOf({ metadata: { name: 'node-0' } })).toBe('node-0')
  expect(refOfKey('node-0')).toEqual({ name: 'node-0' })
})

test('an owner is known by its uid, not by its name', () => {
  const gang = { metadata: { ownerReferences: [ownerReferenceTo(job)] } }
  expect(controllerOf(gang)).toMatchObject({ kind: 'TrainingJob', name: 'tiny', uid: 'u1' })
  expect(isOwnedBy(gang, job)).toBe(true)
  expect(isOwnedBy(gang, { metadata: { uid: 'u2' } })).toBe(false)
  expect(isOwnedBy({ metadata: {} }, { metadata: {} })).toBe(false)
  expect(() => ownerReferenceTo({ ...job, metadata: { name: 'new' } })).toThrow('no uid')
})

test('an Event names what it is about', () =>
  expect(involvedObjectOf(job)).toEqual({ apiVersion: job.apiVersion, kind: 'TrainingJob', ...job.metadata }))

import { expect, test } from 'vitest'
import type { KindName } from '../../model/registry.ts'
import type { Entry } from '../../store/history.ts'
import { entryOf } from './entry.fixture.ts'
import { Invariants } from './invariants.ts'

const model = (name: string, version: number, jobUid: string) => ({
  metadata: { name, namespace: 'default' },
  spec: { model: 'm', version, manifest: `outputs/${name}`, lineage: { job: 'j', jobUid } },
})

function broken(...writes: [Entry['type'], KindName, object, string?][]): (string | undefined)[] {
  const invariants = new Invariants()
  for (const [index, [type, kind, object, by]] of writes.entries())
    invariants.see(entryOf(kind, object, type, index + 1), 0, by)
  invariants.seeDeleted('outputs/m-v1', 0)
  return invariants.violations
    .filter(({ invariant }) => invariant === 'models')
    .map(({ invariant, message }) => `${invariant}: ${message}`)
}

test('a job is published once, under a number of its own, and what it made stays', () => {
  const first = model('m-v1', 1, 'a')
  const job = { metadata: { name: 'j', namespace: 'default', uid: 'a' }, spec: {}, status: { model: 'm-v2' } }
  expect(broken(['ADDED', 'Model', first])).toEqual([
    'models: outputs/m-v1 is deleted, and model default/m-v1 is made of it',
  ])
  expect(broken(['ADDED', 'Model', first], ['DELETED', 'Model', first, 'control-0'])).toEqual([
    'models: control-0 deletes model default/m-v1',
  ])
  expect(broken(['ADDED', 'Model', first], ['DELETED', 'Model', first])).toEqual([])
  expect(broken(['ADDED', 'Model', model('m-v2', 2, 'a')], ['ADDED', 'Model', model('m-v3', 3, 'a')])).toEqual([
    'models: job j is published as default/m-v2 and as default/m-v3',
  ])
  expect(broken(['ADDED', 'Model', model('m-v2', 2, 'a')], ['ADDED', 'Model', model('x', 2, 'b')])).toEqual([
    'models: models default/m-v2 and default/x are both version 2 of m',
  ])
  expect(broken(['ADDED', 'TrainingJob', job])).toEqual([
    'models: job default/j names model default/m-v2, and its own is none',
  ])
})

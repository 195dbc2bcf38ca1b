import { expect, test } from 'vitest'
import { admit } from './admission.ts'
import { formatFieldError } from './field-error.ts'
import { plainErrors } from './plain.ts'
import { kinds } from './registry.ts'

const apiVersion = 'millwright.dev/v1alpha1'
const tooMany = (field: string, most: number, found: number) =>
  `spec.${field}: must have at most ${most} such members together, for their seats are written in one piece, found ${found}`

function errorsOf(kind: 'TrainingJob' | 'Gang', spec: object): string[] {
  const verdict = admit(kinds[kind], { apiVersion, kind, metadata: { name: 'big' }, spec })
  return 'errors' in verdict ? verdict.errors.map(formatFieldError) : []
}

test('a gang that sits can be written; one whose seats would be too large is refused before it waits', () => {
  const eights = (workers: number) => ({ command: ['x'], workers, resources: { accelerators: 'H100:8' } })
  expect(errorsOf('TrainingJob', eights(5454))).toEqual([])
  expect(errorsOf('TrainingJob', eights(5455))).toEqual([tooMany('workers', 5454, 5455)])
  const group = { name: 'worker', min: 1, max: 20_000, accelerators: [{ model: 'H100', count: 0.5 }] }
  expect(errorsOf('Gang', { attempt: 1, queue: 'q', priority: 0, groups: [group] })).toEqual([
    tooMany('groups', 15_000, 20_000),
  ])
})

test('values are counted as the bound on objects counts them', () => {
  const devices = Array.from({ length: 8 }, (_, at) => ({ id: `d${at}`, milli: 1000 }))
  const seat = { pod: 'p', group: 'g', rank: 0, localRank: 0, node: 'n', devices, ports: [1] }
  const membersOf = (count: number) => plainErrors(Array.from({ length: count }, () => seat)).length
  expect([membersOf(Math.floor(199_999 / 33)), membersOf(Math.floor(199_999 / 33) + 1)]).toEqual([0, 1])
})

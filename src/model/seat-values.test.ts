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
  expect(errorsOf('TrainingJob', eights(13_636))).toEqual([])
  expect(errorsOf('TrainingJob', eights(13_637))).toEqual([tooMany('workers', 13_636, 13_637)])
  const group = { name: 'worker', min: 1, max: 40_000, accelerators: [{ model: 'H100', count: 0.5 }] }
  expect(errorsOf('Gang', { attempt: 1, queue: 'q', priority: 0, groups: [group] })).toEqual([
    tooMany('groups', 37_500, 40_000),
  ])
})

test('whose members rejoin says more of each', () => {
  const eights = (workers: number) => ({
    command: ['x'],
    workers,
    minWorkers: 1,
    resources: { accelerators: 'H100:8' },
    failurePolicy: { restart: 'worker' },
  })
  expect(errorsOf('TrainingJob', eights(12_857))).toEqual([])
  expect(errorsOf('TrainingJob', eights(12_858))).toEqual([tooMany('workers', 12_857, 12_858)])
})

test('values are counted as the bound on objects counts them', () => {
  const devices = Array.from({ length: 8 }, (_, at) => ({ id: `d${at}`, milli: 1000 }))
  const seat = { pod: 'p', group: 'g', rank: 0, localRank: 0, node: 'n', devices, ports: [1] }
  const membersOf = (count: number) => plainErrors(Array.from({ length: count }, () => seat)).length
  expect([membersOf(Math.floor(199_999 / 33)), membersOf(Math.floor(199_999 / 33) + 1)]).toEqual([0, 1])
})

test('what sits can be sent back, and only a Gang may be so large', () => {
  const devices = Array.from({ length: 8 }, (_, at) => ({ id: `d${at}`, milli: 1000 }))
  const members = Array.from({ length: 13_636 }, (_, rank) => {
    return { pod: `p${rank}`, group: 'g', rank, localRank: 0, node: `n${rank}`, devices, ports: [1] }
  })
  const at = '2026-01-01T00:00:00Z'
  const seats = { attempt: 1, epoch: 1, at, masterAddr: 'a', masterPort: 1, members }
  const groups = [{ name: 'g', min: 13_636, max: 13_636, accelerators: [{ model: 'H100', count: 8 }] }]
  const spec = { attempt: 1, queue: 'q', priority: 0, groups }
  const status = { conditions: [], seats }
  const metadata = { name: 'big' }
  expect(admit(kinds.Gang, { apiVersion, kind: 'Gang', metadata, spec, status })).toHaveProperty('object')
  const annotated = { apiVersion, kind: 'Gang', metadata, spec, status: { conditions: [], seats: [members, members] } }
  expect(admit(kinds.Gang, annotated)).toMatchObject({ errors: [{ message: 'has more than 500000 values' }] })
  const job = { apiVersion, kind: 'TrainingJob', metadata, spec: { command: members } }
  expect(admit(kinds.TrainingJob, job)).toMatchObject({ errors: [{ message: 'has more than 200000 values' }] })
})

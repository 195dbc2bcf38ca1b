import { expect, test } from 'vitest'
import { drill } from '../../model/kinds/drill.ts'
import type { End } from './cause.ts'
import { isDrilled, isLemon, isOfMachine, type NodeFailure, withFailure } from './lemons.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const failedAt = (...failures: [gang: string, atMs: number][]) =>
  failures.reduce<readonly NodeFailure[]>(
    (before, [gang, atMs]) => withFailure(before, { gang, atMs, kind: 'lost' }),
    [],
  )
const end = (more: Partial<End>): End => ({
  pod: 'p',
  rank: 0,
  node: 'n',
  atMs: 0,
  kind: 'killed',
  reason: 'Error',
  message: '',
  ...more,
})

test('five failures in seven days make a lemon', () => {
  const failures = failedAt(['a', 0], ['b', hourMs], ['c', dayMs], ['d', 2 * dayMs], ['e', 6 * dayMs])
  expect(isLemon(failures, 6 * dayMs)).toBe(true)
  expect(isLemon(failures, 7 * dayMs)).toBe(false)
  expect(isLemon(failures.slice(1), 6 * dayMs)).toBe(false)
})

test('what fails wherever it runs makes no lemon of its nodes', () => {
  const failures = failedAt(['a', 0], ['a', hourMs], ['a', 2 * hourMs], ['a', 3 * hourMs], ['a', 4 * hourMs])
  expect(failures.length).toBe(2)
})

test('a node that takes eight gangs along has failed once', () => {
  const gangs = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  expect(failedAt(...gangs.map((gang, index): [string, number] => [gang, 100 * index])).length).toBe(1)
})

test('failures of more than seven days ago are forgotten', () => {
  expect(failedAt(['a', 0], ['b', 8 * dayMs])).toEqual([{ gang: 'b', atMs: 8 * dayMs, kind: 'lost' }])
})

test('what a person, the kernel or the script ended is not the machine’s', () => {
  expect(isOfMachine(end({ kind: 'lost' }))).toBe(true)
  expect(isOfMachine(end({ kind: 'hung' }))).toBe(true)
  expect(isOfMachine(end({ signal: 'SIGBUS' }))).toBe(true)
  expect(isOfMachine(end({ signal: 'SIGKILL' }))).toBe(false)
  expect(isOfMachine(end({ reason: 'OOMKilled' }))).toBe(false)
  expect(isOfMachine(end({ kind: 'exit', exitCode: 1 }))).toBe(false)
  expect(isOfMachine(end({ kind: 'stalled' }))).toBe(false)
})

test('what a drill does to a node is not the node’s', () => {
  const target = { nodes: ['n'], pods: [], gangs: [], epoch: 1 }
  const drilled = (phase: string) =>
    drill.parse({
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'Drill',
      metadata: { name: 'd', namespace: 'default' },
      spec: { fault: { kind: 'hang' }, target: { node: 'n' } },
      status: { phase, target },
    })
  expect(isDrilled([drilled('Recovering')], 'n')).toBe(true)
  expect(isDrilled([drilled('Recovering')], 'm')).toBe(false)
  expect(isDrilled([drilled('Passed')], 'n')).toBe(false)
})

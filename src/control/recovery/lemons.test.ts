import { expect, test } from 'vitest'
import { drill } from '../../model/kinds/drill.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { failuresAnnotation, failuresOf } from '../../model/lemons.ts'
import type { End } from './cause.ts'
import { closedFor, isDrilled, isOfMachine } from './lemons.ts'

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

test('what a person, the kernel or the script ended is not the machine’s', () => {
  expect(isOfMachine(end({ kind: 'lost' }))).toBe(true)
  expect(isOfMachine(end({ kind: 'hung' }))).toBe(true)
  expect(isOfMachine(end({ signal: 'SIGBUS' }))).toBe(true)
  expect(isOfMachine(end({ signal: 'SIGKILL' }))).toBe(false)
  expect(isOfMachine(end({ reason: 'OOMKilled' }))).toBe(false)
  expect(isOfMachine(end({ kind: 'exit', exitCode: 1 }))).toBe(false)
  expect(isOfMachine(end({ kind: 'stalled' }))).toBe(false)
})

const target = { nodes: ['n'], pods: [], gangs: [], epoch: 1 }
const drilled = (phase: string) =>
  drill.parse({
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Drill',
    metadata: { name: 'd', namespace: 'default' },
    spec: { fault: { kind: 'hang' }, target: { node: 'n' } },
    status: { phase, target },
  })

test('what a drill does to a node is not the node’s', () => {
  expect(isDrilled([drilled('Recovering')], 'n')).toBe(true)
  expect(isDrilled([drilled('Recovering')], 'm')).toBe(false)
  expect(isDrilled([drilled('Passed')], 'n')).toBe(false)
})

test('each closing for what may be mended is held against the node, and the fifth makes a lemon of it', () => {
  const node = (annotations: object): Node => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n', ...annotations },
  })
  let known = node({})
  const said = [0, 1, 2, 3, 4].map((day) => {
    const { record, lemon } = closedFor(known, day === 1 ? 'xid' : 'closed', [], day * 86_400_000)
    known = node({ annotations: record })
    return lemon
  })
  const last = 'a lemon, 5 of 5 points within 7d: 1 closed for an XID, 4 closed for its conditions'
  expect(said).toEqual([undefined, undefined, undefined, undefined, last])
  expect(known.metadata.annotations).toEqual({ [failuresAnnotation]: null })
  expect(failuresOf(node({ annotations: closedFor(known, 'closed', [drilled('Recovering')], 0).record }))).toEqual([])
})

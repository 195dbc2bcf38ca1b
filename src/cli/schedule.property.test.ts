import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatErrors } from '../compile/documents.ts'
import { readState, type State } from '../compile/state.ts'
import { type Schedule, scheduleOf } from '../scheduler/rehearsal/schedule.ts'
import { createScheduler } from '../scheduler/scheduler.ts'

const nowMs = Date.parse('2026-01-01T00:00:00Z')
const ours = 'millwright.dev/v1alpha1'

const model = fc.constantFrom('H100', 'A100', 'cpu', 'gpu', 'x')
const name = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const some = <T>(...values: T[]) => fc.constantFrom(...values)

const node = fc.record({
  apiVersion: fc.constant('v1'),
  kind: fc.constant('Node'),
  metadata: fc.record({
    name,
    labels: fc.record({ 'millwright.dev/accelerator': model, 'millwright.dev/rack': name }),
  }),
  spec: fc.record({ unschedulable: fc.boolean() }, { requiredKeys: [] }),
  status: fc.record({
    allocatable: fc.record(
      {
        'nvidia.com/gpu': some<string | number>(0, 1, 8, '0.5', 1024),
        'millwright.dev/cpu': some(0, 4),
        cpu: some<string | number>('0', '100m', 64),
        memory: some<string | number>('1Gi', 0),
      },
      { requiredKeys: [] },
    ),
  }),
})

/** Parents come before their children by name. */
const queue = fc.record({
  apiVersion: fc.constant(ours),
  kind: fc.constant('Queue'),
  metadata: fc.record({ name: some('b', 'c', 'default') }),
  spec: fc.record(
    {
      parent: fc.constant('a'),
      weight: some(0, 1, 1e6),
      nominalQuota: fc.dictionary(model, some(0, 0.5, 4, 1e9)),
      borrowingLimit: fc.dictionary(model, some(0, 1, 1e9)),
      lendingLimit: fc.dictionary(model, some(0, 1)),
      stopPolicy: some('None', 'None', 'Hold', 'HoldAndDrain'),
      fairSharing: fc.boolean(),
    },
    { requiredKeys: [] },
  ),
})
const root = { apiVersion: ours, kind: 'Queue', metadata: { name: 'a' }, spec: { nominalQuota: { H100: 4 } } }

/** No more than a gang may have whose seats are written in one piece. */
const group = fc.record({
  name: some('w', 'v'),
  min: some(1, 2, 5),
  max: some(5, 8, 400),
  accelerators: fc.array(fc.record({ model, count: some(0, 0.001, 0.3, 0.5, 1, 1.5, 2, 7, 9, 40, 1e-9) }), {
    minLength: 1,
    maxLength: 2,
  }),
  cpuMilli: some(0, 100, 1e300),
  memoryBytes: some(0, 1e9),
  ports: some(0, 1, 9),
})
const gang = fc.record({
  apiVersion: fc.constant(ours),
  kind: fc.constant('Gang'),
  metadata: fc.record({ name: fc.string({ unit: some('p', 'q', 'r'), minLength: 1, maxLength: 3 }) }),
  spec: fc.record({
    attempt: some(1, 2, 900_000),
    queue: some('default', 'a', 'b', 'nowhere'),
    priority: some(0, 1, -5, Number.MAX_SAFE_INTEGER),
    preemptible: fc.boolean(),
    suspend: some(false, false, true),
    topology: some<object>(
      {},
      { required: 'rack' },
      { preferred: 'block' },
      { required: 'example.com/none' },
      { preferred: 'rack', required: 'block' },
    ),
    groups: fc.uniqueArray(group, { selector: (one) => one.name, minLength: 1, maxLength: 2 }),
    expectedSeconds: some(0, 60),
  }),
})

const byName = { selector: (object: { metadata: { name: string } }) => object.metadata.name }

test('any state that is read has an answer, and what comes of it is a state again: no device is promised twice', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(node, { ...byName, maxLength: 5 }),
      fc.uniqueArray(queue, { ...byName, maxLength: 3 }),
      fc.uniqueArray(gang, { ...byName, maxLength: 10 }),
      (nodes, queues, gangs) => {
        const [first, urgent] = [gangs.slice(0, 6), gangs.slice(6)]
        const state = read([...nodes, root, ...queues, ...first])
        answered(state, false)
        const after = answered(state, true)
        const seated = first.map((one) => withSeats(one, after))
        const more = urgent.map((one) => ({ ...one, spec: { ...one.spec, priority: 100 } }))
        const next = read([...nodes, root, ...queues, ...seated, ...more])
        answered(next, false)
        answered(next, true)
      },
    ),
    { numRuns: 150 },
  )
})

function read(items: readonly object[]): State {
  const found = readState([{ name: 's.json', text: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) }], {
    nowMs,
  })
  if ('errors' in found) throw new Error(formatErrors(found.errors))
  return found.state
}

function answered(state: State, untilSettled: boolean): Schedule {
  const found = scheduleOf(state, createScheduler(), { nowMs, untilSettled })
  expect(found.gangs.length).toBe(state.gangs.length)
  expect(JSON.parse(JSON.stringify(found))).toEqual(found)
  for (const { gang: key, verdict } of found.gangs) {
    if (verdict.kind === 'wait' && verdict.reason === 'Undecided') throw new Error(`nothing is said of ${key}`)
  }
  return found
}

function withSeats(one: { metadata: { name: string }; spec: { attempt: number } }, { gangs }: Schedule): object {
  const found = gangs.find((other) => other.gang === `default/${one.metadata.name}`)
  if (found?.verdict.kind !== 'bind') return one
  const { seats } = found.verdict
  const status = { seats: { ...seats, epoch: 1, at: '2025-12-31T00:00:00Z' } }
  return { ...one, spec: { ...one.spec, attempt: seats.attempt }, status }
}

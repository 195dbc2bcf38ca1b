import { expect, test } from 'vitest'
import { changesBetween } from './changes.ts'
import { EventLog, eventSaid } from './events.ts'

const log = { kind: 'log', level: 'info', process: 'control-0', fields: {} } as const

test('the last fifty are kept, in order, and none after the end', () => {
  let endedAt = 0
  const events: EventLog = new EventLog(
    {},
    () => 7,
    () => {
      endedAt = events.count
    },
  )
  for (let count = 0; count < 120; count++) events.add({ ...log, message: String(count) })
  events.end()
  events.add({ ...log, message: 'late' })
  expect([events.count, endedAt, events.isOver]).toEqual([120, 120, true])
  expect(events.last.map(({ number }) => number)).toEqual(Array.from({ length: 50 }, (_, index) => 71 + index))
})

test('a line says when, who and what', () => {
  const said = (atMs: number) => eventSaid({ ...log, message: 'leading', fields: { epoch: 2 }, number: 4, atMs }, 1000)
  expect(said(1000)).toBe('4 0.000s control-0 info: leading {"epoch":2}')
  expect(said(62_250)).toBe('4 1m01.250s control-0 info: leading {"epoch":2}')
  expect(said(7_384_250)).toBe('4 2h3m03.250s control-0 info: leading {"epoch":2}')
})

test('what changed of an object is said a field, and bookkeeping is not', () => {
  const before = {
    metadata: { name: 'a', resourceVersion: '1' },
    spec: { attempt: 1, list: [1] },
    status: { phase: 'Pending' },
  }
  const after = {
    metadata: { name: 'a', resourceVersion: '2' },
    spec: { attempt: 2, list: [1] },
    status: { seats: 'x'.repeat(90) },
  }
  expect(changesBetween(before, after)).toEqual([
    'spec.attempt 1 → 2',
    'status.phase Pending → nothing',
    `status.seats nothing → ${'x'.repeat(59)}…`,
  ])
})

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { eventSaid, type TwinEvent } from '../events.ts'
import { play } from './play.ts'
import { readKeptHistory } from './read-history.ts'

const file = resolve(import.meta.dirname, '../../../test/seeds/pod-of-an-old-attempt.json')
const read = readKeptHistory({ name: file, text: readFileSync(file, 'utf8') })
if ('errors' in read) throw new Error(JSON.stringify(read.errors))
const { seed, history } = read

test('events are numbered, and whoever stops at one sees what there was then and nothing later', async () => {
  const all: TwinEvent[] = []
  const whole = await play(seed, { history, events: { hear: (event) => all.push(event) } })
  expect(all.map(({ number }) => number)).toEqual(all.map((_, index) => index + 1))
  expect(whole.events).toBe(all.length)
  expect(whole.last).toEqual(all.slice(-50))
  const seated = all.find((event) => event.kind === 'write' && (event.entry.object as Gang).status?.seats !== undefined)
  const until = seated?.number ?? 0
  for (const number of [until - 1, until]) {
    const heard: TwinEvent[] = []
    const { events, moment } = await play(seed, {
      history,
      events: { until: number, hear: (event) => heard.push(event) },
    })
    const said = (some: readonly TwinEvent[]) => some.map((event) => eventSaid(event, whole.startMs))
    expect([events, said(heard)]).toEqual([number, said(all.slice(0, number))])
    const gang = await moment.get('Gang', { name: seated?.kind === 'write' ? seated.entry.object.metadata.name : '' })
    expect(gang?.status?.seats !== undefined).toBe(number === until)
  }
}, 60_000)

test('a broken rule ends the events: the last one is what broke it', async () => {
  // A job that no admission would let through: the control plane stumbles over it.
  const arrivals = structuredClone(history.arrivals)
  for (const { object } of arrivals) Reflect.deleteProperty(object.spec, 'checkpoint')
  const { violations, last, events } = await play(seed, { history: { ...history, arrivals } })
  expect(violations[0]?.invariant).toBe('assertions')
  expect(last.at(-1)).toMatchObject({ number: events, kind: 'log', level: 'error', message: 'failed' })
})

test.each([
  ['{"seed": 1}', '1:1: history: is required and missing; allowed: object'],
  ['{"sed": 1, "history": {}}', '1:2: sed: unknown field; did you mean "seed"?'],
  [
    '{"seed": 1, "history": {"faults": [{"atMs": 1, "forMs": 1, "kind": "earthquake"}]}}',
    '1:36: history.faults[0]: must be a fault: atMs, forMs and a kind that this version knows',
  ],
  ['{', '1:2: '],
])('what is wrong with a history is told with its place: %s', (text, message) => {
  const wrong = readKeptHistory({ name: 'h.json', text })
  const errors = 'errors' in wrong ? wrong.errors : []
  const lines = errors.map(({ line, column, path, message: what, suggestion, allowed }) =>
    [
      `${line}:${column}: ${path === '' ? '' : `${path}: `}${what}`,
      allowed && `; allowed: ${allowed}`,
      suggestion && `; did you mean "${suggestion}"?`,
    ]
      .filter(Boolean)
      .join(''),
  )
  expect(lines.join('\n')).toContain(message)
})

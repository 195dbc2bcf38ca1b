import { expect, test } from 'vitest'
import { DecisionRecord } from '../../control/scheduling/decisions.fixture.ts'
import type { DecisionLine } from '../../control/scheduling/decisions.ts'
import { createWorld } from '../../control/world.fixture.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import { DecisionReplay, readDecisionLine } from './replay.ts'

function replayed(lines: readonly DecisionLine[]) {
  const replay = new DecisionReplay(() => createScheduler())
  for (const [at, line] of lines.entries()) {
    const difference = replay.play(line)
    if (difference !== undefined) return { at, difference }
  }
  return { replay }
}

test('the log replays: the same inputs give the same verdicts', async () => {
  const world = await createWorld()
  await world.node('a', 3)
  const record = new DecisionRecord()
  world.control({ decisions: record })
  for (const name of ['a', 'b', 'c']) await world.job(name, { workers: 2 })
  await world.until(() => world.agent.running().length === 2, 'one runs')
  await world.agent.end('a-worker-0-1', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('a-worker-0-2'), 'it runs again')
  await world.close()
  const { lines } = record
  expect(replayed(lines).replay).toMatchObject({ terms: 1, cycles: lines.length - 1 })
  expect(lines.length).toBeGreaterThan(4)
  const at = lines.findIndex((line) => 'verdicts' in line && line.verdicts.some(({ kind }) => kind === 'bind'))
  const others = lines.map((line, index) => (index === at ? { ...line, verdicts: [] } : line))
  expect(replayed(others), 'another verdict is found').toMatchObject({ at, difference: { recorded: [] } })
})

test('what is no line of a record is none', () => {
  for (const text of ['', 'hello', '7', 'null', '{}', '{"base":1}', '{"inputs":[],"verdicts":[]}'])
    expect(readDecisionLine(text), text).toBeUndefined()
  expect(readDecisionLine('{"epoch":3}')).toEqual({ epoch: 3 })
})

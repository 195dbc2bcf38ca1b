import { expect, test } from 'vitest'
import type { Change } from '../../scheduler/contract.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import { createWorld } from '../world.fixture.ts'
import { createDecisionLog, type DecisionLine, DecisionReplay, type DecisionSink } from './decisions.ts'

/** A record in memory; every `anew`-th line begins one. */
class Record implements DecisionSink {
  readonly lines: DecisionLine[] = []
  readonly #anew: number

  constructor(anew = Number.POSITIVE_INFINITY) {
    this.#anew = anew
  }

  write(line: string): void {
    this.lines.push(JSON.parse(line))
  }

  beginsAnew(): boolean {
    return this.lines.length % this.#anew === 0
  }
}

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
  const record = new Record()
  world.control({ decisions: record })
  for (const name of ['a', 'b', 'c']) await world.job(name, { workers: 2 })
  await world.until(() => world.agent.running().length === 2, 'one runs')
  await world.agent.end('a-worker-0-1', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('a-worker-0-2'), 'it runs again')
  await world.close()
  const { lines } = record
  expect(replayed(lines).replay).toMatchObject({ terms: 1, batches: lines.length - 1 })
  expect(lines.length).toBeGreaterThan(4)
  const at = lines.findIndex((line) => 'verdicts' in line && line.verdicts.some(({ kind }) => kind === 'bind'))
  const others = lines.map((line, index) => (index === at ? { ...line, verdicts: [] } : line))
  expect(replayed(others), 'another verdict is found').toMatchObject({ at, difference: { recorded: [] } })
})

const queue = (name: string): Change => ({
  kind: 'Queue',
  object: {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Queue',
    metadata: { name },
    spec: { namespaces: ['*'], weight: 1, stopPolicy: 'None' },
  },
})

test('a record that begins anew begins with all that was known', () => {
  const record = new Record(4)
  const decisions = createDecisionLog(1, record)
  for (const name of ['a', 'b', 'c']) {
    decisions.told(queue(name))
    decisions.decided(0, [])
  }
  decisions.told({ kind: 'Queue', deleted: 'a' })
  decisions.decided(0, [])
  expect(record.lines.map((line) => Object.keys(line)[0])).toEqual([
    'epoch',
    'inputs',
    'inputs',
    'inputs',
    'base',
    'inputs',
  ])
  expect(record.lines[4]).toEqual({ base: [queue('a'), queue('b'), queue('c')] })
})

test('what pods run is not recorded, nor their environment', () => {
  const record = new Record()
  const decisions = createDecisionLog(1, record)
  const container = { name: 'main', command: ['train'], env: [{ name: 'TOKEN', value: 'secret' }] }
  const resources = { requests: { cpu: '2' } }
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { nodeName: 'n', containers: [{ ...container, resources }] },
  }
  decisions.told({ kind: 'Pod', object: pod } as Change)
  decisions.decided(0, [])
  expect(JSON.stringify(record.lines)).not.toMatch(/secret|train/)
  expect(record.lines[1]).toMatchObject({
    inputs: [{ change: { object: { spec: { nodeName: 'n', containers: [{ name: 'main', resources }] } } } }],
  })
})

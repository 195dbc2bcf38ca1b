import { expect, test } from 'vitest'
import type { Change } from '../../scheduler/contract.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import { builtInReconcilers } from '../reconcilers.ts'
import { createWorld } from '../world.fixture.ts'
import { createDecisionLog, type DecisionRecord, replay } from './decisions.ts'
import { createScheduling } from './scheduling.ts'

test('the log replays: the same batches give the same verdicts', async () => {
  const world = await createWorld()
  await world.node('a', 3)
  const decisions = createDecisionLog()
  const others = builtInReconcilers.filter((factory) => factory !== createScheduling)
  world.control({ reconcilers: [(context) => createScheduling(context, createScheduler(), decisions), ...others] })
  for (const name of ['a', 'b', 'c']) await world.job(name, { workers: 2 })
  await world.until(() => world.agent.running().length === 2, 'one runs')
  await world.agent.end('a-worker-0-1', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('a-worker-0-2'), 'it runs again')
  const record: DecisionRecord = JSON.parse(JSON.stringify(decisions.export()))
  await world.close()
  expect(record.batches.length).toBeGreaterThan(3)
  expect(replay(record, createScheduler())).toBeUndefined()
  const at = record.batches.findIndex(({ verdicts }) => verdicts.some(({ kind }) => kind === 'bind'))
  const batches = record.batches.map((batch, index) => (index === at ? { ...batch, verdicts: [] } : batch))
  expect(replay({ ...record, batches }, createScheduler()), 'another verdict is found').toMatchObject({
    batch: at,
    recorded: [],
    decided: record.batches[at]?.verdicts,
  })
})

test('what falls out of the log is folded into its base', () => {
  const decisions = createDecisionLog(2)
  const queue = (name: string): Change => ({
    kind: 'Queue',
    object: {
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'Queue',
      metadata: { name },
      spec: { namespaces: ['*'], weight: 1, stopPolicy: 'None' },
    },
  })
  for (const name of ['a', 'b', 'c', 'd']) {
    decisions.told(queue(name))
    decisions.decided(0, [])
  }
  decisions.told({ kind: 'Queue', deleted: 'a' })
  decisions.decided(0, [])
  const { base, batches } = decisions.export()
  expect(base.length).toBe(3)
  expect(batches.length).toBe(2)
})

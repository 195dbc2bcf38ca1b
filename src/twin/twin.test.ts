import { expect, test } from 'vitest'
import { trainingJob } from '../model/kinds/training-job.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { nodeOf } from './twin.fixture.ts'
import { Twin, type TwinOptions } from './twin.ts'
import type { Performance } from './work/workload.ts'

const performance: Performance = {
  prepareMs: 2000,
  restoreMs: 5000,
  training: {
    steps: 1000,
    stepMs: 1000,
    ranks: 4,
    initMs: 3000,
    stallMs: 1000,
    persistMs: 2000,
    checkpointBytes: 1e9,
    progress: 'all',
    peerLostMs: 2000,
  },
  replica: { loadMs: 10_000, drainMs: 1000 },
}

async function twinWith(options: Partial<TwinOptions> = {}): Promise<{ twin: Twin; errors: string[] }> {
  const errors: string[] = []
  const twin = new Twin({
    seed: 1,
    performanceOf: () => performance,
    onLog: (level, process, message) => {
      if (level === 'error') errors.push(`${process}: ${message}`)
    },
    ...options,
  })
  await twin.begin()
  twin.startControl()
  for (const name of ['n0', 'n1']) twin.addNode(nodeOf(name))
  return { twin, errors }
}

function jobOf(name: string, spec: Record<string, unknown> = {}) {
  return trainingJob.parse({
    apiVersion: millwrightVersion,
    kind: 'TrainingJob',
    metadata: { name, namespace: 'default' },
    spec: { command: ['train'], ...spec },
  })
}

test('a job runs to its end on virtual time', async () => {
  const { twin, errors } = await twinWith()
  await twin.apply('TrainingJob', jobOf('a', { workers: 4, checkpoint: { interval: '60s' } }))
  const started = twin.clock.now()
  let phase = ''
  await twin.run(3_600_000, () => {
    void twin.store
      .get('TrainingJob', { name: 'a', namespace: 'default' })
      .then((job) => (phase = job?.status?.phase ?? ''))
    return phase === 'Succeeded' || phase === 'Failed'
  })
  const job = await twin.store.get('TrainingJob', { name: 'a', namespace: 'default' })
  // 1,000 steps of a second, a checkpoint of a second in each minute, and ten seconds to start.
  expect(job?.status).toMatchObject({ phase: 'Succeeded', step: 1000, restarts: 0 })
  expect(Date.parse(job?.status?.completionTime ?? '') - started).toBeCloseTo(1_021_000, -4)
  expect(errors).toEqual([])
})

test('time that stands still is told, and ends what waits for it', async () => {
  let told = 0
  const twin = new Twin({
    seed: 1,
    performanceOf: () => performance,
    standstill: { timers: 1000, tell: () => void told++ },
  })
  const circle = (): void => void (told === 0 && twin.clock.after(0, circle))
  twin.clock.after(10, circle)
  await twin.run(1_000)
  expect(told).toBe(1)
})

import { expect, test } from 'vitest'
import { SimulatedPod } from '../../agent/simulated/machine.ts'
import { createManualClock } from '../../base/manual-clock.ts'
import { Ensemble } from './training.ts'

const model = {
  steps: 100,
  stepMs: 1000,
  initMs: 0,
  stallMs: 5000,
  persistMs: 0,
  checkpointBytes: 1,
  progress: 'all',
  peerLostMs: 1000,
} as const

function start(more: { stopMs?: number } = {}) {
  const clock = createManualClock(0)
  let slowness = 1
  const ensemble = new Ensemble(
    { clock, beat: () => () => {}, health: { slowness: () => slowness } },
    { ...model, ...more },
    1,
    0,
  )
  const place = { uid: 'u', namespace: 'default', name: 'a', rank: 0, worldSize: 1, attempt: 1 }
  const run = { uid: 'u', namespace: 'default', name: 'a', node: 'n', command: [], env: {}, volumes: [] }
  const pod = new SimulatedPod({ ...place, work: { checkpointRanks: 'first' } }, run, clock)
  const program = ensemble.join(pod)
  const slow = (to: number) => {
    slowness = to
    ensemble.paceChanged()
  }
  return {
    clock,
    pod,
    program,
    slow,
    checkpoints: () => pod.written.map(({ step, writtenAtMs }) => [step, writtenAtMs]),
  }
}

test('a checkpoint that is asked for while another is written is written too, after it', async () => {
  const { clock, program, checkpoints } = start()
  program.ask({ step: 10, stop: false })
  await clock.advance(12_000)
  program.ask({ step: 11, stop: false })
  await clock.advance(100_000)
  expect(checkpoints()).toEqual([
    [10, 15_000],
    [11, 21_000],
  ])
})

test('a rank that turns slow while a checkpoint is written is slow after it', async () => {
  const { clock, program, slow, pod, checkpoints } = start()
  program.ask({ step: 10, stop: false })
  await clock.advance(12_000)
  slow(2)
  await clock.advance(1_000_000)
  expect(checkpoints()).toEqual([[10, 15_000]])
  // 10 s, a stall of 5 s, and 90 steps at half the pace.
  expect(pod.end?.atMs).toBe(195_000)
})

test('a rank that is told to end works on until it does', async () => {
  const { clock, program, pod, checkpoints } = start({ stopMs: 20_000 })
  await clock.advance(10_000)
  program.signal('SIGTERM')
  program.ask({ step: 12, stop: false })
  await clock.advance(60_000)
  expect(checkpoints()).toEqual([[12, 17_000]])
  expect(pod.end).toMatchObject({ atMs: 30_000, exitCode: 143 })
})

import { expect, test } from 'vitest'
import { SimulatedPod } from '../../agent/simulated/machine.ts'
import { createManualClock } from '../../base/manual-clock.ts'
import { type Corruption, Ensemble, type Start, type TrainingModel } from './training.ts'

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

function start(more: Partial<TrainingModel> = {}, size = 1, from: Start = { step: 0 }) {
  const clock = createManualClock(0)
  let slowness = 1
  let areJoined = true
  let latencyMs: number | undefined
  const corruption = () => (latencyMs === undefined ? undefined : { latencyMs })
  const full = new Set<number>()
  const isDiskFull = ({ place }: SimulatedPod) => full.has(place.rank)
  const health = { slowness: () => slowness, isDiskFull, corruption, areJoined: () => areJoined }
  const wrong: [number, Corruption][] = []
  const kept = (step: number, one: Corruption) => void wrong.push([step, one])
  const kit = { clock, beat: () => () => {}, health, kept }
  const ensemble = new Ensemble(kit, { ...model, ...more }, size, from)
  const ranks = Array.from({ length: size }, (_, rank) => {
    const uid = `u${rank}`
    const place = { uid, namespace: 'default', name: uid, node: 'n', rank, worldSize: size, attempt: 1 }
    const run = { uid, namespace: 'default', name: uid, node: 'n', command: [], env: {}, volumes: [] }
    return new SimulatedPod({ ...place, work: { checkpointRanks: 'first' } }, run, clock)
  })
  const [pod] = ranks
  if (pod === undefined) throw new Error('no rank')
  /** All but the first, at once or later. */
  const others = () => void ranks.slice(1).map((rank) => ensemble.join(rank))
  const program = ensemble.join(pod)
  const join = (to: boolean) => {
    areJoined = to
    ensemble.networkChanged()
  }
  const slow = (to: number) => {
    slowness = to
    ensemble.paceChanged()
  }
  const corrupt = (after: number | undefined) => {
    latencyMs = after
    ensemble.corruptionBegan()
  }
  return {
    clock,
    corrupt,
    wrong,
    full,
    pod,
    ranks,
    program,
    others,
    join,
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

test('ranks that do not reach each other stand still, and go on where they were', async () => {
  const { clock, pod, others, join } = start({ peerLostMs: 60_000 }, 2)
  others()
  await clock.advance(10_500)
  join(false)
  await clock.advance(59_000)
  join(true)
  await clock.advance(1_000_000)
  // The step that was being made is made anew.
  expect(pod.end).toMatchObject({ atMs: 100_000 + 59_500, exitCode: 0 })
})

test('and end with an error when the communicator gives up', async () => {
  const { clock, ranks, others, join } = start({ peerLostMs: 60_000 }, 2)
  others()
  await clock.advance(10_000)
  join(false)
  await clock.advance(59_999)
  expect(ranks.map(({ end }) => end)).toEqual([undefined, undefined])
  await clock.advance(1)
  expect(ranks.map(({ end }) => end)).toMatchObject([{ atMs: 70_000, exitCode: 1 }, { exitCode: 1 }])
  join(true)
})

test('a communicator is set up once all ranks are there and reach each other', async () => {
  const { clock, pod, others, join } = start({ initMs: 20_000, peerLostMs: 600_000 }, 2)
  join(false)
  await clock.advance(100_000)
  others()
  await clock.advance(100_000)
  join(true)
  await clock.advance(15_000)
  join(false)
  await clock.advance(10_000)
  join(true)
  await clock.advance(1_000_000)
  expect(pod.end).toMatchObject({ atMs: 225_000 + 20_000 + 100_000, exitCode: 0 })
})

/** Steps that told their loss, and whether it was a number. */
const losses = (pod: SimulatedPod) =>
  pod.takeLines().flatMap(({ step, loss }) => (loss === undefined ? [] : [[step, Number.isNaN(loss)]]))

test('a wrong result shows in the loss after its latency, and checkpoints that were written meanwhile hold it', async () => {
  const { clock, pod, program, corrupt, wrong } = start()
  program.ask({ step: 8, stop: false })
  await clock.advance(20_000) // step 15
  corrupt(30_000)
  corrupt(undefined) // it was one
  program.ask({ step: 20, stop: false })
  await clock.advance(100_000)
  expect(losses(pod)).toEqual([
    [1, false],
    [2, false],
    [3, false],
    [8, false],
    [20, false],
    [46, true],
    [47, true],
    [48, true],
    [100, true],
  ])
  expect(wrong).toEqual([[20, { after: 15, shownAt: 46 }]])
})

test('who begins with wrong results shows them when their time has come, or at once', async () => {
  const late = start({}, 1, { step: 50, corruption: { after: 15, shownAt: 60 } })
  await late.clock.advance(20_000)
  expect(losses(late.pod)).toEqual([
    [51, false],
    [52, false],
    [53, false],
    [60, true],
    [61, true],
    [62, true],
  ])
  const known = start({}, 1, { step: 50, corruption: { after: 15, shownAt: 46 } })
  await known.clock.advance(20_000)
  expect(losses(known.pod)).toEqual([
    [51, true],
    [52, true],
    [53, true],
  ])
})

test('an attempt that begins where something computes wrongly is wrong from its first step', async () => {
  const { clock, pod, corrupt, others } = start({}, 2)
  corrupt(10_000)
  others()
  await clock.advance(60_000)
  expect(losses(pod).filter(([, isWrong]) => isWrong)).toEqual([
    [11, true],
    [12, true],
    [13, true],
  ])
})

test('a rank that finds no room for its checkpoint ends with an error; one that writes none does not', async () => {
  const writing = start()
  writing.full.add(0)
  writing.program.ask({ step: 10, stop: false })
  await writing.clock.advance(20_000)
  expect(writing.pod.end).toMatchObject({ atMs: 15_000, exitCode: 1 })
  expect(writing.checkpoints()).toEqual([])
  const beside = start({}, 2)
  beside.full.add(1)
  beside.others()
  beside.program.ask({ step: 10, stop: false })
  await beside.clock.advance(20_000)
  expect(beside.pod.end).toBeUndefined()
  expect(beside.checkpoints()).toEqual([[10, 15_000]])
})

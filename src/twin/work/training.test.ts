import { expect, test } from 'vitest'
import { SimulatedPod } from '../../agent/simulated/machine.ts'
import { createManualClock } from '../../base/manual-clock.ts'
import { seededRandom } from '../../base/random.ts'
import { normalDraws } from '../traffic/draws.ts'
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

function start(more: Partial<TrainingModel> = {}, size = 1, from: Start = { step: 0 }, seed = 1) {
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
  const normal = normalDraws(seededRandom(seed))
  const kit = { clock, beat: () => () => {}, health, kept, normal }
  const ensemble = new Ensemble(kit, { ...model, ...more }, size, from)
  const podOf = (rank: number, uid = `u${rank}`) => {
    const place = { uid, namespace: 'default', name: uid, node: 'n', rank, worldSize: size, attempt: 1 }
    const run = { uid, namespace: 'default', name: uid, node: 'n', command: [], env: {}, volumes: [] }
    return new SimulatedPod({ ...place, work: { checkpointRanks: 'first' } }, run, clock)
  }
  const ranks = Array.from({ length: size }, (_, rank) => podOf(rank))
  const [pod] = ranks
  if (pod === undefined) throw new Error('no rank')
  /** All but the first, at once or later. */
  const others = () => void ranks.slice(1).map((rank) => ensemble.join(rank))
  const program = ensemble.join(pod)
  /** Another in the place of one that has left. */
  const come = (rank: number) => {
    const one = podOf(rank, 'another')
    ensemble.join(one)
    return one
  }
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
    ensemble,
    come,
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

test('a checkpoint that is not asked for any more is not written', async () => {
  const { clock, program, pod, checkpoints } = start()
  program.ask({ step: 10, stop: true })
  await clock.advance(5_000)
  program.ask(undefined)
  await clock.advance(1_000_000)
  expect([checkpoints(), pod.end]).toEqual([[], { atMs: 100_000, exitCode: 0 }])
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

/** Steps that it told, each with the time in seconds that all stood still before it. */
const regrouped = (pod: SimulatedPod | undefined) =>
  pod?.takeLines().flatMap(({ step, loss, regroupSeconds }) => (loss === undefined ? [] : [[step, regroupSeconds]]))

/** Ranks that come and go, at work; a step takes the twice as long with half of them. */
function changing(more: Partial<TrainingModel> = {}, size = 2) {
  const made = start({ regroupMs: 15_000, ranks: size, ...more }, size, { step: 0, rejoins: true })
  made.others()
  return made
}

test('where ranks come and go the others stand still for a while when one leaves, and go on where they were', async () => {
  const { clock, ensemble, ranks, pod } = changing()
  const [, second = pod] = ranks
  await clock.advance(10_500)
  ensemble.fail(second, 3)
  await clock.advance(1_000_000)
  expect(second.end).toMatchObject({ atMs: 10_500, exitCode: 3 })
  expect(pod.end).toMatchObject({ atMs: 10_500 + 15_000 + 90 * 2_000, exitCode: 0 })
  expect(regrouped(second)).toEqual([1, 2, 3].map((step) => [step, undefined]))
  expect(regrouped(pod)).toEqual([
    ...[1, 2, 3, 10].map((step) => [step, undefined]),
    [11, 15],
    [12, undefined],
    [13, undefined],
    [100, undefined],
  ])
})

test('and when one comes, once it has found them; it tells its own first step', async () => {
  const { clock, ensemble, ranks, pod, come } = changing({ initMs: 20_000, progress: 'first' })
  await clock.advance(30_000) // step 10
  ensemble.fail(ranks[1] ?? pod, 3)
  await clock.advance(10_000)
  const third = come(1)
  await clock.advance(30_000)
  expect(regrouped(third)).toEqual([])
  await clock.advance(1_000_000)
  // Step 17 was done when it had found them, 60 s after the start.
  expect(third.end).toMatchObject({ atMs: 75_000 + 83_000, exitCode: 0 })
  expect(pod.end).toMatchObject({ atMs: 75_000 + 83_000, exitCode: 0 })
  expect(regrouped(third)?.slice(0, 2)).toEqual([
    [18, undefined],
    [19, undefined],
  ])
  expect(regrouped(pod)).toContainEqual([18, 15])
})

test('who ends before he has found them keeps nobody waiting', async () => {
  const { clock, ensemble, ranks, pod, come } = changing({ initMs: 20_000 })
  await clock.advance(30_000)
  ensemble.fail(ranks[1] ?? pod, 3)
  await clock.advance(20_000)
  ensemble.fail(come(1), 3)
  await clock.advance(1_000_000)
  expect(pod.end).toMatchObject({ atMs: 45_000 + 90 * 2_000, exitCode: 0 })
})

test('one that leaves or is parted while they regroup makes it longer: all of that is told once', async () => {
  const { clock, ensemble, ranks, pod, join } = changing({ peerLostMs: 60_000 }, 3)
  await clock.advance(10_000)
  ensemble.fail(ranks[2] ?? pod, 3)
  await clock.advance(5_000)
  ensemble.fail(ranks[1] ?? pod, 3)
  await clock.advance(10_000)
  join(false)
  await clock.advance(10_000)
  join(true)
  await clock.advance(100_000)
  const told = regrouped(pod)?.filter(([, seconds]) => seconds !== undefined)
  expect(told).toEqual([[11, 5 + 20 + 15]])
})

test('those who hang or are stopped are gone on without, and taken in again', async () => {
  const { clock, ensemble, ranks, pod, program } = changing({ ranks: 3 }, 3)
  await clock.advance(10_000)
  ensemble.hang(ranks[1] ?? pod)
  program.signal('SIGSTOP')
  await clock.advance(100_000)
  const third = ranks[2] ?? pod
  expect(regrouped(third)).toContainEqual([11, 15])
  program.signal('SIGCONT')
  await clock.advance(1_000_000)
  // 85 s at a third of the pace, and the rest at two thirds.
  expect([pod.end, third.end]).toMatchObject([{ exitCode: 0 }, { exitCode: 0 }])
  expect(third.end?.atMs).toBe(110_000 + 15_000 + 62 * 1_500)
  expect(ranks[1]?.end).toBeUndefined()
  expect(regrouped(ranks[1])).toEqual([1, 2, 3].map((step) => [step, undefined]))
})

test('when none is left who has the state it is lost: whoever waits for them ends with an error', async () => {
  const { clock, ensemble, ranks, pod, come } = changing({ initMs: 20_000, peerLostMs: 60_000 })
  await clock.advance(30_000)
  ensemble.fail(ranks[1] ?? pod, 3)
  const third = come(1)
  await clock.advance(5_000)
  ensemble.fail(pod, 3)
  await clock.advance(59_999)
  expect(third.end).toBeUndefined()
  await clock.advance(1)
  expect(third.end).toMatchObject({ atMs: 95_000, exitCode: 1 })
  expect(regrouped(third)).toEqual([])
})

test('before the first step all of them are needed, whoever may leave after it', async () => {
  const { clock, ensemble, ranks, pod } = changing({ initMs: 20_000 })
  await clock.advance(10_000)
  ensemble.fail(ranks[1] ?? pod, 3)
  await clock.advance(1_000_000)
  expect(pod.end).toMatchObject({ atMs: 11_000, exitCode: 1 })
})

test('the lowest rank of those at work writes a checkpoint', async () => {
  const { clock, ensemble, ranks, pod, program, come } = changing({ initMs: 20_000, stallMs: 1_000 }, 3)
  const stepsOf = (one: SimulatedPod) => one.written.map(({ step }) => step)
  program.ask({ step: 10, stop: false })
  await clock.advance(35_000)
  expect(ranks.map(stepsOf)).toEqual([[10], [], []])
  ensemble.fail(pod, 3) // at step 14
  const another = come(0)
  program.ask({ step: 16, stop: false })
  await clock.advance(19_500)
  expect(ranks.map(stepsOf), 'the other is on its way').toEqual([[10], [16], []])
  program.ask({ step: 80, stop: false })
  await clock.advance(200_000)
  expect([...ranks, another].map(stepsOf)).toEqual([[10], [16], [], [80]])
})

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const deviationOf = (values: readonly number[]) => {
  const mean = meanOf(values)
  return Math.sqrt(meanOf(values.map((value) => (value - mean) * (value - mean))))
}

/** Of two draws of a standard normal, the larger. */
const larger = { mean: 1 / Math.sqrt(Math.PI), deviation: Math.sqrt(1 - 1 / Math.PI) }

test.each([0, 17])(
  'where ranks vary all wait for the slowest, and a hundred steps by √100 as much as one; asked %i times',
  async (asks) => {
    const ends: number[] = []
    for (let seed = 1; seed <= 300; seed++) {
      const { clock, others, pod, program } = start({ stepSpread: 0.1, stallMs: 0 }, 2, { step: 0 }, seed)
      others()
      for (let ask = 1; ask <= asks; ask++) {
        await clock.advance(5_000)
        program.ask({ step: 5 * ask + 2, stop: false })
      }
      await clock.advance(1_000_000)
      ends.push((pod.end?.atMs ?? Number.NaN) / 1000)
    }
    expect(Math.abs(meanOf(ends) - (100 + 10 * larger.mean))).toBeLessThan(0.2)
    expect(deviationOf(ends) / larger.deviation).toBeGreaterThan(0.85)
    expect(deviationOf(ends) / larger.deviation).toBeLessThan(1.15)
  },
)

test('what ranks tell of a step is what it took each, and that all took as long as the slowest', async () => {
  const { clock, ranks, others } = start({ stepSpread: 0.1 }, 3)
  others()
  await clock.advance(1_000_000)
  const told = ranks.map((pod) => pod.takeLines())
  expect(told[0]?.map(({ step }) => step)).toEqual([1, 2, 3, 100])
  const busy = told.map((lines) => lines.map(({ busySeconds = Number.NaN }) => busySeconds))
  const slowest = [0, 1, 2, 3].map((at) => Math.max(...busy.map((one) => one[at] ?? Number.NaN)))
  expect(told[0]?.map(({ seconds }) => seconds)).toEqual(slowest.map((one) => expect.closeTo(one, 9)))
  expect(new Set(busy.flat()).size).toBe(12)
})

import { setTimeout as pause } from 'node:timers/promises'
import { newOptimiser, rateAt, update } from './adamw.ts'
import { agree, isDue } from './agreement.ts'
import { bytesOf, newestCheckpoint, type State, saveCheckpoint, sweep } from './checkpoint.ts'
import { type Corpus, readCorpus, sequenceAt } from './corpus.ts'
import { type Job, jobFromEnvironment } from './job.ts'
import { initialParameters, Llama, type Shape } from './model.ts'
import { help, type Options, readOptions } from './options.ts'
import { publish } from './publish.ts'
import { joinRing, PeerGone, type Ring } from './ring.ts'

/** So many last losses are averaged into the run's own: one step's alone says little. */
const lossesKept = 20
const exitTerminated = 143

const name = `tiny-llama: rank ${process.env['RANK'] || 0}`
/** Told to stop: after the present step while training, at once before and after. */
const termination = new AbortController()
let isTraining = false
process.on('SIGTERM', () => {
  if (!isTraining) process.exit(exitTerminated)
  termination.abort()
  setTimeout(() => process.exit(exitTerminated), 10_000).unref() // a peer that hangs would hold the step up
})
try {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') console.log(help)
  else process.exitCode = await run(options, jobFromEnvironment(process.env))
} catch (error) {
  fail(error)
}
process.exit()

function fail(error: unknown): never {
  console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(error instanceof PeerGone ? 1 : 2)
}

async function run(options: Options, job: Job): Promise<number> {
  const { width, layers, heads, ffn, context } = options
  const shape: Shape = { width, layers, heads, ffn, context }
  const say = (line: string) => job.rank === 0 && console.log(line)
  const corpus = readCorpus(options.data ?? job.dataDir, context)
  const llama = await Llama.create(shape)
  say(
    `tiny-llama: ${llama.exported} parameters, ${job.worldSize} worker(s) x ${options.batch} sequences of ${context} bytes`,
  )
  say(`text: ${corpus.description}`)
  const folder = options.checkpoints ?? job.checkpointDir
  if (folder !== undefined && job.rank === 0) sweep(folder)
  const own = restore(folder, llama, options)
  const ring = await joinRing(job, { run: sameForAll(options, corpus), step: own.step })
  void ring.gone.then(fail) // at once, not only when the next sum is due
  const state = await startTogether(ring, job.rank, own)
  if (state.step > 0) {
    job.report({ restored: state.step })
    say(`resumed from step ${state.step}`)
  }
  isTraining = true
  const ended = await train({ llama, options, job, corpus, ring, folder, say }, state)
  isTraining = false
  await ring.close()
  if (ended === 'terminated') return exitTerminated
  if (ended === 'stopped') job.report({ stopped: state.step })
  else if (job.rank === 0) await publish({ llama, options, job, corpus, say }, state)
  return 0
}

interface Run {
  llama: Llama
  options: Options
  job: Job
  corpus: Corpus
  ring: Ring
  /** Where checkpoints go. */
  folder: string | undefined
  say(line: string): unknown
}

async function train(run: Run, state: State): Promise<'done' | 'stopped' | 'terminated'> {
  const { llama, options, job, corpus, ring, folder, say } = run
  const { context } = llama.shape
  const since = state.step
  const begunAt = performance.now()
  let granted = since
  while (state.step < options.steps) {
    const startedAt = performance.now()
    const step = state.step + 1
    const sequences = Array.from({ length: options.batch }, (_, i) =>
      sequenceAt(corpus.train, context + 1, options.seed, step, job.rank * options.batch + i),
    )
    const { loss: own, gradient } = await llama.gradient(state.parameters, sequences)
    const busySeconds = (performance.now() - startedAt) / 1000 // from here on it may wait for others
    const { loss, asked, timeIsUp, terminated } = await agree(ring, job, gradient, {
      loss: own,
      asked: job.asked(),
      timeIsUp: job.rank === 0 && options.seconds > 0 && performance.now() - begunAt > options.seconds * 1000,
      terminated: termination.signal.aborted,
    })
    const rate = rateAt(step, options.steps, options.rate, options.warmup)
    update(llama.parts, state.parameters, gradient, state.optimiser, step, rate)
    state.step = step
    state.tokens += job.worldSize * options.batch * context
    state.losses = [...state.losses, loss].slice(-lossesKept)
    if (options.stepDelay > 0) await pause(options.stepDelay, undefined, { signal: termination.signal }).catch(() => {})
    const seconds = (performance.now() - startedAt) / 1000
    const { steps, batch } = options
    job.report({ step, steps, loss, samples: batch, tokens: batch * context, seconds, busySeconds })
    if (step % 10 === 0 || step === since + 1 || step === options.steps)
      say(`step ${step}/${options.steps}  loss ${loss.toFixed(3)}  ${(seconds * 1000).toFixed(0)} ms`)

    const mustStop = isDue(asked.stop, step, since)
    const isAsked = isDue(asked.checkpoint, step, granted)
    if (isAsked) granted = asked.checkpoint
    const isTurn = step % options.checkpointEvery === 0
    if (folder !== undefined && job.rank === 0 && (isTurn || isAsked || mustStop)) save(run, folder, state)
    if (mustStop) {
      say(`stopped after step ${step}, as asked`)
      return 'stopped'
    }
    if (terminated !== undefined) {
      say(`terminated after step ${step}: rank ${terminated} was told to`)
      return 'terminated'
    }
    if (timeIsUp) {
      say(`${options.seconds} seconds are over after step ${step}`)
      return 'done'
    }
  }
  return 'done'
}

function save({ job, options, corpus }: Run, folder: string, state: State): void {
  const startedAt = performance.now()
  saveCheckpoint(folder, state, { worldSize: job.worldSize, seed: options.seed, datasetSha256: corpus.sha256 })
  job.report({ step: state.step, checkpoint: true, stallSeconds: (performance.now() - startedAt) / 1000 })
}

/** What this worker can start from by itself: its newest checkpoint, else the seed. */
function restore(folder: string | undefined, llama: Llama, { seed }: Options): State {
  const warn = (place: string, why: string) => console.error(`${name}: passing over ${place}: ${why}`)
  const found = folder === undefined ? undefined : newestCheckpoint(folder, llama.size, warn)
  const parameters = () => initialParameters(llama.shape, seed)
  return found ?? { step: 0, tokens: 0, losses: [], parameters: parameters(), optimiser: newOptimiser(llama.size) }
}

/** Everybody goes on from the same bits: those of the worker that got furthest, the lowest of them. */
async function startTogether(ring: Ring, rank: number, own: State): Promise<State> {
  const furthest = Math.max(...ring.members.map(({ step }) => step))
  const giver = ring.members.findIndex(({ step }) => step === furthest)
  const facts = new Float64Array(3 + lossesKept)
  if (rank === giver) facts.set([own.step, own.tokens, own.losses.length, ...own.losses])
  await ring.share(new Uint8Array(facts.buffer), giver)
  for (const bytes of bytesOf(own)) await ring.share(bytes, giver)
  const [step = 0, tokens = 0, count = 0] = facts
  return { ...own, step, tokens, losses: [...facts.subarray(3, 3 + count)] }
}

/** A difference in any of these would spoil the run silently. */
function sameForAll(options: Options, corpus: Corpus): string {
  const { width, layers, heads, ffn, context, batch, seed, steps, rate, warmup } = options
  const sizes = [width, layers, heads, ffn, context].join('/')
  return `sizes ${sizes} batch ${batch} seed ${seed} steps ${steps} lr ${rate} warmup ${warmup} text ${corpus.sha256.slice(0, 12)}`
}

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newOptimiser, rateAt, update } from './adamw.ts'
import { newestCheckpoint, type State, saveCheckpoint } from './checkpoint.ts'
import { type Corpus, readCorpus, sequenceAt } from './corpus.ts'
import { toGguf } from './gguf.ts'
import { type Job, jobFromEnvironment } from './job.ts'
import { initialParameters, Llama, type Shape } from './model.ts'
import { help, type Options, readOptions } from './options.ts'
import { joinRing, PeerGone, type Ring } from './ring.ts'
import { decode, encode } from './tokens.ts'

/** Places in the reduced vector beside the gradient and the wishes: loss, time is up, terminated. */
const votes = 3
const job = jobFromEnvironment(process.env)
let terminated = false
process.on('SIGTERM', () => {
  terminated = true
})
try {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') console.log(help)
  else process.exitCode = await train(options)
} catch (error) {
  console.error(`tiny-llama: rank ${job.rank}: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(error instanceof PeerGone ? 1 : 2)
}
process.exit()

async function train(options: Options): Promise<number> {
  const shape: Shape = {
    width: options.width,
    layers: options.layers,
    heads: options.heads,
    ffn: options.ffn,
    context: options.context,
  }
  const corpus = readCorpus(options.data ?? dataDir(job))
  const say = (line: string) => job.rank === 0 && console.log(line)
  const llama = await Llama.create(shape)
  say(
    `tiny-llama: ${llama.size} parameters, ${job.worldSize} worker(s) × ${options.batch} sequences of ${shape.context} bytes`,
  )
  say(`text: ${corpus.description}`)
  const state = restored(llama, options) ?? {
    step: 0,
    parameters: initialParameters(shape, options.seed),
    optimiser: newOptimiser(llama.size),
  }
  if (state.step > 0) say(`resumed from step ${state.step}`)
  const ring = await joinRing(job)
  const ended = await loop(llama, options, corpus, state, ring, say)
  if (ended.kind === 'terminated') return 143
  if (ended.kind === 'stopped') {
    job.report({ stopped: state.step })
    say(`stopped at step ${state.step}, as asked`)
    ring.close()
    return 0
  }
  if (job.rank === 0) await publish(llama, options, corpus, state, ended.loss, say)
  ring.close()
  return 0
}

type Ended = { kind: 'done'; loss: number } | { kind: 'stopped' } | { kind: 'terminated' }

async function loop(
  llama: Llama,
  options: Options,
  corpus: Corpus,
  state: State,
  ring: Ring,
  say: (line: string) => unknown,
): Promise<Ended> {
  const { context } = llama.shape
  const checkpoints = options.checkpoints ?? job.checkpointDir
  const begun = Date.now()
  let stepLoss = Number.NaN
  while (state.step < options.steps) {
    const started = performance.now()
    const step = state.step + 1
    const first = job.rank * options.batch
    const sequences = Array.from({ length: options.batch }, (_, i) =>
      sequenceAt(corpus.train, context + 1, options.seed, step, first + i),
    )
    const { loss, gradient } = await llama.gradient(state.parameters, sequences)
    const vote = await average(ring, gradient, loss, begun, options)
    update(
      llama.parts,
      state.parameters,
      gradient,
      state.optimiser,
      step,
      rateAt(step, options.steps, options.rate, options.warmup),
    )
    state.step = step
    stepLoss = vote.loss
    if (options.stepDelay > 0) await new Promise((resolve) => setTimeout(resolve, options.stepDelay))
    const seconds = (performance.now() - started) / 1000
    job.report({ step, loss: vote.loss, samples: options.batch, tokens: options.batch * context, seconds })
    if (step % 10 === 0 || step === 1)
      say(`step ${step}/${options.steps}  loss ${vote.loss.toFixed(3)}  ${(seconds * 1000).toFixed(0)} ms`)
    const stop = vote.stop > 0 && step >= vote.stop
    const asked = vote.checkpoint > 0 && step === vote.checkpoint
    if (checkpoints !== undefined && job.rank === 0 && (step % options.checkpointEvery === 0 || asked || stop))
      save(checkpoints, state, corpus)
    if (stop) return { kind: 'stopped' }
    if (vote.terminated) return { kind: 'terminated' }
    if (vote.timeIsUp) {
      say(`stopping at step ${step}: ${options.seconds} seconds are over`)
      break
    }
  }
  return { kind: 'done', loss: stepLoss }
}

/**
 * Averages the gradient, and in the same vector agrees on everything that the workers must do in one step: the loss, a
 * checkpoint or stop that only some have read of yet, and rank 0's clock.
 */
async function average(ring: Ring, gradient: Float32Array, loss: number, begun: number, options: Options) {
  const size = gradient.length
  const asked = job.asked()
  const timeIsUp = job.rank === 0 && options.seconds > 0 && Date.now() - begun > options.seconds * 1000
  const vector = new Float32Array(size + votes + 2 * job.worldSize)
  vector.set(gradient)
  vector.set([loss, timeIsUp ? 1 : 0, terminated ? 1 : 0], size)
  vector[size + votes + job.rank] = asked.checkpoint
  vector[size + votes + job.worldSize + job.rank] = asked.stop
  await ring.sum(vector)
  for (let i = 0; i < size; i++) gradient[i] = (vector[i] ?? 0) / job.worldSize
  const checkpoints = vector.subarray(size + votes, size + votes + job.worldSize)
  const stops = vector.subarray(size + votes + job.worldSize)
  return {
    loss: (vector[size] ?? 0) / job.worldSize,
    timeIsUp: (vector[size + 1] ?? 0) > 0,
    terminated: (vector[size + 2] ?? 0) > 0,
    checkpoint: Math.max(...checkpoints),
    stop: Math.max(...stops),
  }
}

function save(folder: string, state: State, corpus: Corpus): void {
  const started = performance.now()
  saveCheckpoint(folder, state, { worldSize: job.worldSize, dataset: corpus.sha256 })
  job.report({ step: state.step, checkpoint: true, stallSeconds: (performance.now() - started) / 1000 })
}

function restored(llama: Llama, options: Options): State | undefined {
  const folder = options.checkpoints ?? job.checkpointDir
  const state = folder === undefined ? undefined : newestCheckpoint(folder, llama.size)
  if (state !== undefined) job.report({ restored: state.step })
  return state
}

async function publish(
  llama: Llama,
  options: Options,
  corpus: Corpus,
  state: State,
  loss: number,
  say: (line: string) => unknown,
): Promise<void> {
  const { context } = llama.shape
  const sequences = Array.from({ length: options.batch }, (_, i) =>
    sequenceAt(corpus.heldOut, context + 1, options.seed, 0, i),
  )
  const heldOut = (await llama.gradient(state.parameters, sequences)).loss
  say(`done: step ${state.step}, loss ${loss.toFixed(3)}, on held-out text ${heldOut.toFixed(3)} (nats per byte)`)
  say(`sample: ${JSON.stringify(await sample(llama, state.parameters, '## Install\n\n', 60))}`)
  const out = options.out ?? job.outputDir
  if (out === undefined) return
  mkdirSync(out, { recursive: true })
  writeFileSync(join(out, 'model.gguf'), toGguf(llama.shape, state.parameters, 'tiny-llama'))
  const metrics = {
    steps: state.step,
    loss,
    heldOutLoss: heldOut,
    parameters: llama.size,
    tokens: state.step * options.batch * job.worldSize * context,
    worldSize: job.worldSize,
    dataset: corpus.description,
    datasetSha256: corpus.sha256,
  }
  writeFileSync(join(out, 'metrics.json'), `${JSON.stringify(metrics, null, 2)}\n`)
}

/** Greedy, by the trainer's own forward pass. */
async function sample(llama: Llama, parameters: Float32Array, prompt: string, count: number): Promise<string> {
  const tokens = [...encode(new TextEncoder().encode(prompt))]
  const from = tokens.length
  while (tokens.length < Math.min(from + count, llama.shape.context)) {
    const last = (await llama.logits(parameters, tokens)).at(-1) ?? new Float32Array()
    tokens.push(last.reduce((best, value, token) => (value > (last[best] ?? 0) ? token : best), 0))
  }
  return new TextDecoder().decode(decode(tokens.slice(from)))
}

function dataDir({ dataDir: folder }: Job): string | undefined {
  try {
    return folder !== undefined && readdirSync(folder).length > 0 ? folder : undefined
  } catch {
    return undefined
  }
}

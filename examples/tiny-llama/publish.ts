import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { State } from './checkpoint.ts'
import type { Corpus } from './corpus.ts'
import { toGguf } from './gguf.ts'
import type { Job } from './job.ts'
import type { Llama } from './model.ts'
import type { Options } from './options.ts'
import { decode, encode } from './tokens.ts'

const heldOutSequences = 32
const sampleTokens = 96
const temperature = 0.7
const [newline = 0] = encode(Uint8Array.of(0x0a))

interface Trained {
  llama: Llama
  options: Options
  job: Job
  corpus: Corpus
  say(line: string): unknown
}

/** Measures the model on held-out text, shows a sample, and writes `model.gguf` and `metrics.json`. */
export async function publish({ llama, options, job, corpus, say }: Trained, state: State): Promise<void> {
  /** The last step again, now and then: whoever watches for silence must not take this for a hang. */
  const alive = () => job.report({ step: state.step })
  const loss = state.losses.reduce((sum, each) => sum + each, 0) / state.losses.length
  const heldOutLoss = await measure(llama, state.parameters, corpus.heldOut, options.batch, alive)
  say(
    `done: ${state.step} steps, loss ${loss.toFixed(3)}, on held-out text ${heldOutLoss.toFixed(3)} (nats per byte; a uniform guess is 5.55)`,
  )
  const lineStart = corpus.heldOut.indexOf(newline) + 1
  const prompt = [...corpus.heldOut.subarray(lineStart, lineStart + Math.min(32, llama.shape.context >> 1))]
  const written = await sample(llama, state.parameters, prompt, options.seed, alive)
  say(`sample: ${JSON.stringify(textOf(prompt))} -> ${JSON.stringify(textOf(written))}`)
  const out = options.out ?? job.outputDir
  if (out === undefined) {
    say('no --out and no MILLWRIGHT_OUTPUT_DIR: the model is not kept')
    return
  }
  mkdirSync(out, { recursive: true })
  writeWhole(join(out, 'model.gguf'), toGguf(llama.shape, state.parameters, 'tiny-llama'))
  const metrics = {
    steps: state.step,
    loss,
    heldOutLoss,
    parameters: llama.exported,
    tokens: state.tokens,
    worldSize: job.worldSize,
    dataset: corpus.description,
    datasetSha256: corpus.sha256,
  }
  writeWhole(join(out, 'metrics.json'), `${JSON.stringify(metrics, null, 2)}\n`)
  say(`wrote ${join(out, 'model.gguf')} and metrics.json`)
}

/** Mean loss over sequences spread evenly over the text, in batches of the shape that is compiled already. */
async function measure(
  llama: Llama,
  parameters: Float32Array,
  text: Int32Array,
  batch: number,
  alive: () => void,
): Promise<number> {
  const length = llama.shape.context + 1
  const batches = Math.ceil(heldOutSequences / batch)
  const stride = (text.length - length) / (batches * batch)
  let sum = 0
  for (let turn = 0; turn < batches; turn++) {
    const sequences = Array.from({ length: batch }, (_, i) => {
      const start = Math.floor((turn * batch + i) * stride)
      return text.subarray(start, start + length)
    })
    sum += (await llama.gradient(parameters, sequences)).loss
    alive()
  }
  return sum / batches
}

/** Continues the prompt, drawing from the trainer's own forward pass; greedy choice would loop. */
async function sample(
  llama: Llama,
  parameters: Float32Array,
  prompt: readonly number[],
  seed: number,
  alive: () => void,
): Promise<number[]> {
  const tokens = [...prompt]
  const length = Math.min(prompt.length + sampleTokens, llama.shape.context)
  let draw = (seed + 1) >>> 0
  while (tokens.length < length) {
    const logits = (await llama.logits(parameters, tokens)).at(-1) ?? new Float32Array()
    const max = logits.reduce((most, each) => Math.max(most, each), Number.NEGATIVE_INFINITY)
    const weights = logits.map((each) => Math.exp((each - max) / temperature))
    draw = (Math.imul(draw, 1664525) + 1013904223) >>> 0 // Numerical Recipes' generator
    let left = (draw / 4294967296) * weights.reduce((sum, each) => sum + each, 0)
    const chosen = weights.findIndex((weight) => {
      left -= weight
      return left <= 0
    })
    tokens.push(Math.max(0, chosen))
    if (tokens.length % 16 === 0) alive()
  }
  return tokens.slice(prompt.length)
}

const textOf = (tokens: readonly number[]) => new TextDecoder().decode(decode(tokens))

/** Never half there under its name. */
function writeWhole(path: string, data: Uint8Array | string): void {
  writeFileSync(`${path}.tmp`, data)
  renameSync(`${path}.tmp`, path)
}

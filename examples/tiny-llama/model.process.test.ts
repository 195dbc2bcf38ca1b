import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'
import { expect, it } from 'vitest'
import { newOptimiser, rateAt, update } from './adamw.ts'
import { readCorpus, sequenceAt } from './corpus.ts'
import { toGguf } from './gguf.ts'
import { initialParameters, Llama, type Shape } from './model.ts'
import { encode } from './tokens.ts'

it('has the gradient that finite differences show, in every kind of parameter', async () => {
  const shape: Shape = { width: 16, layers: 1, heads: 2, ffn: 32, context: 8 }
  const llama = await Llama.create(shape)
  const parameters = initialParameters(shape, 3)
  const sequences = [encode(Buffer.from('The loop ')), encode(Buffer.from('closes th'))]
  const { gradient } = await llama.gradient(parameters, sequences)
  const lossWith = async (at: number, change: number) => {
    const moved = parameters.slice()
    moved[at] = (moved[at] ?? 0) + change
    return (await llama.gradient(moved, sequences)).loss
  }
  for (const part of llama.parts) {
    const steepest = gradient
      .subarray(part.offset, part.offset + part.size)
      .reduce((best, slope, i, all) => (Math.abs(slope) > Math.abs(all[best] ?? 0) ? i : best), 0)
    const at = part.offset + steepest
    const change = 1e-2
    const measured = ((await lossWith(at, change)) - (await lossWith(at, -change))) / (2 * change)
    expect(Math.abs(measured / (gradient[at] ?? 0) - 1), part.name).toBeLessThan(0.01)
  }
})

it("continues greedily in llama.cpp as by the trainer's own forward pass", async () => {
  const shape: Shape = { width: 32, layers: 2, heads: 2, ffn: 64, context: 96 }
  const llama = await Llama.create(shape)
  const parameters = await trained(llama, 250)
  const prompt = [...encode(Buffer.from('The workers of '))]
  const own = [...prompt]
  while (own.length < shape.context) own.push(largest((await llama.logits(parameters, own)).at(-1)))

  const folder = mkdtempSync(join(tmpdir(), 'tiny-llama-'))
  const file = join(folder, 'model.gguf')
  writeFileSync(file, toGguf(shape, parameters, 'parity'))
  const engine = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    maxThreads: 1,
    logLevel: LlamaLogLevel.disabled,
  })
  const model = await engine.loadModel({ modelPath: file })
  const tokens = model.tokenize('The workers of ')
  expect(tokens).toEqual(prompt)
  const context = await model.createContext({ contextSize: 256, flashAttention: false })
  const theirs: number[] = [...tokens]
  for await (const token of context.getSequence().evaluate(tokens, { temperature: 0 })) {
    theirs.push(token)
    if (theirs.length === shape.context) break
  }
  await engine.dispose()
  rmSync(folder, { recursive: true })
  const compared = own.slice(prompt.length)
  expect(compared.length).toBeGreaterThanOrEqual(64)
  expect(theirs).toEqual(own)
  // Otherwise a model that repeats one letter would pass.
  expect(new Set(compared).size).toBeGreaterThan(4)
})

/** A text that never changes, so that what is learnt from it does not either. */
const text = join(import.meta.dirname, '../../LICENSE')

async function trained(llama: Llama, steps: number): Promise<Float32Array> {
  const { shape } = llama
  const corpus = readCorpus(text, shape.context)
  const parameters = initialParameters(shape, 1)
  const optimiser = newOptimiser(llama.size)
  for (let step = 1; step <= steps; step++) {
    const sequences = [0, 1, 2].map((index) => sequenceAt(corpus.train, shape.context + 1, 1, step, index))
    const { gradient } = await llama.gradient(parameters, sequences)
    update(llama.parts, parameters, gradient, optimiser, step, rateAt(step, steps, 1e-2, 10))
  }
  return parameters
}

function largest(logits: Float32Array | undefined): number {
  if (logits === undefined) throw new Error('no logits')
  return logits.indexOf(Math.max(...logits))
}

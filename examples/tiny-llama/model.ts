import { defaultDevice, init, jit, nn, numpy as np, type Array as Tensor, valueAndGrad } from '@jax-js/jax'
import { padded, vocabulary } from './tokens.ts'

/** A Llama: RMSNorm, rotary attention, SwiGLU; sizes of the model. */
export interface Shape {
  width: number
  layers: number
  heads: number
  ffn: number
  context: number
}

export const epsilon = 1e-5
export const ropeBase = 10_000
const minusInfinity = -1e9

/** One named matrix (or vector) of the flat parameter vector. Matrices are [out, in], as GGUF keeps them. */
export interface Part {
  name: string
  shape: number[]
  offset: number
  size: number
}

export function layout(shape: Shape): { parts: Part[]; size: number } {
  const { width, ffn } = shape
  const named: [string, number[]][] = [['token_embd', [padded, width]]]
  for (let block = 0; block < shape.layers; block++) {
    const at = (name: string) => `blk.${block}.${name}`
    named.push([at('attn_norm'), [width]], [at('attn_q'), [width, width]], [at('attn_k'), [width, width]])
    named.push([at('attn_v'), [width, width]], [at('attn_output'), [width, width]], [at('ffn_norm'), [width]])
    named.push([at('ffn_gate'), [ffn, width]], [at('ffn_up'), [ffn, width]], [at('ffn_down'), [width, ffn]])
  }
  named.push(['output_norm', [width]], ['output', [padded, width]])
  let offset = 0
  const parts = named.map(([name, dims]) => {
    const size = dims.reduce((product, dim) => product * dim, 1)
    const part = { name, shape: dims, offset, size }
    offset += size
    return part
  })
  return { parts, size: offset }
}

/**
 * Norms start at 1, matrices at N(0, 1/inputs), what writes to the residual stream smaller by √(2·layers), as in GPT-2;
 * logits start near 0, and embeddings well above the noise that the blocks add.
 */
export function initialParameters(shape: Shape, seed: number): Float32Array {
  const { parts, size } = layout(shape)
  const flat = new Float32Array(size)
  const normal = gaussian(seed)
  for (const part of parts) {
    const spread = spreadOf(part, shape)
    for (let i = 0; i < part.size; i++) flat[part.offset + i] = part.shape.length === 1 ? 1 : spread * normal()
  }
  return flat
}

function spreadOf({ name, shape: [, inputs = 1] }: Part, { layers }: Shape): number {
  if (name === 'token_embd') return 0.4
  if (name === 'output') return 0.5 / Math.sqrt(inputs)
  return 1 / Math.sqrt(/attn_output|ffn_down/.test(name) ? inputs * 2 * layers : inputs)
}

/** The compiled model: its own forward pass and gradient on the wasm backend, parameters flat on the host. */
export class Llama {
  readonly shape: Shape
  readonly parts: Part[]
  readonly size: number
  /** Parameters of the exported model: without the padding of the vocabulary. */
  readonly exported: number
  private readonly gradientOf
  private readonly logitsOf
  private readonly constants: Constants

  static async create(shape: Shape): Promise<Llama> {
    await init('wasm')
    defaultDevice('wasm')
    return new Llama(shape)
  }

  private constructor(shape: Shape) {
    this.shape = shape
    const { parts, size } = layout(shape)
    this.parts = parts
    this.size = size
    this.exported = size - 2 * (padded - vocabulary) * shape.width
    this.constants = constantsOf(shape)
    // `jit` traces once per shape: made once, used for every step.
    this.gradientOf = jit(
      valueAndGrad((weights: Weights, targets: Tensor, constants: Constants) =>
        loss(shape, weights, targets, constants),
      ),
    )
    this.logitsOf = jit((weights: Weights, constants: Constants) => forward(shape, weights, constants))
  }

  /** Mean loss in nats per token and its gradient, for sequences of context + 1 tokens. */
  async gradient(
    flat: Float32Array,
    sequences: readonly Int32Array[],
  ): Promise<{ loss: number; gradient: Float32Array }> {
    const { context, width } = this.shape
    const inputs = sequences.map((sequence) => sequence.subarray(0, context))
    const oneHot = new Float32Array(sequences.length * context * padded)
    sequences.forEach((sequence, s) => {
      for (let t = 0; t < context; t++) oneHot[(s * context + t) * padded + (sequence[t + 1] ?? 0)] = 1
    })
    const targets = np.array(oneHot, { shape: [sequences.length, context, padded] })
    const [value, gradients] = this.gradientOf(this.weights(flat, inputs), targets, refs(this.constants))
    const gradient = new Float32Array(this.size)
    for (const part of this.parts) {
      if (part.name === 'token_embd') continue
      const array = gradients[part.name]
      if (array !== undefined) gradient.set((await array.data()) as Float32Array, part.offset)
    }
    const rows = (await gradients['x']?.data()) as Float32Array
    inputs.forEach((tokens, s) => {
      tokens.forEach((token, t) => {
        const from = (s * context + t) * width
        for (let i = 0; i < width; i++)
          gradient[token * width + i] = (gradient[token * width + i] ?? 0) + (rows[from + i] ?? 0)
      })
    })
    const [mean = Number.NaN] = (await value.data()) as Float32Array
    return { loss: mean, gradient }
  }

  /** Logits [tokens.length, vocabulary] of one sequence. */
  async logits(flat: Float32Array, tokens: readonly number[]): Promise<Float32Array[]> {
    const { context } = this.shape
    const filled = Int32Array.from({ length: context }, (_, t) => tokens[t] ?? 0)
    const out = (await this.logitsOf(this.weights(flat, [filled]), refs(this.constants)).data()) as Float32Array
    return tokens.slice(0, context).map((_, t) => out.slice(t * padded, t * padded + vocabulary))
  }

  /** The matrices, and the embedding rows gathered on the host: the gradient of a gather inside jit does not exist. */
  private weights(flat: Float32Array, inputs: readonly Int32Array[]): Weights {
    const { context, width } = this.shape
    const weights: Weights = {}
    for (const part of this.parts) {
      if (part.name === 'token_embd') continue
      weights[part.name] = np.array(flat.slice(part.offset, part.offset + part.size), { shape: part.shape })
    }
    const rows = new Float32Array(inputs.length * context * width)
    inputs.forEach((tokens, s) => {
      tokens.forEach((token, t) => {
        rows.set(flat.subarray(token * width, (token + 1) * width), (s * context + t) * width)
      })
    })
    weights['x'] = np.array(rows, { shape: [inputs.length, context, width] })
    return weights
  }
}

type Weights = { [name: string]: Tensor }
type Constants = { cos: Tensor; sin: Tensor; pairs: Tensor; causal: Tensor; vocabulary: Tensor }

/** Using an array consumes it; `.ref` keeps it for another use. */
function refs(constants: Constants): Constants {
  const { cos, sin, pairs, causal, vocabulary: mask } = constants
  return { cos: cos.ref, sin: sin.ref, pairs: pairs.ref, causal: causal.ref, vocabulary: mask.ref }
}

function loss(shape: Shape, weights: Weights, targets: Tensor, constants: Constants): Tensor {
  const logProbabilities = nn.logSoftmax(forward(shape, weights, constants), -1)
  const count = targets.shape[0] === undefined ? 1 : targets.shape[0] * shape.context
  return np.sum(logProbabilities.mul(targets)).mul(-1 / count)
}

function forward(shape: Shape, weights: Weights, constants: Constants): Tensor {
  const take = (name: string): Tensor => {
    const weight = weights[name]
    if (weight === undefined) throw new Error(`no weight ${name}`)
    return weight
  }
  let x = take('x')
  const [batch = 1, context = 1, width = 1] = x.shape
  const size = width / shape.heads
  const heads = (y: Tensor) => y.reshape([batch, context, shape.heads, size]).transpose([0, 2, 1, 3])
  const rotate = (y: Tensor) =>
    y.ref.mul(constants.cos.ref).add(np.matmul(y, constants.pairs.ref).mul(constants.sin.ref))
  for (let block = 0; block < shape.layers; block++) {
    const at = (name: string) => take(`blk.${block}.${name}`)
    const normed = rmsNorm(x.ref, at('attn_norm'))
    const q = rotate(heads(linear(normed.ref, at('attn_q'))))
    const k = rotate(heads(linear(normed.ref, at('attn_k'))))
    const v = heads(linear(normed, at('attn_v')))
    const scores = np
      .matmul(q, k.transpose([0, 1, 3, 2]))
      .mul(1 / Math.sqrt(size))
      .add(constants.causal.ref)
    const mixed = np.matmul(nn.softmax(scores, -1), v).transpose([0, 2, 1, 3]).reshape([batch, context, width])
    x = x.add(linear(mixed, at('attn_output')))
    const fed = rmsNorm(x.ref, at('ffn_norm'))
    const gated = nn.silu(linear(fed.ref, at('ffn_gate'))).mul(linear(fed, at('ffn_up')))
    x = x.add(linear(gated, at('ffn_down')))
  }
  const logits = linear(rmsNorm(x, take('output_norm')), take('output')).add(constants.vocabulary)
  for (const one of [constants.cos, constants.sin, constants.pairs, constants.causal]) one.dispose()
  return logits
}

function linear(x: Tensor, weight: Tensor): Tensor {
  const shape = x.shape
  const [out = 1, inner = 1] = weight.shape
  return np.matmul(x.reshape([-1, inner]), weight.transpose()).reshape([...shape.slice(0, -1), out])
}

function rmsNorm(x: Tensor, weight: Tensor): Tensor {
  const scale = np.sqrt(np.mean(np.square(x.ref), -1, { keepdims: true }).add(epsilon))
  return x.div(scale).mul(weight)
}

/** Rotary pairs are interleaved (2i, 2i+1): `y·pairs` is each pair turned by a right angle. */
function constantsOf(shape: Shape): Constants {
  const { context, width, heads } = shape
  const size = width / heads
  const cos = new Float32Array(context * size)
  const sin = new Float32Array(context * size)
  for (let t = 0; t < context; t++) {
    for (let i = 0; i < size; i++) {
      const angle = t * ropeBase ** (-(2 * Math.floor(i / 2)) / size)
      cos[t * size + i] = Math.cos(angle)
      sin[t * size + i] = Math.sin(angle)
    }
  }
  const pairs = new Float32Array(size * size)
  for (let i = 0; i < size; i += 2) {
    pairs[(i + 1) * size + i] = -1
    pairs[i * size + i + 1] = 1
  }
  const causal = Float32Array.from({ length: context * context }, (_, at) =>
    at % context > Math.floor(at / context) ? minusInfinity : 0,
  )
  const mask = Float32Array.from({ length: padded }, (_, token) => (token >= vocabulary ? minusInfinity : 0))
  return {
    cos: np.array(cos, { shape: [context, size] }),
    sin: np.array(sin, { shape: [context, size] }),
    pairs: np.array(pairs, { shape: [size, size] }),
    causal: np.array(causal, { shape: [context, context] }),
    vocabulary: np.array(mask, { shape: [padded] }),
  }
}

/** Box–Muller over a 32-bit generator (mulberry32): the same seed gives the same model everywhere. */
function gaussian(seed: number): () => number {
  let state = seed >>> 0
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let z = Math.imul(state ^ (state >>> 15), state | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return (((z ^ (z >>> 14)) >>> 0) + 0.5) / 4294967296
  }
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
}

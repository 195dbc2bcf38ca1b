import { writeFileSync } from 'node:fs'
import { unscrambled } from '../../base/random.fixture.ts'
import { seededRandom } from '../../base/random.ts'

/** A Llama of random weights for tests: real to llama.cpp, the same bytes for the same options. */
export interface FixtureOptions {
  seed?: number
  width?: number
  layers?: number
  context?: number
  chatTemplate?: string
}

/** Vocabulary 260: unknown, begin, end, the 256 bytes, and the mark that llama.cpp puts for a space. */
export const fixtureVocabulary = 260
const headCount = 4
const normalType = 1
const unknownType = 2
const controlType = 3
const byteType = 6

export function writeFixture(path: string, options: FixtureOptions = {}): void {
  writeFileSync(path, fixtureBytes(options))
}

export function fixtureBytes(options: FixtureOptions = {}): Buffer {
  const { seed = 1, width = 64, layers = 2, context = 256, chatTemplate } = options
  const hidden = width * 3
  const random = seededRandom(unscrambled(seed)) // of other weights some say one letter only, however they are sampled
  const matrix = (name: string, columns: number, rows: number): Tensor => {
    const values = Float32Array.from({ length: columns * rows }, () => (random.float() - 0.5) / Math.sqrt(columns))
    return { name, shape: [columns, rows], values }
  }
  const ones = (name: string): Tensor => ({ name, shape: [width], values: new Float32Array(width).fill(1) })
  const block = (i: number): Tensor[] => [
    ones(`blk.${i}.attn_norm.weight`),
    ...['q', 'k', 'v', 'output'].map((part) => matrix(`blk.${i}.attn_${part}.weight`, width, width)),
    ones(`blk.${i}.ffn_norm.weight`),
    matrix(`blk.${i}.ffn_gate.weight`, width, hidden),
    matrix(`blk.${i}.ffn_up.weight`, width, hidden),
    matrix(`blk.${i}.ffn_down.weight`, hidden, width),
  ]
  const embedding = matrix('token_embd.weight', width, fixtureVocabulary)
  const output = matrix('output.weight', width, fixtureVocabulary)
  quieten(output.values, width)
  const tensors = [
    embedding,
    ones('output_norm.weight'),
    output,
    ...Array.from({ length: layers }, (_, i) => block(i)).flat(),
  ]
  return ggufBytes(metadataOf({ width, hidden, layers, context, chatTemplate }), tensors)
}

/** The end token and the control characters get no weight: outputs run to the limit and print. */
function quieten(output: Float32Array, width: number): void {
  for (let token = 0; token < fixtureVocabulary; token++) {
    const byte = token - 3
    const spoken = token === fixtureVocabulary - 1 || (byte > 0x20 && byte < 0x7f)
    const row = output.subarray(token * width, (token + 1) * width)
    for (let i = 0; i < width; i++) row[i] = (row[i] ?? 0) * (spoken ? 40 : 0)
  }
}

interface Shape {
  width: number
  hidden: number
  layers: number
  context: number
  chatTemplate: string | undefined
}

function metadataOf(shape: Shape): [key: string, value: Value][] {
  const byteTokens = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
  const tokens = ['<unk>', '<s>', '</s>', ...byteTokens, '\u2581']
  const types = [unknownType, controlType, controlType, ...byteTokens.map(() => byteType), normalType]
  const metadata: [string, Value][] = [
    ['general.architecture', 'llama'],
    ['general.name', 'fixture'],
    ['general.alignment', u32(alignment)],
    ['general.file_type', u32(0)],
    ['llama.context_length', u32(shape.context)],
    ['llama.embedding_length', u32(shape.width)],
    ['llama.block_count', u32(shape.layers)],
    ['llama.feed_forward_length', u32(shape.hidden)],
    ['llama.attention.head_count', u32(headCount)],
    ['llama.attention.head_count_kv', u32(headCount)],
    ['llama.rope.dimension_count', u32(shape.width / headCount)],
    ['llama.rope.freq_base', f32(10_000)],
    ['llama.attention.layer_norm_rms_epsilon', f32(1e-5)],
    ['llama.vocab_size', u32(fixtureVocabulary)],
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', { type: stringType, items: tokens.map(stringBytes) }],
    ['tokenizer.ggml.scores', { type: f32Type, items: tokens.map(() => f32(0).bytes) }],
    ['tokenizer.ggml.token_type', { type: i32Type, items: types.map((type) => u32(type).bytes) }],
    ['tokenizer.ggml.unknown_token_id', u32(0)],
    ['tokenizer.ggml.bos_token_id', u32(1)],
    ['tokenizer.ggml.eos_token_id', u32(2)],
    ['tokenizer.ggml.add_space_prefix', false],
    ['tokenizer.ggml.add_bos_token', false],
    ['tokenizer.ggml.add_eos_token', false],
  ]
  if (shape.chatTemplate !== undefined) metadata.push(['tokenizer.chat_template', shape.chatTemplate])
  return metadata
}

// GGUF version 3: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

interface Tensor {
  name: string
  /** Columns first: the fastest dimension. */
  shape: number[]
  values: Float32Array
}

type Value = string | boolean | { type: number; bytes: Buffer } | { type: number; items: Buffer[] }

const alignment = 32
const u32Type = 4
const i32Type = 5
const f32Type = 6
const boolType = 7
const stringType = 8
const arrayType = 9
const f32Tensor = 0

function ggufBytes(metadata: [string, Value][], tensors: Tensor[]): Buffer {
  const parts = [Buffer.from('GGUF'), u32(3).bytes, u64(tensors.length), u64(metadata.length)]
  for (const [key, value] of metadata) parts.push(stringBytes(key), valueBytes(value))
  let offset = 0
  for (const { name, shape, values } of tensors) {
    parts.push(stringBytes(name), u32(shape.length).bytes, ...shape.map(u64), u32(f32Tensor).bytes, u64(offset))
    offset += padded(values.byteLength)
  }
  const head = Buffer.concat(parts)
  const data = tensors.map(({ values }) =>
    atAlignment(Buffer.from(values.buffer, values.byteOffset, values.byteLength)),
  )
  return Buffer.concat([atAlignment(head), ...data])
}

function valueBytes(value: Value): Buffer {
  if (typeof value === 'string') return Buffer.concat([u32(stringType).bytes, stringBytes(value)])
  if (typeof value === 'boolean') return Buffer.concat([u32(boolType).bytes, Buffer.from([value ? 1 : 0])])
  if ('bytes' in value) return Buffer.concat([u32(value.type).bytes, value.bytes])
  return Buffer.concat([u32(arrayType).bytes, u32(value.type).bytes, u64(value.items.length), ...value.items])
}

function u32(value: number) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return { type: u32Type, bytes }
}

function f32(value: number) {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return { type: f32Type, bytes }
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function stringBytes(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([u64(bytes.length), bytes])
}

function padded(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment
}

function atAlignment(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(padded(bytes.length) - bytes.length)])
}

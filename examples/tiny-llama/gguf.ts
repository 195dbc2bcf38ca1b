import { epsilon, layout, ropeBase, type Shape } from './model.ts'
import { tokenTable, vocabulary } from './tokens.ts'

/** The model as a GGUF file, version 3 (github.com/ggml-org/ggml, docs/gguf.md): header, metadata, tensors in F32. */
export function toGguf(shape: Shape, parameters: Float32Array, name: string): Uint8Array {
  const { parts } = layout(shape)
  const tensors = parts.map((part) => {
    const [rows = 1, columns] = part.shape
    const isTable = part.name === 'token_embd' || part.name === 'output'
    const kept = isTable ? vocabulary * (columns ?? 1) : part.size
    const dims = columns === undefined ? [rows] : [columns, isTable ? vocabulary : rows]
    return { name: `${part.name}.weight`, dims, data: parameters.subarray(part.offset, part.offset + kept) }
  })
  const { text, type } = tokenTable()
  const { width, layers, heads, ffn, context } = shape
  const out = new Writer()
  out.bytes(new TextEncoder().encode('GGUF'))
  out.u32(3)
  out.u64(tensors.length)
  const metadata: [string, () => void][] = [
    ['general.architecture', () => out.stringValue('llama')],
    ['general.name', () => out.stringValue(name)],
    ['general.alignment', () => out.u32Value(alignment)],
    ['general.file_type', () => out.u32Value(0)],
    ['llama.context_length', () => out.u32Value(context)],
    ['llama.embedding_length', () => out.u32Value(width)],
    ['llama.block_count', () => out.u32Value(layers)],
    ['llama.feed_forward_length', () => out.u32Value(ffn)],
    ['llama.attention.head_count', () => out.u32Value(heads)],
    ['llama.attention.head_count_kv', () => out.u32Value(heads)],
    ['llama.attention.layer_norm_rms_epsilon', () => out.f32Value(epsilon)],
    ['llama.rope.dimension_count', () => out.u32Value(width / heads)],
    ['llama.rope.freq_base', () => out.f32Value(ropeBase)],
    ['llama.vocab_size', () => out.u32Value(vocabulary)],
    ['tokenizer.ggml.model', () => out.stringValue('llama')],
    ['tokenizer.ggml.tokens', () => out.strings(text)],
    ['tokenizer.ggml.scores', () => out.floats(text.map(() => 0))],
    ['tokenizer.ggml.token_type', () => out.ints(type)],
    ['tokenizer.ggml.bos_token_id', () => out.u32Value(1)],
    ['tokenizer.ggml.eos_token_id', () => out.u32Value(2)],
    ['tokenizer.ggml.unknown_token_id', () => out.u32Value(0)],
    ['tokenizer.ggml.add_bos_token', () => out.boolValue(false)],
    ['tokenizer.ggml.add_eos_token', () => out.boolValue(false)],
    ['tokenizer.ggml.add_space_prefix', () => out.boolValue(false)],
    [
      'tokenizer.chat_template',
      () => out.stringValue("{% for message in messages %}{{ message['content'] }}\n{% endfor %}"),
    ],
  ]
  out.u64(metadata.length)
  for (const [key, value] of metadata) {
    out.string(key)
    value()
  }
  let offset = 0
  for (const tensor of tensors) {
    out.string(tensor.name)
    out.u32(tensor.dims.length)
    for (const dim of tensor.dims) out.u64(dim)
    out.u32(0)
    out.u64(offset)
    offset += aligned(tensor.data.byteLength)
  }
  out.pad()
  for (const tensor of tensors) {
    out.bytes(new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength))
    out.pad()
  }
  return out.done()
}

const alignment = 32
const aligned = (size: number) => Math.ceil(size / alignment) * alignment

/** Little-endian, growing. Value types: 4 u32, 5 i32, 6 f32, 7 bool, 8 string, 9 array. */
class Writer {
  private parts: Uint8Array[] = []
  private size = 0

  bytes(bytes: Uint8Array): void {
    this.parts.push(bytes)
    this.size += bytes.length
  }
  u32(value: number): void {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setUint32(0, value, true)
    this.bytes(bytes)
  }
  u64(value: number): void {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true)
    this.bytes(bytes)
  }
  f32(value: number): void {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setFloat32(0, value, true)
    this.bytes(bytes)
  }
  string(text: string): void {
    const bytes = new TextEncoder().encode(text)
    this.u64(bytes.length)
    this.bytes(bytes)
  }
  u32Value(value: number): void {
    this.u32(4)
    this.u32(value)
  }
  f32Value(value: number): void {
    this.u32(6)
    this.f32(value)
  }
  boolValue(value: boolean): void {
    this.u32(7)
    this.bytes(Uint8Array.of(value ? 1 : 0))
  }
  stringValue(text: string): void {
    this.u32(8)
    this.string(text)
  }
  strings(texts: readonly string[]): void {
    this.array(8, texts.length)
    for (const text of texts) this.string(text)
  }
  floats(values: readonly number[]): void {
    this.array(6, values.length)
    for (const value of values) this.f32(value)
  }
  ints(values: readonly number[]): void {
    this.array(5, values.length)
    for (const value of values) this.u32(value)
  }
  pad(): void {
    this.bytes(new Uint8Array(aligned(this.size) - this.size))
  }
  done(): Uint8Array {
    const whole = new Uint8Array(this.size)
    let at = 0
    for (const part of this.parts) {
      whole.set(part, at)
      at += part.length
    }
    return whole
  }
  private array(type: number, length: number): void {
    this.u32(9)
    this.u32(type)
    this.u64(length)
  }
}

/**
 * Bytes as tokens, in the shape that llama.cpp's SPM tokenizer reproduces: 0 <unk>, 1 <s>, 2 </s>, 3 + b for byte b,
 * and 259 for "▁", into which that tokenizer rewrites every space before it looks for tokens.
 */
export const vocabulary = 260
/** Columns of the output matrix: a multiple of 16 keeps the matrix kernels on SIMD; the rest is masked. */
export const padded = 272
const space = 0x20
const spaceToken = 259

export function encode(bytes: Uint8Array): Int32Array {
  const tokens = new Int32Array(bytes.length) // a loop: `Int32Array.from` takes a fifth of a second for 3 MB
  bytes.forEach((byte, at) => {
    tokens[at] = byte === space ? spaceToken : byte + 3
  })
  return tokens
}

export function decode(tokens: readonly number[]): Uint8Array {
  return Uint8Array.from(tokens.flatMap((token) => (token === spaceToken ? [space] : token >= 3 ? [token - 3] : [])))
}

/** Texts, scores and types for `tokenizer.ggml.*`: 2 unknown, 3 control, 6 byte, 1 normal. */
export function tokenTable(): { text: string[]; type: number[] } {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
  return {
    text: ['<unk>', '<s>', '</s>', ...bytes, '▁'],
    type: [2, 3, 3, ...bytes.map(() => 6), 1],
  }
}

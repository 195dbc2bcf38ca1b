import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

/** Randomness as a handle. The same seed gives the same draws on every machine. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number
  /** Uniform whole number in [min, max], both included. */
  int(min: number, max: number): number
  /** A generator of its own for `purpose`: drawing from it never shifts the draws of another. */
  split(purpose: string): Random
  /** A version-4 UUID. */
  uuid(): string
}

export function seededRandom(seed: number): Random {
  return randomOf(scrambled(seed))
}

/**
 * Another whole number of 32 bits for each: the generator starts from it bit for bit, and those that start from
 * neighbours, or from a small number, begin alike. Finalizer of MurmurHash3 (Appleby), off zero by the golden ratio.
 */
export function scrambled(seed: number): number {
  let bits = (seed + 0x9e3779b9) | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return bits ^ (bits >>> 16)
}

function randomOf(state: number): Random {
  const generator = xoroshiro128plus(state)
  const random: Random = {
    float: () => uniformFloat64(generator),
    int: (min, max) => uniformInt(generator, min, max),
    split: (purpose) => randomOf(mix(state, purpose) | 0),
    uuid: () => {
      const [a, b, c, d] = [word(), word(), word(), word()]
      const version = (b & 0xffff0fff) | 0x4000
      const variant = (c & 0x3fffffff) | 0x80000000
      const [first, last] = [`${hex(a >>> 16)}${hex(a)}`, `${hex(c)}${hex(d >>> 16)}${hex(d)}`]
      // In one piece: an engine keeps a long template as a tree of its parts, for as long as somebody has it.
      return [first, hex(b >>> 16), hex(version), hex(variant >>> 16), last].join('-')
    },
  }
  function word(): number {
    return uniformInt(generator, 0, 0xffffffff)
  }
  return random
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Four digits of the low 16 bits. */
function hex(bits: number): string {
  return `${hexOfByte[(bits >>> 8) & 0xff]}${hexOfByte[bits & 0xff]}`
}

/** FNV-1a (32 bit) over the purpose, started from the state. */
function mix(state: number, purpose: string): number {
  let hash = (0x811c9dc5 ^ state) >>> 0
  for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193) >>> 0
  return hash
}

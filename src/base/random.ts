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
  const generator = xoroshiro128plus(seed | 0)
  const random: Random = {
    float: () => uniformFloat64(generator),
    int: (min, max) => uniformInt(generator, min, max),
    split: (purpose) => seededRandom(mix(seed, purpose)),
    uuid: () => {
      const words = [0, 1, 2, 3].map(() => uniformInt(generator, 0, 0xffffffff))
      const hex = words.map((word) => word.toString(16).padStart(8, '0')).join('')
      const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16)
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
    },
  }
  return random
}

/** FNV-1a (32 bit) over the purpose, started from the seed. */
function mix(seed: number, purpose: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0
  for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193) >>> 0
  return hash
}

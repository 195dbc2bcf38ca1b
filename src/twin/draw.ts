import type { Random } from '../base/random.ts'

/** Draws from a seeded generator, in the terms of whoever makes up a history. */
export interface Draw {
  /** Whole number in [min, max]. */
  int(min: number, max: number): number
  one<T>(from: readonly T[]): T
  /** true with this probability. */
  chance(probability: number): boolean
  /** Exponential with this mean. */
  wait(mean: number): number
}

export function drawFrom(random: Random): Draw {
  return {
    int: (min, max) => random.int(min, max),
    one: (from) => {
      const chosen = from[random.int(0, from.length - 1)]
      if (chosen === undefined) throw new RangeError('nothing to choose from')
      return chosen
    },
    chance: (probability) => random.float() < probability,
    wait: (mean) => -mean * Math.log(1 - random.float()),
  }
}

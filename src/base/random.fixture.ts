/**
 * The seed whose generator is the one that this seed had before seeds were scrambled: what was recorded then (games, lists
 * of arrivals) is drawn again from it, draw for draw. Undoes `scrambled` step by step.
 */
export function unscrambled(seed: number): number {
  let bits = seed | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x7ed1b41d) // the inverse of 0xc2b2ae35
  bits = Math.imul(bits ^ (bits >>> 13) ^ (bits >>> 26), 0xa5cb9243) // the inverse of 0x85ebca6b
  return ((bits ^ (bits >>> 16)) - 0x9e3779b9) | 0
}

/**
 * Blocks of prompts whose keys and values an engine keeps for prompts that begin alike, the least recently used go first;
 * of one prompt its end goes before its beginning, without which the end is of no use. A block's id names all that is
 * before it as well, as in Mooncake's traces.
 */
export class PrefixCache {
  readonly #blocksMax: number
  /** The least recently used first. */
  readonly #blocks = new Set<number>()

  constructor(blocksMax: number) {
    this.#blocksMax = blocksMax
  }

  /** How many blocks of a prompt are there, from its beginning on. */
  hits(blocks: readonly number[]): number {
    const missing = blocks.findIndex((block) => !this.#blocks.has(block))
    return missing < 0 ? blocks.length : missing
  }

  /** A prompt is computed: its blocks are there from now on, as far as there is room. */
  keep(blocks: readonly number[]): void {
    for (let place = blocks.length - 1; place >= 0; place--) {
      const block = blocks[place] ?? 0
      this.#blocks.delete(block)
      this.#blocks.add(block)
    }
    for (const oldest of this.#blocks) {
      if (this.#blocks.size <= this.#blocksMax) return
      this.#blocks.delete(oldest)
    }
  }
}

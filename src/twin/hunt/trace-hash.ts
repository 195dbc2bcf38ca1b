/** A hash over a run's writes, to tell whether two runs were the same: two FNV-1a lanes of 32 bits. */
export class TraceHash {
  #a = 0x811c9dc5
  #b = 0x01000193

  add(text: string): void {
    let [a, b] = [this.#a, this.#b]
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at)
      a = Math.imul(a ^ code, 0x01000193)
      b = Math.imul(b ^ (code + at), 0x85ebca6b)
    }
    this.#a = a
    this.#b = b
  }

  digest(): string {
    return [this.#a, this.#b].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('')
  }
}

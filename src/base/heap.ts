/** A binary heap: the least by `compare` comes out first; equals come out in the order they went in. */
export class Heap<T> {
  private readonly compare: (a: T, b: T) => number
  private readonly entries: { value: T; order: number }[] = []
  private order = 0

  constructor(compare: (a: T, b: T) => number) {
    this.compare = compare
  }

  get size(): number {
    return this.entries.length
  }

  peek(): T | undefined {
    return this.entries[0]?.value
  }

  push(value: T): void {
    this.entries.push({ value, order: this.order++ })
    this.siftUp(this.entries.length - 1)
  }

  pop(): T | undefined {
    const least = this.entries[0]
    const last = this.entries.pop()
    if (least === undefined || last === undefined) return undefined
    if (this.entries.length > 0) {
      this.entries[0] = last
      this.siftDown(0)
    }
    return least.value
  }

  clear(): void {
    this.entries.length = 0
  }

  /** Takes out all that `keeps` says no to; the order of the others stays. */
  retain(keeps: (value: T) => boolean): void {
    let kept = 0
    for (const entry of this.entries) if (keeps(entry.value)) this.entries[kept++] = entry
    this.entries.length = kept
    for (let index = (kept >> 1) - 1; index >= 0; index--) this.siftDown(index)
  }

  private siftUp(from: number): void {
    let index = from
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.isBefore(index, parent)) return
      this.swap(index, parent)
      index = parent
    }
  }

  private siftDown(from: number): void {
    let index = from
    for (;;) {
      const left = 2 * index + 1
      const right = left + 1
      let least = index
      if (left < this.entries.length && this.isBefore(left, least)) least = left
      if (right < this.entries.length && this.isBefore(right, least)) least = right
      if (least === index) return
      this.swap(index, least)
      index = least
    }
  }

  private isBefore(i: number, j: number): boolean {
    const a = this.entries[i]
    const b = this.entries[j]
    if (a === undefined || b === undefined) return false
    const difference = this.compare(a.value, b.value)
    return difference < 0 || (difference === 0 && a.order < b.order)
  }

  private swap(i: number, j: number): void {
    const a = this.entries[i]
    const b = this.entries[j]
    if (a === undefined || b === undefined) return
    this.entries[i] = b
    this.entries[j] = a
  }
}

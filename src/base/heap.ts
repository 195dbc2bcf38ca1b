/** A binary heap: the least by `compare` comes out first; equals come out in the order they went in. */
export class Heap<T> {
  private readonly compare: (a: T, b: T) => number
  private readonly entries: Entry<T>[] = []
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

  /** The others move over, and only then it is put where it belongs. */
  private siftUp(from: number): void {
    const { entries } = this
    const moving = entries[from]
    let index = from
    while (index > 0 && moving !== undefined) {
      const up = (index - 1) >> 1
      const parent = entries[up]
      if (parent === undefined || !this.isBefore(moving, parent)) break
      entries[index] = parent
      index = up
    }
    if (moving !== undefined) entries[index] = moving
  }

  private siftDown(from: number): void {
    const { entries } = this
    const moving = entries[from]
    if (moving === undefined) return
    let index = from
    for (;;) {
      let down = 2 * index + 1
      let least = entries[down]
      if (least === undefined) break
      const right = entries[down + 1]
      if (right !== undefined && this.isBefore(right, least)) {
        down++
        least = right
      }
      if (!this.isBefore(least, moving)) break
      entries[index] = least
      index = down
    }
    entries[index] = moving
  }

  private isBefore(a: Entry<T>, b: Entry<T>): boolean {
    const difference = this.compare(a.value, b.value)
    return difference < 0 || (difference === 0 && a.order < b.order)
  }
}

interface Entry<T> {
  value: T
  order: number
}

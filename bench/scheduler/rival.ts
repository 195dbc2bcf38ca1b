import type { Ask } from './fleet.ts'

/** What a plain scheduler does: looks at every node for every member, scores those that fit, and takes the best. */
export class FullScan {
  readonly #nodes: { cpuMilli: number; free: number[] }[]

  constructor(nodes: number) {
    this.#nodes = Array.from({ length: nodes }, () => ({ cpuMilli: 96_000, free: new Array<number>(8).fill(1000) }))
  }

  /** Whether all members were placed; BestFit over cores and accelerators. */
  ask({ members, count, cpuMilli }: Ask): boolean {
    const taken: { node: { cpuMilli: number; free: number[] }; devices: number[]; milli: number }[] = []
    const milli = count >= 1 ? 1000 : Math.round(count * 1000)
    for (let member = 0; member < members; member++) {
      let best: { node: { cpuMilli: number; free: number[] }; devices: number[] } | undefined
      let least = Number.POSITIVE_INFINITY
      for (const node of this.#nodes) {
        if (node.cpuMilli < cpuMilli) continue
        const devices = node.free.flatMap((free, index) => (free >= milli ? [index] : [])).slice(0, Math.ceil(count))
        if (devices.length < Math.ceil(count)) continue
        const left = (node.cpuMilli - cpuMilli) / 96_000 + node.free.reduce((a, b) => a + b, 0) / 8000
        if (left < least) [best, least] = [{ node, devices }, left]
      }
      if (best === undefined) {
        for (const { node, devices } of taken) {
          node.cpuMilli += cpuMilli
          for (const device of devices) node.free[device] = (node.free[device] ?? 0) + milli
        }
        return false
      }
      best.node.cpuMilli -= cpuMilli
      for (const device of best.devices) best.node.free[device] = (best.node.free[device] ?? 0) - milli
      taken.push({ ...best, milli })
    }
    return true
  }
}

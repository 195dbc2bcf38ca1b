/** Cores are looked at in steps of so many thousandths: containers ask for tenths. */
const grain = 100

/**
 * How many of a node's free cores members that ask for no accelerator can fill, at best: what is left over is of use only
 * to who brings accelerators along. Worked out further as larger nodes are asked about.
 */
export function coresFilled(sizes: readonly number[]): (cpuMilli: number) => number {
  const asked = [...new Set(sizes)].filter((size) => size > 0)
  const steps = asked.map((size) => Math.ceil(size / grain))
  const filled = [0]
  return (cpuMilli) => {
    const free = Math.floor(cpuMilli / grain)
    for (let at = filled.length; at <= free; at++) {
      let most = filled[at - 1] ?? 0
      for (const [index, step] of steps.entries()) {
        const before = step > at ? undefined : filled[at - step]
        if (before !== undefined) most = Math.max(most, before + (asked[index] ?? 0))
      }
      filled.push(most)
    }
    return filled[Math.max(0, free)] ?? 0
  }
}

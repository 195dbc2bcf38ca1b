import type { Random } from '../../src/base/random.ts'
import { seededRandom } from '../../src/base/random.ts'
import { label } from '../../src/model/names.ts'
import { type Typical, typicalOf } from '../../src/scheduler/packing/typical.ts'
import type { Row } from '../row.ts'
import { type Ask, World } from './fleet.ts'
import { readPods } from './lists.ts'
import { FullScan } from './rival.ts'

const fleet = 10_000

export function speedRows(traces: string | undefined): Row[] {
  return [
    ...started(),
    fill('whole accelerators and gangs', mixed, 50_000),
    ...(traces === undefined ? [] : [fill('35 fractional shapes of openb', fractional(traces), 20_000)]),
    ...nearlyFull(),
    ...large(),
  ]
}

type Draw = (random: Random) => Ask

/** Half single accelerators and small nodes' worth, half gangs of whole nodes. */
const mixed: Draw = (random) => {
  const draw = random.float()
  if (draw < 0.5) return { members: 1, count: random.int(1, 4), cpuMilli: 8_000 }
  if (draw < 0.8) return { members: 4, count: 8, cpuMilli: 64_000 }
  return { members: draw < 0.95 ? 16 : 64, count: 8, cpuMilli: 64_000 }
}

function fractional(traces: string): Draw {
  const typical = typicalOf(readPods(traces, 'default').map((pod) => [{ ...pod, models: undefined }, 1] as const))
  return (random) => askOf(drawn(typical, random))
}

function drawn(typical: readonly Typical[], random: Random): Typical {
  let rest = random.float()
  for (const one of typical) {
    rest -= one.share
    if (rest <= 0) return one
  }
  return typical[0] as Typical
}

function askOf({ count, milli, cpuMilli }: Typical): Ask {
  return { members: 1, count: count === 0 ? 0 : milli >= 1000 ? count : milli / 1000, cpuMilli }
}

/** From empty until a hundred gangs did not fit: the median of three, for a factory runs for months. */
function fill(name: string, draw: Draw, bar: number): Row {
  const rates = [1, 2, 3].map(() => {
    globalThis.gc?.() // what earlier ones left is not this one's to sweep
    return filled(fleet, draw)
  })
  const rate = at(
    rates.sort((a, b) => a - b),
    0.5,
  )
  return {
    row: `placements, empty to full, ${fleet} nodes: ${name}`,
    value: rate,
    unit: '/s',
    bar: `>= ${bar} /s`,
    ok: rate >= bar,
    peer: `a full scan over the same: ${rival(draw).toFixed(0)} /s`,
  }
}

/** Members placed in a second of the scheduler's own time. */
function filled(nodes: number, draw: Draw): number {
  const world = new World(nodes)
  const random = seededRandom(1)
  let [placed, waiting, spentMs] = [0, 0, 0]
  for (let index = 0; waiting < 100; index++) {
    const { ms, verdict } = world.ask(`g${index}`, draw(random))
    spentMs += ms
    if (verdict?.kind === 'bind') placed += verdict.seats.members.length
    else {
      waiting++
      world.forget(`g${index}`)
    }
  }
  return (placed / spentMs) * 1000
}

/** The plain rival's rate over a second's worth of the same draws. */
function rival(draw: Draw): number {
  const scan = new FullScan(fleet)
  const random = seededRandom(1)
  const startedAt = performance.now()
  let placed = 0
  while (performance.now() - startedAt < 1000) {
    const ask = draw(random)
    if (scan.ask(ask)) placed += ask.members
  }
  return (placed / (performance.now() - startedAt)) * 1000
}

function nearlyFull(): Row[] {
  const [small, big] = [decisions(1_000), decisions(fleet)]
  const rows: [string, number, number][] = [
    ['p50', at(big, 0.5), 50],
    ['p99', at(big, 0.99), 1_000],
    ['p99.9', at(big, 0.999), 5_000],
  ]
  const ratio = at(big, 0.5) / at(small, 0.5)
  return [
    ...rows.map(([name, value, bar]) => ({
      row: `one decision at 95 % full, ${name}`,
      value,
      unit: 'us',
      bar: `<= ${bar} us`,
      ok: value <= bar,
    })),
    {
      row: `... p50 at ${fleet} nodes against 1000`,
      value: ratio,
      unit: 'x',
      bar: '<= 1.5 x',
      ok: ratio <= 1.5,
      peer: `${at(small, 0.5).toFixed(1)} us at 1000 nodes`,
    },
  ]
}

/** Microseconds of each decision while gangs come and go at 95 % full. */
function decisions(nodes: number): number[] {
  globalThis.gc?.()
  const world = new World(nodes)
  const random = seededRandom(2)
  const running: string[] = []
  let used = 0
  const sizes = new Map<string, number>()
  const came = (index: number): number => {
    const ask: Ask = { members: 1, count: random.int(1, 4), cpuMilli: 8_000 }
    const { ms, verdict } = world.ask(`g${index}`, ask)
    if (verdict?.kind === 'bind') {
      running.push(`g${index}`)
      sizes.set(`g${index}`, ask.count)
      used += ask.count
    } else world.forget(`g${index}`)
    return ms * 1000
  }
  let index = 0
  while (used < 0.95 * nodes * 8) came(index++)
  const took: number[] = []
  for (let round = 0; round < 20_000; round++) {
    took.push(came(index++))
    while (used > 0.95 * nodes * 8) {
      const gone = running.splice(random.int(0, running.length - 1), 1)[0] ?? ''
      used -= sizes.get(gone) ?? 0
      world.forget(gone)
    }
  }
  return took.slice(2_000).sort((a, b) => a - b)
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** A 4,096-GPU gang: seated; proven not to fit by the counters; and by search, where the counters leave it possible. */
function large(): Row[] {
  const ask: Ask = { members: 512, count: 8, cpuMilli: 64_000, topology: { preferred: 'rack', required: 'block' } }
  const world = new World(fleet)
  const random = seededRandom(3)
  // Two blocks' worth of small jobs spread over the racks, so that whole blocks remain.
  for (let index = 0; index < 200; index++)
    world.ask(`s${index}`, { members: 1, count: random.int(1, 7), cpuMilli: 8_000 })
  world.ask('warm', { ...ask, members: 2 })
  const seated = world.ask('huge', ask)
  const full = new World(fleet)
  for (let index = 0; index < fleet / 16; index++) full.ask(`f${index}`, { members: 16, count: 8, cpuMilli: 64_000 })
  const refusals = Array.from({ length: 10 }, (_, index) => {
    const asked = full.ask(`huge-${index}`, ask)
    full.forget(`huge-${index}`)
    return asked
  }).sort((a, b) => a.ms - b.ms)
  const refused = refusals[refusals.length >> 1]
  const isRefused = refusals.every(({ verdict }) => verdict?.kind === 'wait')
  const searched = apart()
  const row = (name: string, ms: number, bar: number, isRight: boolean): Row => ({
    row: name,
    value: ms,
    unit: 'ms',
    bar: `<= ${bar} ms`,
    ok: ms <= bar && isRight,
  })
  return [
    row('4096-GPU gang, block required: seated', seated.ms, 20, seated.verdict?.kind === 'bind'),
    row('... proven not to fit, by counters, median of ten', refused?.ms ?? 0, 1, isRefused),
    row('... proven not to fit, by search', searched.ms, 20, searched.verdict?.kind === 'wait'),
  ]
}

/**
 * The same in two groups, while a pod without accelerators runs in each block: all that is asked for is free, and each group
 * alone fits in every block, by the counters of every level; only trying tells that both together do not.
 */
function apart() {
  const world = new World(fleet)
  for (let block = 0; block * 512 < fleet; block++) {
    const name = `b${block}`
    const gang = world.gang(name, { members: 1, count: 0, cpuMilli: 8_000 })
    for (const group of gang.spec.groups) group.nodeSelector = { [label.block]: name }
    world.decide(gang)
  }
  const topology = { preferred: 'rack', required: 'block' }
  const ask = (name: string) => {
    const asked = world.ask(name, { members: 256, halves: 512, count: 8, cpuMilli: 96_000, topology })
    world.forget(name)
    return asked
  }
  for (let index = 0; index < 10; index++) ask(`warm-${index}`)
  return ask('apart')
}

function started(): Row[] {
  const before = process.memoryUsage().rss
  const world = new World(fleet)
  for (let index = 0; index < 75_000; index++) world.ask(`g${index}`, { members: 2, count: 0.5, cpuMilli: 500 })
  for (const key of [...world.gangs.keys()]) world.run(key.slice('default/'.length))
  const changes = [...world.gangs.values()]
  const pods = 150_000
  globalThis.gc?.()
  const mb = (process.memoryUsage().rss - before) / 1e6
  const startedAt = performance.now()
  const again = new World(fleet)
  for (const object of changes) again.scheduler.apply({ kind: 'Gang', object })
  again.scheduler.decide(0)
  const seconds = (performance.now() - startedAt) / 1000
  return [
    {
      row: `memory, ${fleet} nodes and ${pods} pods`,
      value: mb,
      unit: 'MB',
      bar: '<= 1000 MB',
      ok: mb <= 1000,
    },
    {
      row: '... from nothing to the first decision',
      value: seconds,
      unit: 's',
      bar: '<= 2 s',
      ok: seconds <= 2,
      peer: 'gangs with seats; live pods add theirs',
    },
  ]
}

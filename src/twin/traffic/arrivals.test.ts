import { expect, test } from 'vitest'
import { seededRandom } from '../../base/random.ts'
import { type Arrival, arrivalsOf, type DrawnTraffic, requestsBetween, type Traffic } from './arrivals.ts'
import { lengthDraws } from './draws.ts'

const drawn: DrawnTraffic = {
  kind: 'drawn',
  rate: 2,
  cv: 1,
  daily: undefined,
  bursts: [],
  input: { mean: 1155, p99: 4142, max: 16_000 },
  output: { mean: 100, max: 1000 },
}

function until(horizonMs: number, traffic: Traffic, { fromMs = 0, seed = 1 } = {}): Arrival[] {
  const arrivals = arrivalsOf(traffic, fromMs, seededRandom(seed))
  const found: Arrival[] = []
  for (let next = arrivals.next(); !next.done && next.value.atMs < horizonMs; next = arrivals.next())
    found.push(next.value)
  return found
}

function gapsOf(arrivals: readonly Arrival[]): { mean: number; cv: number } {
  const gaps = arrivals.slice(1).map(({ atMs }, index) => atMs - (arrivals[index]?.atMs ?? 0))
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  const variance = gaps.reduce((sum, gap) => sum + (gap - mean) * (gap - mean), 0) / gaps.length
  return { mean, cv: Math.sqrt(variance) / mean }
}

test.each([0, 0.5, 1, 3])('gaps have the mean and the coefficient of variation %d that was asked for', (cv) => {
  const { mean, cv: found } = gapsOf(until(50_000_000, { ...drawn, cv }))
  expect(mean / 500).toBeCloseTo(1, 1)
  expect(Math.abs(found - cv)).toBeLessThan(0.05 + cv * 0.05)
})

test('a daily swing is highest at its peak and keeps its mean over days', () => {
  const day = 86_400_000
  const arrivals = until(4 * day, { ...drawn, daily: { share: 0.5, peakAtMs: day / 4 } })
  expect(arrivals.length / (4 * 2 * 86_400)).toBeCloseTo(1, 2)
  const inHour = (hour: number) => arrivals.filter(({ atMs }) => Math.floor((atMs % day) / 3_600_000) === hour).length
  expect(inHour(6) / (4 * 7200)).toBeCloseTo(1.5, 1)
  expect(inHour(18) / (4 * 7200)).toBeCloseTo(0.5, 1)
})

test('a burst multiplies the rate while it lasts, also by nothing', () => {
  const bursts = [
    { atMs: 1_000_000, lastsMs: 1_000_000, factor: 5 },
    { atMs: 3_000_000, lastsMs: 1_000_000, factor: 0 },
  ]
  const arrivals = until(5_000_000, { ...drawn, bursts })
  const counts = [0, 1, 2, 3, 4].map((at) => arrivals.filter(({ atMs }) => Math.floor(atMs / 1_000_000) === at).length)
  expect(counts.map((count) => Math.round(count / 1000))).toEqual([2, 10, 2, 0, 2])
  expect(counts[3]).toBe(0)
})

test('a rate that falls to nothing for good ends', () => {
  const forever = { atMs: 1_000_000, lastsMs: Number.POSITIVE_INFINITY, factor: 0 }
  const arrivals = until(Number.POSITIVE_INFINITY, { ...drawn, bursts: [forever] })
  expect(arrivals.at(-1)?.atMs).toBeLessThan(1_000_000)
})

test('lengths have the mean and the 99th percentile that were asked for, and are bounded', () => {
  const draw = lengthDraws(seededRandom(3), drawn.input)
  const lengths = Array.from({ length: 100_000 }, draw).toSorted((a, b) => a - b)
  expect(lengths.reduce((sum, length) => sum + length, 0) / 100_000 / 1155).toBeCloseTo(1, 1)
  expect((lengths[98_999] ?? 0) / 4142).toBeCloseTo(1, 1)
  expect(lengths.at(-1)).toBeLessThanOrEqual(16_000)
  expect(lengths[0]).toBeGreaterThanOrEqual(1)
  expect(lengthDraws(seededRandom(3), drawn.output)()).toBe(100)
})

test('what is drawn is a function of the seed', () => {
  expect(until(100_000, drawn)).toEqual(until(100_000, drawn))
  expect(until(100_000, drawn)).not.toEqual(until(100_000, drawn, { seed: 2 }))
})

test('a trace comes from its time on, faster where asked, and again when it is over', () => {
  const requests = { times: [0, 1000, 4000], inputs: [1, 2, 3], outputs: [4, 5, 6] }
  const past = { kind: 'past', requests, speed: 2, repeats: true } as const
  const arrivals = until(8000, past, { fromMs: 100 })
  expect(arrivals.map(({ atMs }) => atMs)).toEqual([100, 600, 2100, 3100, 3600, 5100, 6100, 6600])
  expect(arrivals[1]).toEqual({ atMs: 600, input: 2, output: 5 })
  expect(until(80_000, { ...past, repeats: false })).toHaveLength(3)
})

const hourMs = 3_600_000
const window = (fromHour: number, perHour: number, law: 'gamma' | 'weibull' = 'gamma', shape = 1) => ({
  fromMs: fromHour * hourMs,
  toMs: (fromHour + 1) * hourMs,
  perMs: perHour / hourMs,
  gaps: { law, shape },
})
const clientsOf = (...clients: ReturnType<typeof window>[][]): Traffic => ({
  kind: 'clients',
  clients: clients.map((windows) => ({ windows })),
  scale: 1,
  input: { mean: 10, max: 10 },
  output: { mean: 5, max: 5 },
})

test('clients come at the rates of their windows, together in order, and nobody where there is no rate', () => {
  const traffic = clientsOf(
    [window(0, 9000), window(1, 0), window(2, 3000)],
    [window(0, 1000), window(1, 0), window(2, 1000)],
  )
  const arrivals = until(24 * hourMs, { ...traffic, scale: 2 } as Traffic)
  const times = arrivals.map(({ atMs }) => atMs)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  const within = (hour: number) => times.filter((atMs) => Math.floor(atMs / hourMs) === hour).length
  expect(Math.abs(within(0) - 20_000)).toBeLessThan(600)
  expect([within(1), within(3)]).toEqual([0, 0])
  expect(Math.abs(within(2) - 8000)).toBeLessThan(400)
})

test.each([
  ['gamma', 4, 0.5],
  ['gamma', 0.25, 2],
  // Weibull of shape 2 and 0.5: sqrt(Γ(1 + 2/k) / Γ(1 + 1/k)² − 1).
  ['weibull', 2, 0.5227],
  ['weibull', 0.5, 2.236],
] as const)('gaps of %s with shape %d vary by %d, and their mean is that of the rate', (law, shape, cv) => {
  const { mean, cv: found } = gapsOf(until(hourMs, clientsOf([window(0, 200_000, law, shape)])))
  expect(mean / (hourMs / 200_000)).toBeCloseTo(1, 1)
  expect(Math.abs(found / cv - 1)).toBeLessThan(0.05)
})

test("another client beside it moves none of a client's requests", () => {
  const alone = until(hourMs, clientsOf([window(0, 100)])).map(({ atMs }) => atMs)
  const beside = until(hourMs, clientsOf([window(0, 100)], [window(0, 50)])).map(({ atMs }) => atMs)
  expect(beside).toEqual(expect.arrayContaining(alone))
})

test('as many are expected between two times as come', () => {
  const bursts = [{ atMs: 3_000_000, lastsMs: 2_000_000, factor: 5 }]
  const swung = { ...drawn, cv: 0, daily: { share: 0.5, peakAtMs: 9_000_000 }, bursts }
  const all = until(20_000_000, swung, { fromMs: 600_000 })
  for (const [from, to] of [
    [0, 600_000],
    [0, 4_000_000],
    [4_000_000, 6_000_000],
    [10_000_000, 20_000_000],
  ] as const) {
    const came = all.filter(({ atMs }) => atMs >= from && atMs < to).length
    expect(Math.abs(requestsBetween(swung, 600_000, from, to) - came)).toBeLessThan(2)
  }
  const requests = { times: [0, 1000, 4000], inputs: [1, 2, 3], outputs: [4, 5, 6] }
  const past = { kind: 'past', requests, speed: 2, repeats: true } as const
  expect(requestsBetween(past, 100, 0, 8000)).toBe(8)
  expect(requestsBetween(past, 100, 600, 3100)).toBe(2)
  expect(requestsBetween({ ...past, repeats: false }, 100, 0, 80_000)).toBe(3)
  const clients = { ...clientsOf([window(0, 9000), window(1, 0)], [window(1, 1000)]), scale: 2 } as Traffic
  expect(requestsBetween(clients, hourMs, 0, 1.5 * hourMs)).toBeCloseTo(9000)
  expect(requestsBetween(clients, hourMs, 0, 9 * hourMs)).toBeCloseTo(20_000)
})

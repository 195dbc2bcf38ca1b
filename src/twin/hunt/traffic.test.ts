import { expect, test } from 'vitest'
import { seededRandom } from '../../base/random.ts'
import { drawFrom } from '../draw.ts'
import { drawHistory } from './draw-history.ts'
import { type Arrival, type History, ofGateway } from './history.ts'
import { play } from './play.ts'
import { drawTraffic } from './traffic.ts'

const histories = Array.from({ length: 200 }, (_, seed) => drawHistory(seededRandom(seed)))
const withServices = histories.filter(({ arrivals }) => arrivals.some(({ kind }) => kind === 'InferenceService'))
const isOfGateway = ({ kind }: { kind: string }) => (ofGateway as readonly string[]).includes(kind)

test('half of the histories with services have requests, of all their services, and a gateway with faults', () => {
  const busy = withServices.filter(({ traffic }) => traffic !== undefined)
  expect(busy.length / withServices.length).toBeGreaterThan(0.35)
  expect(busy.length / withServices.length).toBeLessThan(0.65)
  for (const { arrivals, traffic = [] } of busy) {
    const services = arrivals.filter(({ kind }) => kind === 'InferenceService')
    expect(traffic.map(({ service }) => service)).toEqual(services.map(({ object }) => object.metadata.name))
    expect(services.every(({ performance }) => performance.replica.engine !== undefined)).toBe(true)
  }
  expect(busy.some(({ faults }) => faults.some(isOfGateway))).toBe(true)
  const quiet = histories.filter(({ traffic }) => traffic === undefined)
  expect(quiet.some(({ faults }) => faults.some(isOfGateway))).toBe(false)
})

test('jobs are as they would be without requests', () => {
  const { arrivals, safetyMs } = withServices[0] as History
  const jobs = (of: readonly Arrival[]) => of.filter(({ kind }) => kind === 'TrainingJob')
  for (const seed of [1, 2, 3, 4])
    expect(jobs(drawTraffic(drawFrom(seededRandom(seed)), arrivals, safetyMs).arrivals)).toEqual(jobs(arrivals))
})

test('requests come, and who is up at the end answers: a history whose service answers nobody breaks a rule', async () => {
  const expected = ({ traffic = [], arrivals, safetyMs }: History) =>
    traffic.map(({ service, rate }) => {
      const { atMs = safetyMs } = arrivals.find(({ object }) => object.metadata.name === service) ?? {}
      return (rate * (safetyMs - atMs)) / 1000
    })
  const isOne = (one: History) =>
    expected(one).some((requests) => requests > 10) && !one.faults.some(({ kind }) => kind === 'delete work')
  const index = histories.findIndex(isOne)
  const history = histories[index] as History
  const played = await play(index, { history })
  expect(played.violations).toEqual([])
  expect(played.requests).toBeGreaterThan(0)
  // Without an engine nobody listens, whatever the probe says.
  const arrivals = structuredClone(history.arrivals)
  for (const { performance } of arrivals) Reflect.deleteProperty(performance.replica, 'engine')
  const deaf = await play(index, { history: { ...history, arrivals } })
  expect(deaf.violations[0]?.message).toMatch(/never came to an end: a request to s\d/)
}, 60_000)

import { expect, test } from 'vitest'
import { inferenceService } from '../../model/kinds/inference-service.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { nodeOf } from '../twin.fixture.ts'
import { Twin } from '../twin.ts'
import { engineModel } from '../work/engine-model.ts'
import { Clients } from './traffic.ts'

const training = {
  steps: 1,
  stepMs: 1000,
  initMs: 0,
  stallMs: 0,
  persistMs: 0,
  checkpointBytes: 1,
  progress: 'all' as const,
  peerLostMs: 0,
}

/** A service with two requests a second from ten seconds on. */
async function start() {
  const twin = new Twin({
    seed: 1,
    performanceOf: () => ({
      prepareMs: 0,
      restoreMs: 0,
      training,
      replica: { loadMs: 1000, drainMs: 1000, engine: engineModel('8b-h100') },
    }),
  })
  await twin.begin()
  twin.startControl()
  twin.addNode(nodeOf('n'))
  twin.startGateway()
  const clients = new Clients({
    clock: twin.clock,
    random: twin.random.split('traffic'),
    gateway: () => twin.gateway,
    server: (uid) => twin.workload.replica(uid),
    run: { startMs: twin.clock.now(), horizonMs: 3_600_000, stretches: 10 },
  })
  const metadata = { name: 'chat', namespace: 'default' }
  const spec = { command: ['serve'], minReplicas: 2, maxReplicas: 2, target: 100 }
  await twin.apply(
    'InferenceService',
    inferenceService.parse({ apiVersion: millwrightVersion, kind: 'InferenceService', metadata, spec }),
  )
  const length = { mean: 200, max: 200 }
  const traffic = {
    kind: 'drawn',
    rate: 2,
    cv: 1,
    daily: undefined,
    bursts: [],
    input: length,
    output: length,
  } as const
  clients.start({ service: 'default/chat', fromMs: 10_000, traffic, slo: undefined })
  const sums = clients.sums.get('default/chat')
  if (sums === undefined) throw new Error('no sums')
  return { twin, clients, sums }
}

test('a gateway that dies takes its requests along, and the next one knows where to send the others', async () => {
  const { twin, clients, sums } = await start()
  await twin.run(60_000)
  expect(sums.answered).toBeGreaterThan(50)
  const underWay = sums.requests - sums.ended
  expect(underWay).toBeGreaterThan(0)
  twin.gateway?.process.crash()
  expect(sums.failed.get('gateway_lost')).toBe(underWay)
  await twin.run(10_000)
  const missed = (sums.failed.get('gateway_lost') ?? 0) - underWay
  expect(missed).toBeGreaterThan(5)
  const answered = sums.answered
  twin.startGateway()
  await twin.run(60_000)
  expect(sums.answered - answered).toBeGreaterThan(90)
  expect(sums.failed.get('gateway_lost')).toBe(underWay + missed)
  expect(clients.forgotten).toBe(0)
})

test('a gateway that stands still answers when it goes on, and its clients have waited', async () => {
  const { twin, sums } = await start()
  await twin.run(60_000)
  const { answered } = sums
  twin.gateway?.process.pause()
  await twin.run(20_000)
  expect(sums.answered).toBe(answered)
  twin.gateway?.process.resume()
  await twin.run(20_000)
  expect(sums.failed.size).toBe(0)
  expect(sums.requests - sums.ended).toBeLessThan(10)
  expect(sums.ttftMs.max).toBeGreaterThan(19_000)
})

test('requests that a gateway has lost sight of are found', async () => {
  const { twin, clients, sums } = await start()
  await twin.run(60_000)
  const underWay = sums.requests - sums.ended
  expect([underWay > 0, clients.forgotten]).toEqual([true, 0])
  for (const service of twin.gateway?.core.routes.services ?? []) service.inFlight.clear()
  expect(clients.forgotten).toBe(underWay)
})

test('the report of the service counts its requests', async () => {
  const { twin, sums } = await start()
  await twin.run(60_000)
  const report = await twin.store.get('Report', { name: 'service.chat', namespace: 'default' })
  expect(report?.status?.requests).toBeGreaterThan(sums.requests - 4)
  expect(report?.status?.completionTokens).toBeGreaterThan(0.9 * sums.outputTokens)
})

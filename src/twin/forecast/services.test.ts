import { describe, expect, test } from 'vitest'
import { readState } from '../../compile/state.ts'
import { recordingOf, setupOfTest } from '../play/play.fixture.ts'
import { serviceSums } from '../report/services.ts'
import type { Scene } from './course.ts'
import { forecastOf } from './forecast.ts'
import { unreadyOf } from './services.ts'

const noRisks = { nodeFailures: 0, repairMs: 1, spotReclaims: 0, spotAwayMs: 1, spotNoticeMs: 0 }

const chat = (spec: string) => `apiVersion: millwright.dev/v1alpha1
kind: InferenceService
metadata: {name: chat}
spec: {command: serve, resources: {accelerators: H100:1}, ${spec}}
`

function sceneOf(service: string, nodes: number): Scene {
  const node = (index: number) => `apiVersion: v1
kind: Node
metadata: {name: n-${index}, labels: {millwright.dev/accelerator: H100}}
status: {allocatable: {nvidia.com/gpu: 8}}
---
`
  const text = Array.from({ length: nodes }, (_, index) => node(index)).join('') + service
  const read = readState([{ name: 'state.yaml', text }], { nowMs: 0 })
  if ('errors' in read) throw new Error(JSON.stringify(read.errors))
  return read.state
}

const slow = '{preset: 70b-a100-tp4, sequences: 8}'

test('a service of which no replica can serve is named, unless nothing is known of it or nothing sits yet', () => {
  const scene = sceneOf(chat('minReplicas: 2, maxReplicas: 2'), 1)
  const unready = (status: object | undefined, sits: boolean) => {
    const gangs = scene.gangs.map((gang) => {
      const seats = {
        attempt: gang.spec.attempt,
        epoch: 1,
        at: new Date(0).toISOString(),
        masterAddr: '',
        masterPort: 1,
      }
      return sits ? { ...gang, status: { conditions: [], checkpoints: [], seats: { ...seats, members: [] } } } : gang
    })
    const services = (scene.services ?? []).map((service) => ({
      ...service,
      ...(status === undefined ? {} : { status: { conditions: [], ...status } }),
    }))
    return unreadyOf(services, gangs).map(({ service, why }) => `${service}: ${why}`)
  }
  const message = 'not ready within progressDeadlineSeconds: 60'
  expect(unready({ phase: 'Failed', readyReplicas: 0, message }, true)).toEqual([`default/chat: Failed: ${message}`])
  expect(unready({ phase: 'Failed' }, false)).toEqual(['default/chat: Failed'])
  expect(unready({ phase: 'Starting', readyReplicas: 0 }, true)).toEqual(['default/chat: Starting'])
  for (const [status, sits] of [
    [{ phase: 'Ready', readyReplicas: 1 }, true],
    [{ phase: 'Pending', readyReplicas: 0 }, false],
    [undefined, true],
  ] as const)
    expect(unready(status, sits)).toEqual([])
})

/** The same service, fleet and requests: each request played through the production gateway, and foretold. */
async function bothOf(service: string, traffic: string, minutes: number, engine: string) {
  const setup = setupOfTest(`  traffic: [${traffic}]\n`, service, {
    horizon: `${minutes}m`,
    performance: `prepare: 10s, load: 80s, engine: ${engine}`,
  })
  const played = await Promise.all(
    [1, 2, 3].map(async (seed) => {
      const recording = await recordingOf(setup, seed)
      const [record] = recording.services
      if (record === undefined) throw new Error('no service')
      const { attainment = 0, replicas, requests, refused } = serviceSums(record, recording)
      const away = Object.values(refused).reduce((sum, count) => sum + count, 0)
      return { attainment, replicas: replicas.mean, requests, refused: away / requests }
    }),
  )
  const mean = (of: (one: (typeof played)[number]) => number) =>
    played.reduce((sum, one) => sum + of(one), 0) / played.length
  const found = forecastOf(sceneOf(service, 2), undefined, {
    nowMs: 0,
    horizonMs: minutes * 60_000,
    seeds: 5,
    risks: noRisks,
    requests: setup,
  })
  const figure = (name: string) =>
    found.rows.find((row) => row.of === 'service/chat' && row.figure === name)?.without?.median ?? 0
  return {
    played: {
      attainment: mean((one) => one.attainment),
      replicas: mean((one) => one.replicas),
      requests: mean((one) => one.requests),
      refused: mean((one) => one.refused),
    },
    foretold: {
      attainment: figure('SLO attainment') / 100,
      replicas: figure('replicas'),
      requests: figure('requests'),
      refused: figure('requests refused') / 100,
    },
  }
}

describe('what is foretold of requests is what comes of them when each is played', () => {
  test.each([
    ['busy', 'minReplicas: 4, maxReplicas: 4, target: 100', 'rate: 2.6, slo: {ttft: 3s, tpot: 150ms}', 0.01],
    // As many as they can answer: chance decides how long the line is.
    ['full', 'minReplicas: 2, maxReplicas: 2, target: 8', 'rate: 2, slo: {ttft: 3s, tpot: 150ms}', 0.2],
    [
      'grows',
      'minReplicas: 1, maxReplicas: 8, target: 4',
      'rate: 0.3, bursts: [{at: 8m, lasts: 14m, factor: 12}], slo: {ttft: 2s, tpot: 100ms}',
      0.05,
    ],
    ['swings', 'minReplicas: 1, maxReplicas: 16, target: 6', 'rate: 3, cv: 2, slo: {ttft: 2s, tpot: 150ms}', 0.05],
  ])('%s', async (_, spec, requests, within) => {
    const { played, foretold } = await bothOf(chat(spec), `{service: chat, from: 2m, ${requests}}`, 30, slow)
    expect(Math.abs(foretold.requests / played.requests - 1)).toBeLessThan(0.05)
    expect(Math.abs(foretold.attainment - played.attainment)).toBeLessThan(within)
    expect(Math.abs(foretold.replicas / played.replicas - 1)).toBeLessThan(0.2)
    expect(Math.abs(foretold.refused - played.refused)).toBeLessThan(0.02)
  })
})

describe('what a change does to who is answered in time', () => {
  const service = chat('minReplicas: 1, maxReplicas: 24, target: 4')
  const requests = setupOfTest('  traffic: [{service: chat, rate: 8, slo: {ttft: 2s, tpot: 150ms}}]\n', service, {
    horizon: '1h',
    performance: `prepare: 10s, load: 80s, engine: ${slow}`,
  })
  const of = (before: Scene, after: Scene) =>
    forecastOf(before, after, { nowMs: 0, horizonMs: 3_600_000, seeds: 3, risks: noRisks, requests })
  const rowIn = ({ rows }: ReturnType<typeof of>, figure: string) =>
    rows.find((row) => row.of === 'service/chat' && row.figure === figure)

  test('with fewer accelerators than it wants, first tokens come late', () => {
    const found = of(sceneOf(service, 3), sceneOf(service, 1))
    expect(rowIn(found, 'SLO attainment')?.without?.median).toBeGreaterThan(70)
    expect(rowIn(found, 'SLO attainment')?.difference?.high).toBeLessThan(-30)
    expect(rowIn(found, 'first token in time')?.difference?.high).toBeLessThan(-30)
    expect(rowIn(found, 'requests')?.difference).toEqual({ mean: 0, low: 0, median: 0, high: 0 })
  })

  test('the same state gets the same answer, and without traffic none of requests', () => {
    const scene = sceneOf(service, 3)
    for (const { difference } of of(scene, scene).rows)
      expect(difference).toEqual({ mean: 0, low: 0, median: 0, high: 0 })
    const none = forecastOf(scene, undefined, { nowMs: 0, horizonMs: 3_600_000, seeds: 1, risks: noRisks })
    expect(none.rows.some(({ figure }) => figure === 'requests' || figure === 'SLO attainment')).toBe(false)
  })
})

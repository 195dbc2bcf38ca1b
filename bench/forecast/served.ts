import { formatErrors } from '../../src/compile/documents.ts'
import { readState } from '../../src/compile/state.ts'
import { forecastOf } from '../../src/twin/forecast/forecast.ts'
import { recordingOf, setupOfText } from '../../src/twin/play/play.fixture.ts'
import { serviceSums } from '../../src/twin/report/services.ts'
import type { Row } from '../row.ts'

const hours = 10
const chat = `apiVersion: millwright.dev/v1alpha1
kind: InferenceService
metadata: { name: chat }
spec:
  command: serve
  resources: { accelerators: H100:1 }
  minReplicas: 1
  maxReplicas: 16
  target: 8
`

/** A service through a morning with a burst: foretold, and each of its requests played through the production gateway. */
export async function servedRow(): Promise<Row> {
  const text = `apiVersion: millwright.dev/v1alpha1
kind: Scenario
metadata: { name: served }
spec:
  horizon: ${hours}h
  fleet: [{ name: n, count: 2, accelerators: H100:8 }]
  resources: [chat.yaml]
  traffic:
    - service: chat
      from: 5m
      rate: 3
      cv: 1.5
      daily: { share: 0.6, peakAt: 14h }
      bursts: [{ at: 6h, lasts: 20m, factor: 6 }]
      slo: { ttft: 2s, tpot: 50ms }
  performance: { load: 90s, engine: 8b-a100 }
`
  const setup = setupOfText(text, chat)
  const recording = await recordingOf(setup, 1)
  const [record] = recording.services
  if (record === undefined) throw new Error('no service got requests')
  const came = serviceSums(record, recording)

  const node = (name: string) => `apiVersion: v1
kind: Node
metadata: { name: ${name}, labels: { millwright.dev/accelerator: H100 } }
status: { allocatable: { nvidia.com/gpu: 8 } }
---
`
  const state = readState([{ name: 'state.yaml', text: node('a') + node('b') + chat }], { nowMs: 0 })
  if ('errors' in state) throw new Error(formatErrors(state.errors))
  const startedAt = performance.now()
  const { rows } = forecastOf(state.state, undefined, {
    nowMs: 0,
    horizonMs: hours * 3_600_000,
    seeds: 10,
    risks: { nodeFailures: 0, repairMs: 1, spotReclaims: 0, spotAwayMs: 1, spotNoticeMs: 0 },
    requests: setup,
  })
  const seconds = (performance.now() - startedAt) / 1000
  const told = (figure: string) =>
    rows.find((row) => row.of === 'service/chat' && row.figure === figure)?.without?.median ?? Number.NaN
  const value = Math.abs(told('SLO attainment') - 100 * (came.attainment ?? Number.NaN))
  return {
    row: `attainment of a service's objective over ${hours} h and ${came.requests} requests: off by`,
    value,
    unit: 'points',
    bar: '<= 3 points',
    ok: value <= 3,
    peer: `${told('SLO attainment').toFixed(1)} % foretold in ${seconds.toFixed(1)} s, ${(100 * (came.attainment ?? 0)).toFixed(1)} % when each is played; ${told('replicas').toFixed(1)} replicas on average, ${came.replicas.mean.toFixed(1)} when played`,
  }
}

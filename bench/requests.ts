import { createReadStream, existsSync } from 'node:fs'
import { join } from 'node:path'
import { readRequests } from '../src/twin/import/requests.ts'
import { setupOfText } from '../src/twin/play/play.fixture.ts'
import { playScenario } from '../src/twin/play/play.ts'
import type { Recording } from '../src/twin/play/recording.ts'
import { type ServiceSums, serviceSums } from '../src/twin/report/services.ts'
import { noTraces, type Traces } from '../src/twin/scenario/requests.ts'
import type { Setup } from '../src/twin/scenario/setup.ts'
import type { Row } from './row.ts'

const seed = 1
const traces = process.env['MILLWRIGHT_TRACES'] ?? join('..', 'shared', 'traces')
const tracePath = join(traces, 'mooncake', 'conversation_trace.jsonl')

/** How fast requests are played, gateway, engines and control plane included, and a public trace on eight replicas. */
export async function* rows(): AsyncGenerator<Row> {
  yield await speedRow()
  yield* mooncakeRows()
}

const rate = 600
const minutes = 15
const bar = 50_000

async function speedRow(): Promise<Row> {
  const setup = setupFor({
    horizon: `${minutes + 2}m`,
    replicas: 32,
    traffic: `{ service: chat, from: 2m, rate: ${rate} }`,
    engine: '8b-h100',
  })
  const startedAt = process.cpuUsage()
  const sums = await played(setup)
  const { user, system } = process.cpuUsage(startedAt)
  const seconds = (user + system) / 1_000_000
  const perSecond = sums.requests / seconds
  return {
    row: 'requests played, of CPU time; 32 replicas',
    value: perSecond,
    unit: '/s',
    bar: `>= ${bar} /s`,
    ok: perSecond >= bar && sums.answered > 0.95 * sums.requests,
    peer: `${sums.requests} requests in ${seconds.toFixed(1)} s, ${sums.answered} answered; the control plane's part is in it`,
  }
}

/**
 * Time to the first token in milliseconds, with which this one is compared: least outstanding, simulated elsewhere with an
 * earlier fit of the prefill, up to a third faster, and with a cache of prefixes; and without any queue, by the same fit as
 * here, without a cache.
 */
const leastOutstanding = { mean: 808, p99: 7451 }
const withoutQueue = { mean: 881, p99: 9333 }
/** Of all blocks, in per cent: in that simulation, and of one cache as large as the eight. */
const leastOutstandingHits = 6.8
const pooledHits = 21.9

async function* mooncakeRows(): AsyncGenerator<Row> {
  if (!existsSync(tracePath)) {
    const peer = `not run: ${tracePath} is not there`
    yield { row: "mooncake's conversations on 8 replicas", value: Number.NaN, unit: 'ms', bar: '', ok: true, peer }
    return
  }
  const requests = new Map([['trace.jsonl', await readRequests('mooncake', createReadStream(tracePath))]])
  const read = { ...noTraces, requests }
  const playedWith = (engine: string) =>
    played(
      setupFor(
        {
          horizon: '65m',
          replicas: 8,
          traffic: '{ service: chat, from: 2m, trace: { file: trace.jsonl, format: mooncake } }',
          engine,
        },
        read,
      ),
    )
  const sums = await playedWith('qwen3-32b-h200-tp2')
  const all = `${sums.answered} of ${sums.requests} answered`
  for (const part of ['mean', 'p99'] as const) {
    const value = sums.ttftMs?.[part] ?? Number.NaN
    yield {
      row: `mooncake's conversations on 8 × Qwen3-32B H200 TP2, TTFT ${part}`,
      value,
      unit: 'ms',
      bar: `${withoutQueue[part]} to ${2 * withoutQueue[part]} ms`,
      ok: value >= withoutQueue[part] && value <= 2 * withoutQueue[part],
      peer: `${leastOutstanding[part]} with an earlier, faster prefill and a cache of prefixes; ${withoutQueue[part]} without a queue; ${all}`,
    }
  }
  const kept = await playedWith('{ preset: qwen3-32b-h200-tp2, prefixTokens: 687000 }')
  const hits = (100 * kept.cachedTokens) / kept.inputTokens
  yield {
    row: '... with the prefixes of 687,000 tokens kept on each: tokens that are not computed',
    value: hits,
    unit: '%',
    bar: `${leastOutstandingHits - 1} to ${leastOutstandingHits + 1} %`,
    ok: Math.abs(hits - leastOutstandingHits) <= 1,
    peer: `${leastOutstandingHits} % of blocks by least outstanding, simulated elsewhere; ${pooledHits} % were all caches one; ${kept.answered} of ${kept.requests} answered`,
  }
  for (const part of ['mean', 'p99'] as const) {
    const [value, without] = [kept.ttftMs?.[part] ?? Number.NaN, sums.ttftMs?.[part] ?? Number.NaN]
    yield {
      row: `... TTFT ${part}`,
      value,
      unit: 'ms',
      bar: `<= ${without.toFixed(0)} ms`,
      ok: value <= without,
      peer: `${without.toFixed(0)} without; ${leastOutstanding[part]} with an earlier fit whose prefill is up to a third faster`,
    }
  }
}

async function played(setup: Setup): Promise<ServiceSums> {
  const found = await playScenario(setup, seed)
  if (found.kind !== 'played') throw new Error(`seed ${seed} broke a rule: ${JSON.stringify(found)}`)
  return sumsOf(found.recording)
}

function sumsOf(recording: Recording): ServiceSums {
  const [record] = recording.services
  if (record === undefined) throw new Error('no service got requests')
  return serviceSums(record, recording)
}

/** A fixed number of replicas of two accelerators each, and no faults. */
function setupFor(
  { horizon, replicas, traffic, engine }: { horizon: string; replicas: number; traffic: string; engine: string },
  read: Traces = noTraces,
): Setup {
  const text = `apiVersion: millwright.dev/v1alpha1
kind: Scenario
metadata: { name: requests }
spec:
  horizon: ${horizon}
  fleet: [{ name: h200, count: ${Math.ceil(replicas / 4)}, accelerators: H200:8 }]
  resources: [chat.yaml]
  traffic: [${traffic}]
  performance: { prepare: 10s, load: 10s, engine: ${engine} }
`
  const chat = `apiVersion: millwright.dev/v1alpha1
kind: InferenceService
metadata: { name: chat }
spec:
  command: serve
  resources: { accelerators: H200:2 }
  minReplicas: ${replicas}
  maxReplicas: ${replicas}
  target: 256
`
  return setupOfText(text, chat, read)
}

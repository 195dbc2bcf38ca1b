import { Counter, Gauge, Registry } from 'prom-client'
import { isTrue } from '../model/conditions.ts'
import type { KindMap, KindName } from '../model/registry.ts'
import type { Store } from '../store/contract.ts'
import { summarise } from './ledger-summary.ts'

export interface Metrics {
  /** Prometheus' text format, from what the store holds now. */
  render(): Promise<string>
  /** For counters of the process that it runs in. Names start with `millwright_`. */
  registry: Registry
}

/** A label takes at most this many values; what comes after is summed up as "other". */
const valuesMax = 200

/**
 * The factory's state as metrics, computed when somebody asks: an idle factory pays nothing for them. Labels are phases,
 * buckets, queues and services: never pods, nodes or requests, whose number has no bound.
 */
export function createMetrics({ store }: { store: Store }): Metrics {
  const registry = new Registry()
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name: `millwright_${name}`, help, labelNames, registers: [registry] })
  const jobs = gauge('training_jobs', 'Training jobs by phase.', 'phase')
  const restarts = gauge('training_restarts', 'Restarts of the training jobs that there are.')
  const lost = gauge('training_lost_slot_seconds', 'Slot-seconds of work that failures cost the jobs that there are.')
  const services = gauge('inference_services', 'Inference services by phase.', 'phase')
  const replicas = gauge('service_replicas', 'Replicas of a service.', 'service', 'state')
  const inFlight = gauge('service_requests_in_flight', 'Requests under way at replicas.', 'service')
  const held = gauge('service_requests_held', 'Requests that wait for a replica.', 'service')
  const ttft = gauge('service_time_to_first_byte_seconds', 'Mean, over the last report.', 'service')
  const nodes = gauge('nodes', 'Nodes, by whether they are ready.', 'ready')
  const gangs = gauge('gangs', 'Gangs by what they do.', 'state')
  const slots = gauge('ledger_slot_seconds', 'Slot-seconds accounted for, by bucket, since the first page.', 'bucket')
  const money = gauge('ledger_usd', 'The same in money, at the prices of the pools.', 'bucket')
  const counter = (name: string, help: string) =>
    new Counter({ name: `millwright_service_${name}_total`, help, labelNames: ['service'], registers: [registry] })
  const requests = counter('requests', 'Requests since the gateway started.')
  const promptTokens = counter('prompt_tokens', 'Prompt tokens since the gateway started.')
  const completionTokens = counter('completion_tokens', 'Completion tokens since the gateway started.')

  async function items<K extends KindName>(kind: K): Promise<readonly KindMap[K][]> {
    return (await store.list(kind)).items
  }

  async function readTraining(): Promise<void> {
    const all = await items('TrainingJob')
    for (const [phase, count] of tally(all, (job) => job.status?.phase ?? 'Pending')) jobs.set({ phase }, count)
    restarts.set(all.reduce((sum, job) => sum + (job.status?.restarts ?? 0), 0))
    lost.set(all.reduce((sum, job) => sum + (job.status?.lostSeconds ?? 0), 0))
  }

  async function readServing(): Promise<void> {
    const all = await items('InferenceService')
    for (const [phase, count] of tally(all, (service) => service.status?.phase ?? 'Pending'))
      services.set({ phase }, count)
    const name = bounded()
    for (const { metadata, status } of all) {
      const service = name(`${metadata.namespace ?? 'default'}/${metadata.name}`)
      replicas.inc({ service, state: 'ready' }, status?.readyReplicas ?? 0)
      replicas.inc({ service, state: 'wanted' }, status?.wantedReplicas ?? 0)
    }
    for (const { metadata, spec, status } of await items('Report')) {
      if (spec.service === undefined || status === undefined) continue
      const service = name(`${metadata.namespace ?? 'default'}/${spec.service.name}`)
      inFlight.inc({ service }, status.inFlight ?? 0)
      held.inc({ service }, status.held ?? 0)
      if (status.ttftSeconds !== undefined) ttft.set({ service }, status.ttftSeconds)
      requests.inc({ service }, status.requests ?? 0)
      promptTokens.inc({ service }, status.promptTokens ?? 0)
      completionTokens.inc({ service }, status.completionTokens ?? 0)
    }
  }

  async function readFleet(): Promise<void> {
    const ready = tally(await items('Node'), (node) => String(isTrue(node.status?.conditions, 'Ready')))
    for (const [value, count] of ready) nodes.set({ ready: value }, count)
    const states = tally(await items('Gang'), ({ spec, status }) =>
      spec.suspend ? 'suspended' : status?.seats?.attempt === spec.attempt ? 'seated' : 'waiting',
    )
    for (const [state, count] of states) gangs.set({ state }, count)
  }

  async function readLedger(): Promise<void> {
    for (const { key, slotMs, usd } of summarise(await items('LedgerPage'), 'bucket').rows) {
      const bucket = key[0] ?? ''
      slots.set({ bucket }, slotMs / 1000)
      money.set({ bucket }, usd)
    }
  }

  let rendering: Promise<string> | undefined
  async function render(): Promise<string> {
    const own = [jobs, services, replicas, inFlight, held, ttft, nodes, gangs, slots, money]
    for (const metric of [...own, requests, promptTokens, completionTokens]) metric.reset()
    await Promise.all([readTraining(), readServing(), readFleet(), readLedger()])
    return registry.metrics()
  }

  return {
    registry,
    // Several askers at once get one answer: each rendering starts from empty metrics.
    render: () => {
      rendering ??= render().finally(() => {
        rendering = undefined
      })
      return rendering
    },
  }
}

function tally<T>(all: readonly T[], by: (one: T) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const one of all) counts.set(by(one), (counts.get(by(one)) ?? 0) + 1)
  return counts
}

/** Gives out at most so many values, and "other" after them. */
function bounded(): (value: string) => string {
  const known = new Set<string>()
  return (value) => {
    if (!known.has(value) && known.size >= valuesMax) return 'other'
    known.add(value)
    return value
  }
}

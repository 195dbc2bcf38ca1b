import type { DocumentError } from '../../compile/documents.ts'
import { durationMs } from '../../model/duration.ts'
import { fieldError, shown } from '../../model/field-error.ts'
import { nearest } from '../../model/nearest.ts'
import type { PastClient } from '../import/clients.ts'
import type { PastRequests, RequestFormat } from '../import/requests.ts'
import type { Traffic } from '../traffic/arrivals.ts'
import type { ServiceTraffic } from '../traffic/traffic.ts'
import { enginePresets } from '../work/engine-model.ts'
import { type EngineSpec, presetNamed } from './engine.ts'
import type { ReadScenario } from './read.ts'
import { courseOf, lengthDefaults, type TrafficSpec, tokenLengthOf } from './traffic.ts'

/** Traces and clients that were read, by the path that the scenario names. */
export interface Traces {
  requests: ReadonlyMap<string, PastRequests>
  clients: ReadonlyMap<string, PastClient>
}

export const noTraces: Traces = { requests: new Map(), clients: new Map() }

/** The clients that a scenario names, each once. */
export function clientsNamed({ scenario }: ReadScenario): string[] {
  return [...new Set(scenario.spec.traffic.flatMap(({ clients }) => clients?.files ?? []))]
}

/** The traces that a scenario names, each once. */
export function tracesNamed({ scenario }: ReadScenario): { path: string; format: RequestFormat }[] {
  const named = scenario.spec.traffic.flatMap(({ trace }) => (trace === undefined ? [] : [trace]))
  return [...new Map(named.map(({ file, format }) => [file, { path: file, format }])).values()]
}

/** A service's requests begin when it is applied, or later where the scenario says so. */
export function trafficOf(
  { scenario }: ReadScenario,
  arrivals: readonly {
    atMs: number
    object: { kind: string; metadata: { name: string; namespace?: string | undefined } }
  }[],
  traces: Traces,
): ServiceTraffic[] {
  return scenario.spec.traffic.map((spec) => {
    const { service, namespace, from, slo } = spec
    const applied = arrivals.find(
      ({ object: { kind, metadata } }) =>
        kind === 'InferenceService' && metadata.name === service && metadata.namespace === namespace,
    )
    return {
      service: `${namespace}/${service}`,
      fromMs: Math.max(applied?.atMs ?? 0, durationMs(from)),
      traffic: trafficFrom(spec, traces),
      slo: slo === undefined ? undefined : { ttftMs: optionalMs(slo.ttft), tpotMs: optionalMs(slo.tpot) },
    }
  })
}

function trafficFrom(
  { rate = 0, cv, daily, bursts, trace, clients, ...lengths }: TrafficSpec,
  traces: Traces,
): Traffic {
  if (trace !== undefined) {
    const requests = traces.requests.get(trace.file) ?? { times: [], inputs: [], outputs: [] }
    return { kind: 'past', requests, speed: trace.speed, repeats: trace.repeat }
  }
  const input = tokenLengthOf(lengths.input ?? lengthDefaults.input)
  const output = tokenLengthOf(lengths.output ?? lengthDefaults.output)
  if (clients !== undefined) {
    const read = clients.files.map((file) => traces.clients.get(file) ?? { windows: [] })
    return { kind: 'clients', clients: read, scale: clients.scale, input, output }
  }
  return { kind: 'drawn', ...courseOf(rate, { cv, daily, bursts }), input, output }
}

function optionalMs(text: string | undefined): number | undefined {
  return text === undefined ? undefined : durationMs(text)
}

interface Named {
  kind: string
  metadata: { name: string; namespace?: string | undefined }
}

export function unknownServices({ file, scenario, positionOf }: ReadScenario, work: readonly Named[]): DocumentError[] {
  return scenario.spec.traffic.flatMap(({ service, namespace }, index) => {
    const known = work
      .filter((one) => one.kind === 'InferenceService' && one.metadata.namespace === namespace)
      .map(({ metadata }) => metadata.name)
    if (known.includes(service)) return []
    const at = ['spec', 'traffic', index, 'service']
    const more = { found: shown(service), suggestion: nearest(service, known) }
    return [{ ...fieldError(at, 'names no service of this scenario', more), file, ...positionOf(at) }]
  })
}

export function unknownEngines({ file, scenario, positionOf }: ReadScenario): DocumentError[] {
  const { engine, of } = scenario.spec.performance
  const check = (spec: EngineSpec | undefined, at: (string | number)[]): DocumentError[] => {
    if (spec === undefined || enginePresets.includes(presetNamed(spec))) return []
    const place = typeof spec === 'string' ? at : [...at, 'preset']
    const suggestion = nearest(presetNamed(spec), enginePresets)
    const more = {
      found: shown(presetNamed(spec)),
      suggestion,
      allowed: suggestion === undefined ? enginePresets.join(', ') : undefined,
    }
    return [{ ...fieldError(place, 'is no preset of an engine', more), file, ...positionOf(place) }]
  }
  const at = ['spec', 'performance']
  return [
    ...check(engine, [...at, 'engine']),
    ...Object.entries(of).flatMap(([name, own]) => check(own.engine, [...at, 'of', name, 'engine'])),
  ]
}

import type { Draw } from '../draw.ts'
import type { Traffic } from '../traffic/arrivals.ts'
import { engineModel } from '../work/engine-model.ts'
import { type Arrival, type GatewayFault, type HistoryTraffic, ofGateway } from './history.ts'

/** Half of all histories with services have requests: the others stay as they were before there were any. */
const trafficChance = 0.5

/** Some services get requests, and may scale to zero; and their gateway has faults of its own. */
export function drawTraffic(
  draw: Draw,
  arrivals: readonly Arrival[],
  safetyMs: number,
): { arrivals: Arrival[]; traffic?: HistoryTraffic[]; faults: GatewayFault[] } {
  const services = arrivals.filter(({ kind }) => kind === 'InferenceService')
  if (services.length === 0 || !draw.chance(trafficChance)) return { arrivals: [...arrivals], faults: [] }
  const traffic = services.map(({ object }) => drawRequests(draw, object.metadata.name, safetyMs))
  return {
    arrivals: arrivals.map((arrival) => (arrival.kind === 'TrainingJob' ? arrival : serving(draw, arrival))),
    traffic,
    faults: drawGatewayFaults(draw, safetyMs),
  }
}

function drawRequests(draw: Draw, service: string, safetyMs: number): HistoryTraffic {
  const common = {
    service,
    rate: draw.one([0.01, 0.05, 0.2]),
    input: draw.int(10, 4000),
    output: draw.int(1, 2000),
  }
  if (!draw.chance(0.4)) return common
  const burst = { atMs: draw.int(0, safetyMs), lastsMs: draw.int(1000, 30_000), factor: draw.one([10, 50]) }
  return { ...common, burst }
}

/** Few requests fill a replica, so that some wait. */
function serving(draw: Draw, arrival: Service): Service {
  const { performance, object } = arrival
  const replica = { ...performance.replica, engine: engineModel('8b-h100') }
  const minReplicas = draw.chance(0.3) ? 0 : object.spec.minReplicas
  const spec = { ...object.spec, minReplicas, target: draw.one([1, 2, 8]) }
  return { ...arrival, performance: { ...performance, replica }, object: { ...object, spec } }
}

type Service = Extract<Arrival, { kind: 'InferenceService' }>

function drawGatewayFaults(draw: Draw, safetyMs: number): GatewayFault[] {
  const meanMs = safetyMs / draw.one([2, 5])
  const faults: GatewayFault[] = []
  for (let atMs = draw.wait(meanMs); atMs < safetyMs * 0.9; atMs += draw.wait(meanMs)) {
    const forMs = Math.round(draw.wait(draw.one([2_000, 20_000, 90_000])))
    faults.push({ atMs: Math.round(atMs), forMs, kind: draw.one(ofGateway) })
  }
  return faults
}

export function trafficFrom({ rate, burst, input, output }: HistoryTraffic): Traffic {
  return {
    kind: 'drawn',
    rate,
    cv: 1,
    daily: undefined,
    bursts: burst === undefined ? [] : [burst],
    input: { mean: input, max: input },
    output: { mean: output, max: output },
  }
}

import type { NodeDescription } from '../../agent/contract.ts'
import type { Random } from '../../base/random.ts'
import { label } from '../../model/names.ts'
import { type Draw, drawFrom } from '../draw.ts'
import {
  drawClockFaults,
  drawCopyFaults,
  drawDiskFaults,
  drawFaults,
  drawFleetChanges,
  drawGpuLosses,
  drawHolds,
  drawLate,
  drawNetworkFaults,
  drawPeople,
  drawPoolChanges,
  drawQuotaChanges,
  drawSlow,
  drawStale,
  drawStorageFaults,
  drawXids,
} from './draw-faults.ts'
import {
  copied,
  drawArrivals,
  drawQueues,
  limited,
  onGpus,
  paced,
  placed,
  preferring,
  publishing,
  queuesOfMovers,
  rackNames,
  rejoining,
  scattered,
  shaped,
  slotsMax,
} from './draw-work.ts'
import type { Fault, History } from './history.ts'
import { withNight } from './night.ts'
import { drawTraffic } from './traffic.ts'

/** All that happens in one history: each purpose draws from a split of its own, so that one more draw shifts no other. */
export function drawHistory(random: Random): History {
  const fleet = drawFrom(random.split('fleet'))
  const line = drawFrom(random.split('line'))
  const sharing = drawFrom(random.split('sharing'))
  const isScattered = sharing.chance(0.15)
  const drawn = Array.from({ length: fleet.int(2, 6) }, (_, index) => nodeNamed(`n${index}`, fleet))
  const fabric = drawFrom(random.split('fabric'))
  const nodes = placed(fabric, isScattered ? drawn.slice(0, 2).map((node) => ({ ...node, slots: slotsMax })) : drawn)
  const drawnQueues = drawQueues(drawFrom(random.split('queues')), sharing, nodes)
  const queues = isScattered ? queuesOfMovers(nodes) : drawnQueues
  const extent = drawExtent(drawFrom(random.split('extent')), 1000 * fleet.int(300, 1200))
  const { safetyMs } = extent
  const shape = drawFrom(random.split('shapes'))
  const fencing = fleet.chance(0.7)
  const isSlow = fencing && line.chance(0.2)
  const drawnWork = drawArrivals(drawFrom(random.split('work')), queues, nodes, safetyMs).slice(0, extent.arrivalsMax)
  const work = drawnWork.map((one) => (isScattered ? scattered(shape, one, safetyMs) : shaped(shape, one, nodes)))
  const { arrivals, traffic, faults } = drawTraffic(drawFrom(random.split('requests')), work, safetyMs)
  const limits = drawFrom(random.split('limits'))
  const hasLimits = limits.chance(0.5) && !isScattered
  const outputs = drawFrom(random.split('outputs'))
  const hasOutputs = outputs.chance(0.5)
  const copies = drawFrom(random.split('copies'))
  const membership = drawFrom(random.split('membership'))
  const steps = drawFrom(random.split('steps'))
  const hasRejoining = membership.chance(0.4)
  const hasCopies = copies.chance(0.5)
  const ledgerEveryMs = line.one([0, 30_000, 30_000, 30_000, 30_000])
  const cards = drawFrom(random.split('gpus'))
  const hasGpus = cards.chance(0.15)
  const history: History = {
    // Hours begin and end within histories.
    startMs: dayMs + line.int(0, 3_600_000),
    nodes,
    queues: hasLimits ? limited(limits, queues, arrivals) : queues,
    standbys: fleet.one([0, 1, 1, 2]),
    leaseSeconds: fleet.one([4, 15, 15]),
    fencing,
    ...(ledgerEveryMs === 0 ? {} : { ledgerEveryMs }),
    history: fleet.one([10, 100, 10_000]),
    delay: isSlow
      ? { chance: line.one([0.01, 0.05]), msMax: slowMs }
      : line.chance(0.25)
        ? { chance: 0, msMax: 0 }
        : { chance: line.one([0.05, 0.3, 1]), msMax: line.one([20, 300, 1000]) },
    arrivals: arrivals
      .map((one) => (hasCopies ? copied(copies, one) : one))
      .map((one) => (hasRejoining ? rejoining(membership, one) : one))
      .map((one) => paced(steps, one))
      .map((one) => (hasOutputs ? publishing(outputs, one) : one))
      .map((one) => preferring(fabric, one)),
    faults: [
      ...drawFaults(drawFrom(random.split('faults')), nodes, safetyMs, fencing),
      extent.crash,
      ...drawSlow(drawFrom(random.split('slow')), nodes, safetyMs),
      ...faults,
      ...drawStorageFaults(drawFrom(random.split('storage')), safetyMs),
      ...drawDiskFaults(drawFrom(random.split('disks')), nodes, safetyMs),
      ...drawXids(drawFrom(random.split('xids')), nodes, safetyMs),
      ...(hasGpus ? drawGpuLosses(cards, nodes, safetyMs) : []),
      ...drawNetworkFaults(drawFrom(random.split('network')), nodes, safetyMs),
      ...(hasCopies ? drawCopyFaults(copies, safetyMs) : []),
      ...drawPeople(drawFrom(random.split('people')), safetyMs),
      ...drawFleetChanges(drawFrom(random.split('fleet changes')), nodes, safetyMs),
      ...(hasLimits || isScattered ? [] : drawQuotaChanges(drawFrom(random.split('quota changes')), safetyMs)),
      ...drawPoolChanges(drawFrom(random.split('pool changes')), safetyMs),
      ...drawHolds(drawFrom(random.split('holds')), safetyMs),
      ...drawClockFaults(drawFrom(random.split('clocks')), nodes, safetyMs),
      ...drawLate(drawFrom(random.split('late')), safetyMs),
      ...drawStale(drawFrom(random.split('stale')), nodes, safetyMs),
    ],
    ...(traffic === undefined ? {} : { traffic }),
    safetyMs,
  }
  return withNight(drawFrom(random.split('night')), hasGpus ? onGpus(history) : history)
}

/**
 * Most histories are short: what breaks a rule mostly does so with little, and more of them are played in the same time. In each
 * of them the leader dies once.
 */
function drawExtent(draw: Draw, longMs: number): { safetyMs: number; arrivalsMax: number; crash: Fault } {
  const [isShort, shortMs, arrivalsMax] = [draw.chance(0.8), 1000 * draw.int(90, 300), draw.int(2, 5)]
  const [share, forMs] = [draw.int(5, 90) / 100, Math.round(draw.wait(draw.one([2_000, 20_000, 90_000])))]
  const safetyMs = isShort ? shortMs : longMs
  const crash: Fault = { kind: 'crash control', atMs: Math.round(share * safetyMs), forMs }
  return isShort ? { safetyMs, arrivalsMax, crash } : { safetyMs, arrivalsMax: Number.POSITIVE_INFINITY, crash }
}

/** Longer than a lease: what a leader sent arrives when another leads. Only fences keep it out. */
const slowMs = 15_000

/** 2026-01-01. */
const dayMs = 1_767_225_600_000

function nodeNamed(name: string, draw: Draw): NodeDescription {
  return {
    name,
    pool: 'local',
    labels: { [label.rack]: draw.one(rackNames) },
    cpuMilli: 64_000,
    memoryBytes: 256e9,
    slots: draw.int(1, slotsMax),
    podsMax: 110,
    gpus: [],
    ports: { from: 20_000, to: 20_099 },
    address: `10.0.0.${1 + Number(name.slice(1))}`,
    info: {},
  }
}

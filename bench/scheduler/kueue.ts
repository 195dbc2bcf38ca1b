import type { Gang } from '../../src/model/kinds/gang.ts'
import type { Node } from '../../src/model/kinds/kubernetes.ts'
import { label } from '../../src/model/names.ts'
import { gangNamed, groupOf } from '../../src/scheduler/gang.fixture.ts'
import { queueNamed } from '../../src/scheduler/quota/quota.fixture.ts'
import { type Happening, Rehearsal } from '../../src/scheduler/rehearsal/rehearsal.ts'
import { createScheduler } from '../../src/scheduler/scheduler.ts'
import type { Row } from '../row.ts'

/** So many of a class come to each queue, one after another, each of so many units for so long. */
interface Class {
  name: 'small' | 'medium' | 'large'
  count: number
  units: number
  runMs: number
  everyMs: number
  priority: number
  /** Where they have several pods. */
  pods: number
}

interface Load {
  name: string
  cohorts: number
  queues: number
  classes: readonly Class[]
  /** A block of ten racks of 64 nodes; a third of each class requires a rack, a third prefers one, a third does not care. */
  hasFabric: boolean
}

const ofClass = (
  name: Class['name'],
  [count, units, runMs, everyMs, priority]: [number, number, number, number, number],
  pods: number,
): Class => ({ name, count, units, runMs, everyMs, priority, pods })

/**
 * The loads of Kueue's own performance tests (kueue `test/performance/scheduler/configs`, as facts of the field have them):
 * counts, units, run times, times between two, and priorities.
 */
const usual = (pods: readonly [number, number, number]) => [
  ofClass('small', [350, 1, 200, 100, 50], pods[0]),
  ofClass('medium', [100, 5, 500, 500, 100], pods[1]),
  ofClass('large', [50, 20, 1000, 1200, 200], pods[2]),
]
const loads: readonly Load[] = [
  { name: 'baseline', cohorts: 5, queues: 6, classes: usual([1, 1, 1]), hasFabric: false },
  {
    name: 'large',
    cohorts: 10,
    queues: 100,
    classes: [
      ofClass('small', [35, 1, 150, 60, 50], 1),
      ofClass('medium', [11, 5, 350, 300, 100], 1),
      ofClass('large', [4, 20, 700, 700, 200], 1),
    ],
    hasFabric: false,
  },
  { name: 'topology-aware', cohorts: 5, queues: 6, classes: usual([2, 4, 8]), hasFabric: true },
]

const [nominal, borrowing] = [20, 100]
/** Slots of a unit, so that the pods of a class have whole ones. */
const slotsOfUnit = 4
const model = 'slot'

interface Work extends Class {
  key: string
  cohort: number
  queue: string
  comesMs: number
  topology: Gang['spec']['topology']
  startedMs: number | undefined
  endMs: number
  displaced: number
}

/**
 * Kueue's loads on virtual time: the product's scheduler, whose decisions take no time here, beside the greedy rule that gives
 * whatever fits to the highest priority, oldest first, at every moment, and knows nothing of nodes. Twice: where nobody is
 * displaced, and where both displace as the loads have it (`reclaimWithinCohort: Any`, `withinClusterQueue: LowerPriority`)
 * and whoever was displaced begins anew.
 */
export function kueueRows(): Row[] {
  return [false, true].flatMap((displaces) => loads.flatMap((load) => rowsOf(load, displaces)))
}

function rowsOf(load: Load, displaces: boolean): Row[] {
  const startedAt = process.cpuUsage()
  const ours = played(load, displaces)
  const { user, system } = process.cpuUsage(startedAt)
  const theirs = greedy(load, displaces)
  const span = (all: readonly Work[]) => Math.max(...all.map(({ endMs }) => endMs)) / 1000
  const wait = (all: readonly Work[], name: string) => {
    const waits = all.filter((one) => one.name === name).map((one) => one.endMs - one.runMs - one.comesMs)
    return waits.reduce((sum, ms) => sum + ms, 0) / waits.length / 1000
  }
  const row = (what: string, value: number, peer: number, factor: number, more = ''): Row => ({
    row: `Kueue's ${load.name} load, ${displaces ? 'displacing' : 'nobody displaced'}: ${what}`,
    value,
    unit: 's',
    bar: `<= ${factor} x greedy`,
    ok: value <= factor * peer,
    peer: `greedy ${peer.toFixed(2)} s${more}`,
  })
  const seconds = (user + system) / 1_000_000
  const displaced = ours.reduce((sum, one) => sum + one.displaced, 0)
  const more = `; ${ours.length} workloads, ${displaced} displaced, ${(ours.length / seconds).toFixed(0)} a second of CPU`
  return [
    row('until all are done', span(ours), span(theirs), 1.02, more),
    ...load.classes.map(({ name }) => row(`mean wait, ${name}`, wait(ours, name), wait(theirs, name), 1.1)),
  ]
}

const notStarted = { startedMs: undefined, endMs: 0, displaced: 0 }

function workOf({ cohorts, queues, classes, hasFabric }: Load): Work[] {
  const all: Work[] = []
  const places: Gang['spec']['topology'][] = [{ required: 'rack' }, { preferred: 'rack' }, undefined]
  for (let cohort = 0; cohort < cohorts; cohort++) {
    for (let queue = 0; queue < queues; queue++) {
      for (const one of classes) {
        for (let index = 0; index < one.count; index++) {
          const name = `q${cohort}-${queue}`
          const topology = hasFabric ? places[index % places.length] : undefined
          const comesMs = index * one.everyMs
          const key = `default/${name}-${one.name}-${index}`
          all.push({ ...one, key, cohort, queue: name, comesMs, topology, ...notStarted })
        }
      }
    }
  }
  return all.sort((a, b) => a.comesMs - b.comesMs)
}

/** The product's scheduler. */
function played(load: Load, displaces: boolean): Work[] {
  const world = new Rehearsal(createScheduler(), { runsPods: false })
  for (let cohort = 0; cohort < load.cohorts; cohort++) {
    // Of its own, so that it borrows from nobody else.
    world.put(queueNamed(`c${cohort}`, { nominalQuota: { [model]: 0 } }))
    for (let queue = 0; queue < load.queues; queue++) {
      const [nominalQuota, borrowingLimit] = [nominal, borrowing].map((units) => ({ [model]: units * slotsOfUnit }))
      const preemption = displaces
        ? ({ reclaimWithinCohort: 'Any', withinQueue: 'LowerPriority' } as const)
        : ({ reclaimWithinCohort: 'Never', withinQueue: 'Never' } as const)
      world.put(queueNamed(`q${cohort}-${queue}`, { parent: `c${cohort}`, nominalQuota, borrowingLimit, preemption }))
    }
  }
  const units = load.cohorts * load.queues * nominal
  for (let index = 0; index < (load.hasFabric ? 640 : units); index++) world.put(nodeOf(index, load.hasFabric))
  const all = workOf(load)
  const byKey = new Map(all.map((work) => [work.key, work]))
  const running = new Set<Work>()
  let next = 0
  for (let now = 0; next < all.length || byKey.size > 0; ) {
    world.nowMs = now
    for (const work of running) {
      if ((work.startedMs ?? 0) + work.runMs > now) continue
      running.delete(work)
      byKey.delete(work.key)
      work.endMs = now
      world.apply({ kind: 'Gang', deleted: work.key })
    }
    for (let work = all[next]; work !== undefined && work.comesMs <= now; work = all[++next]) world.put(gangOf(work))
    for (const one of world.play()) follow(one, byKey, running, now)
    now = nextTime(all[next], running)
  }
  return all
}

function follow(one: Happening, byKey: ReadonlyMap<string, Work>, running: Set<Work>, now: number): void {
  const work = byKey.get(one.kind === 'decided' ? one.verdict.gang : one.gang)
  if (work === undefined) return
  if (one.kind === 'decided' && one.verdict.kind === 'bind') {
    work.startedMs = now
    running.add(work)
  } else if (one.kind === 'left') {
    work.startedMs = undefined
    work.displaced++
    running.delete(work)
  }
}

/** Whatever fits its queue and cohort starts, the highest priority and the oldest first. */
function greedy(load: Load, displaces: boolean): Work[] {
  const all = workOf(load)
  const cohorts = Array.from({ length: load.cohorts }, () => new Cohort(load.queues * nominal))
  let waiting: Work[] = []
  let next = 0
  for (let now = 0; next < all.length || cohorts.some(({ running }) => running.size > 0) || waiting.length > 0; ) {
    for (const cohort of cohorts) cohort.end(now)
    for (let work = all[next]; work !== undefined && work.comesMs <= now; work = all[++next]) waiting.push(work)
    for (let isOpen = true; isOpen; ) {
      isOpen = false
      waiting.sort((a, b) => b.priority - a.priority || a.comesMs - b.comesMs)
      const still: Work[] = []
      for (const work of waiting) {
        const cohort = cohorts[work.cohort]
        const gone = cohort?.start(work, now, displaces)
        if (gone === undefined) still.push(work)
        else if (gone.length > 0) isOpen = true
        still.push(...(gone ?? []))
      }
      waiting = still
    }
    now = nextTime(
      all[next],
      cohorts.flatMap(({ running }) => [...running]),
    )
  }
  return all
}

class Cohort {
  readonly running = new Set<Work>()
  readonly #units: number
  readonly #used = new Map<string, number>()
  #all = 0

  constructor(units: number) {
    this.#units = units
  }

  end(now: number): void {
    for (const work of [...this.running]) {
      if ((work.startedMs ?? 0) + work.runMs > now) continue
      this.#take(work, -1)
      work.endMs = now
    }
  }

  /** Whom it displaces; undefined where it does not fit. */
  start(work: Work, now: number, displaces: boolean): Work[] | undefined {
    const gone: Work[] = []
    for (const victim of this.#fits(work) || !displaces ? [] : this.#victimsOf(work)) {
      this.#take(victim, -1)
      gone.push(victim)
      if (this.#fits(work)) break
    }
    if (!this.#fits(work)) {
      for (const victim of gone) this.#take(victim, 1)
      return undefined
    }
    for (const victim of gone) {
      victim.startedMs = undefined
      victim.displaced++
    }
    this.#take(work, 1)
    work.startedMs = now
    return gone
  }

  /** Those of lower priority of its queue, and where its queue may have it back those of queues that borrow; the last to start first. */
  #victimsOf({ queue, priority, units }: Work): Work[] {
    const isOwn = this.#usedBy(queue) + units <= nominal
    return [...this.running]
      .filter((one) => (one.queue === queue ? one.priority < priority : isOwn && this.#usedBy(one.queue) > nominal))
      .sort((a, b) => a.priority - b.priority || (b.startedMs ?? 0) - (a.startedMs ?? 0))
  }

  #usedBy(queue: string): number {
    return this.#used.get(queue) ?? 0
  }

  #fits({ queue, units }: Work): boolean {
    return this.#usedBy(queue) + units <= nominal + borrowing && this.#all + units <= this.#units
  }

  #take(work: Work, sign: 1 | -1): void {
    this.#used.set(work.queue, this.#usedBy(work.queue) + sign * work.units)
    this.#all += sign * work.units
    if (sign > 0) this.running.add(work)
    else this.running.delete(work)
  }
}

function nextTime(next: Work | undefined, running: Iterable<Work>): number {
  let time = next?.comesMs ?? Number.POSITIVE_INFINITY
  for (const { startedMs = 0, runMs } of running) time = Math.min(time, startedMs + runMs)
  return time
}

/** Of four units each. */
function nodeOf(index: number, hasFabric: boolean): Node {
  const rack = hasFabric ? { [label.rack]: `r${Math.floor(index / 64)}`, [label.block]: 'b' } : {}
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `n${String(index).padStart(5, '0')}`, labels: { [label.accelerator]: model, ...rack } },
    spec: {},
    status: {
      allocatable: { cpu: '96', memory: '1Ti', 'nvidia.com/gpu': String(hasFabric ? 16 : 80) },
      conditions: [],
    },
  }
}

function gangOf({ key, queue, priority, units, pods, topology }: Work): Gang {
  const accelerators = [{ model, count: (units * slotsOfUnit) / pods }]
  const more = { queue, priority, ...(topology === undefined ? {} : { topology }) }
  return gangNamed(key.slice('default/'.length), [groupOf(pods, { accelerators, ports: 0 })], more)
}

import type { Gang } from '../../model/kinds/gang.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { priceOfGang } from '../../model/lost-work.ts'
import { keyOf } from '../../model/refs.ts'
import { acceleratorsHeld } from '../../model/seats.ts'
import { servedSteps } from '../../model/served.ts'
import { isReplica } from '../../scheduler/gangs.ts'
import { type Happening, Rehearsal } from '../../scheduler/rehearsal/rehearsal.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import type { Draws } from './draws.ts'
import type { Basis, Lengths } from './lengths.ts'
import type { Price } from './prices.ts'
import { membersAsked } from './size.ts'

/** What a course starts from. */
export interface Scene {
  nodes: readonly Node[]
  queues: readonly Queue[]
  gangs: readonly Gang[]
  pods: readonly Pod[]
  /** Where nodes' prices are not those of the price book. */
  pools?: readonly Pool[]
}

export interface CourseOptions {
  nowMs: number
  horizonMs: number
  /** How long a node that failed is away. */
  repairMs: number
  lengths: Lengths
  /** Devices of each node. */
  devices: ReadonlyMap<string, number>
  prices: ReadonlyMap<string, Price>
  /** Told so often how things stand. */
  seen?: { everyMs: number; see(atMs: number, scene: Scene): void }
}

/** How one gang fared. Times in milliseconds from now. */
export interface Fate {
  gang: string
  queue: string
  isReplica: boolean
  basis: Basis | 'coming' | undefined
  /** It sat already. */
  isHere: boolean
  /** 0 for whoever was there. */
  cameMs: number
  /** When it first sat; 0 for whoever sat already, undefined for whoever waited to the end. */
  startedMs: number | undefined
  endedMs: number | undefined
  /** It was asked to leave. */
  evictions: number
  /** It started again because of a node. */
  failures: number
  /** Accelerator-seconds of work that it did twice, and that its restarts took. */
  lostSeconds: number
  /** Accelerator-seconds that it held. */
  heldSeconds: number
  /** What that costs. */
  heldUsd: number
  /** Seconds for which it wanted to sit and did not. */
  waitedSeconds: number
}

export interface Course {
  fates: Fate[]
  /** Accelerator-seconds that nodes offered. */
  capacitySeconds: number
  /** What all nodes cost until then, in use or not. */
  usd: number
}

interface Run extends Fate {
  /** Seconds of work left, on what it is measured by. */
  left: number
  /** Members and speed that `left` is measured by. */
  measure: { members: number; speed: number }
  /** It sits since then, working at `rate` from `worksFromMs` on. */
  sits: { rate: number; worksFromMs: number; gpus: number; usdPerHour: number; sinceMs: number } | undefined
  /** Since then it has waited. */
  waitsFromMs: number | undefined
  /** Between checkpoints, as those that it wrote say. */
  intervalMs: number | undefined
  /** Its last one that is durable. */
  savedMs: number | undefined
  /** Accelerator-seconds until now, where its Queue goes by that. */
  ranSeconds: number
}

/** So often time goes by for who waits for nothing but time. */
const tickMs = 300_000

/**
 * The coming hours, as one seed has them: the production scheduler decides, and gangs work, save, end, fail and come as was
 * drawn. Steps, bytes and agents are not simulated, so that a day of a hundred nodes takes a second.
 */
export function courseOf(scene: Scene, draws: Draws, options: CourseOptions): Course {
  return new Playing(scene, draws, options).play()
}

class Playing {
  readonly #world: Rehearsal
  readonly #draws: Draws
  readonly #options: CourseOptions
  readonly #runs = new Map<string, Run>()
  readonly #sitting = new Set<Run>()
  readonly #nodes: ReadonlyMap<string, Node>
  /** What comes to nodes: they fail, or are back. In order. */
  readonly #turns: { atMs: number; node: string; isBack: boolean }[]
  readonly #byService: ReadonlySet<string>
  /** Nodes that are away, by how many failures at once. */
  readonly #away = new Map<string, number>()
  #arrived = 0
  #turned = 0
  #atMs = 0
  #capacitySeconds = 0

  constructor(scene: Scene, draws: Draws, options: CourseOptions) {
    this.#draws = draws
    this.#options = options
    this.#world = new Rehearsal(createScheduler(), { nowMs: options.nowMs, runsPods: false })
    this.#nodes = new Map(scene.nodes.map((node) => [node.metadata.name, node]))
    this.#byService = new Set(scene.queues.filter(({ spec }) => spec.order === 'LeastServed').map(keyOf))
    for (const queue of scene.queues) this.#world.put(queue)
    for (const node of scene.nodes) this.#world.put(node)
    for (const gang of scene.gangs) this.#enter(gang)
    for (const pod of scene.pods) this.#world.put(pod)
    this.#turns = scene.nodes
      .flatMap((object) => {
        const node = object.metadata.name
        return draws.failuresOf(object).flatMap((atMs) => [
          { atMs, node, isBack: false },
          { atMs: atMs + options.repairMs, node, isBack: true },
        ])
      })
      .sort((a, b) => a.atMs - b.atMs)
  }

  play(): Course {
    const { horizonMs } = this.#options
    this.#follow(this.#world.play())
    while (this.#atMs < horizonMs) {
      this.#goTo(Math.min(horizonMs, this.#nextMs()))
      if (this.#atMs >= horizonMs) break
      this.#endRuns()
      this.#turnNodes()
      this.#letCome()
      if (this.#atMs % tickMs === 0) this.#keepUp()
      this.#follow(this.#world.play())
      this.#show()
    }
    for (const run of this.#runs.values()) this.#countWait(run, false)
    let usdPerHour = 0
    for (const { node } of this.#options.prices.values()) usdPerHour += node
    const usd = usdPerHour * (horizonMs / 3_600_000)
    return { fates: [...this.#runs.values()], capacitySeconds: this.#capacitySeconds, usd }
  }

  // ---- time ----

  #nextMs(): number {
    let nextMs = (Math.floor(this.#atMs / tickMs) + 1) * tickMs
    for (const run of this.#sitting) nextMs = Math.min(nextMs, this.#endMsOf(run))
    const arrival = this.#draws.arrivals[this.#arrived]
    const turn = this.#turns[this.#turned]
    nextMs = Math.min(nextMs, arrival?.atMs ?? nextMs, turn?.atMs ?? nextMs)
    return Math.max(this.#atMs, Math.ceil(nextMs))
  }

  #endMsOf({ sits, left }: Run): number {
    if (sits === undefined || sits.rate === 0) return Number.POSITIVE_INFINITY
    return Math.max(sits.worksFromMs, this.#atMs) + (1000 * left) / sits.rate
  }

  #goTo(atMs: number): void {
    const seconds = (atMs - this.#atMs) / 1000
    for (const run of this.#sitting) {
      const { sits } = run
      if (sits === undefined) continue
      run.heldSeconds += seconds * sits.gpus
      run.heldUsd += (seconds / 3600) * sits.usdPerHour
      const worked = Math.max(0, atMs - Math.max(sits.worksFromMs, this.#atMs)) / 1000
      run.left = Math.max(0, run.left - worked * sits.rate)
    }
    let open = 0
    for (const [name, node] of this.#nodes) {
      if (node.spec?.unschedulable !== true && !this.#away.has(name)) open += this.#options.devices.get(name) ?? 0
    }
    this.#capacitySeconds += open * seconds
    this.#atMs = atMs
    this.#world.nowMs = this.#options.nowMs + atMs
  }

  #show(): void {
    const { seen } = this.#options
    if (seen === undefined || this.#atMs === 0 || this.#atMs % seen.everyMs !== 0) return
    const { nodes, queues, gangs, pods } = this.#world
    const scene = { nodes: [...nodes.values()], queues: [...queues.values()], gangs: [...gangs.values()] }
    seen.see(this.#atMs, { ...scene, pods: [...pods.values()] })
  }

  // ---- what comes to pass ----

  #enter(gang: Gang, seconds?: number): void {
    this.#world.put(gang)
    if (gang.spec.suspend) return
    const key = keyOf(gang)
    const { seats, checkpoint, checkpoints = [] } = gang.status ?? {}
    const sits = seats !== undefined && seats.attempt === gang.spec.attempt
    const replica = isReplica(gang)
    const length =
      replica || seconds !== undefined
        ? { seconds: seconds ?? Number.POSITIVE_INFINITY, basis: replica ? undefined : ('coming' as const) }
        : this.#options.lengths.of(gang, this.#draws.quantileOf(key), this.#options.nowMs)
    const times = [checkpoint, ...checkpoints].flatMap((one) => (one?.at === undefined ? [] : [Date.parse(one.at)]))
    const run: Run = {
      gang: key,
      queue: gang.spec.queue,
      isReplica: replica,
      basis: length.basis,
      isHere: sits,
      cameMs: this.#atMs,
      startedMs: undefined,
      endedMs: undefined,
      evictions: 0,
      failures: 0,
      lostSeconds: 0,
      heldSeconds: 0,
      heldUsd: 0,
      waitedSeconds: 0,
      left: length.seconds,
      measure: { members: membersAsked(gang), speed: 1 },
      sits: undefined,
      waitsFromMs: undefined,
      intervalMs: meanGap(times),
      savedMs: undefined,
      ranSeconds: 0,
    }
    this.#runs.set(key, run)
    if (!sits) run.waitsFromMs = this.#atMs
    else {
      run.measure = { members: seats.members.length, speed: seats.speed ?? 1 }
      run.savedMs = checkpoint?.attempt === seats.attempt ? this.#fromNow(checkpoint.at) : undefined
      this.#sit(run, this.#world.gangOf(key), this.#fromNow(seats.at))
    }
  }

  #fromNow(time: string): number {
    return Math.min(0, Date.parse(time) - this.#options.nowMs)
  }

  #sit(run: Run, gang: Gang, sinceMs: number, restartSeconds = 0): void {
    const { members, speed = 1 } = gang.status?.seats ?? { members: [] }
    const { measure } = run
    const rate = (members.length / measure.members) * (speed / measure.speed)
    const worksFromMs = sinceMs + 1000 * restartSeconds
    const gpus = acceleratorsHeld(members)
    run.lostSeconds += restartSeconds * gpus
    let usdPerHour = 0
    for (const member of members)
      usdPerHour += acceleratorsHeld([member]) * (this.#options.prices.get(member.node)?.device ?? 0)
    run.sits = { rate, worksFromMs, gpus, usdPerHour, sinceMs }
    run.startedMs ??= this.#atMs
    this.#countWait(run, false)
    this.#sitting.add(run)
  }

  /** It waits from now on, or no more. */
  #countWait(run: Run, waits: boolean): void {
    if (run.waitsFromMs !== undefined) run.waitedSeconds += (this.#atMs - run.waitsFromMs) / 1000
    run.waitsFromMs = waits ? this.#atMs : undefined
  }

  /** What it has done since its last checkpoint it does again, unless it is asked for one first. */
  #stop(run: Run, isAsked: boolean): void {
    const { sits } = run
    if (sits === undefined) return
    const gang = this.#world.gangs.get(run.gang)
    const onRequest = isAsked ? gang?.status?.checkpointRequestSeconds : undefined
    const fromMs = Math.max(run.savedMs ?? sits.worksFromMs, sits.worksFromMs)
    const again = run.isReplica ? 0 : (onRequest ?? Math.max(0, this.#atMs - fromMs) / 1000)
    run.left += again * sits.rate
    run.lostSeconds += again * sits.gpus
    run.ranSeconds += ((this.#atMs - sits.sinceMs) / 1000) * sits.gpus
    run.sits = undefined
    this.#countWait(run, true)
    this.#sitting.delete(run)
  }

  #endRuns(): void {
    for (const run of [...this.#sitting]) {
      if (run.left > 1e-6 || this.#endMsOf(run) > this.#atMs + 1) continue
      this.#sitting.delete(run)
      run.sits = undefined
      run.endedMs = this.#atMs
      this.#world.endAll(run.gang)
      this.#world.apply({ kind: 'Gang', deleted: run.gang })
    }
  }

  #letCome(): void {
    const { arrivals } = this.#draws
    for (let next = arrivals[this.#arrived]; next !== undefined && next.atMs <= this.#atMs; ) {
      this.#enter(next.gang, next.seconds)
      next = arrivals[++this.#arrived]
    }
  }

  #turnNodes(): void {
    for (let next = this.#turns[this.#turned]; next !== undefined && next.atMs <= this.#atMs; ) {
      const { node: name, isBack } = next
      const node = this.#nodes.get(name)
      const away = (this.#away.get(name) ?? 0) + (isBack ? -1 : 1)
      if (away > 0) this.#away.set(name, away)
      else this.#away.delete(name)
      if (node !== undefined && isBack && away === 0) this.#world.put(node)
      if (node !== undefined && !isBack && away === 1) this.#lose(node)
      next = this.#turns[++this.#turned]
    }
  }

  /** Whoever sat on it starts again elsewhere. */
  #lose(node: Node): void {
    const { name } = node.metadata
    this.#world.put({ ...node, spec: { ...node.spec, unschedulable: true } })
    for (const run of [...this.#sitting]) {
      const seats = this.#world.gangOf(run.gang).status?.seats
      if (seats?.members.some((seat) => seat.node === name) !== true) continue
      run.failures++
      this.#stop(run, false)
      this.#world.restart(run.gang)
    }
  }

  /** What the owners of gangs write now and then: their last checkpoint, and what accelerator-time they have had. */
  #keepUp(): void {
    for (const run of this.#sitting) {
      const { sits, intervalMs } = run
      if (sits === undefined) continue
      const gang = this.#world.gangOf(run.gang)
      const { served } = gang.spec
      if (this.#byService.has(run.queue)) {
        const now = servedSteps(run.ranSeconds + ((this.#atMs - sits.sinceMs) / 1000) * sits.gpus)
        if (now > (served ?? 0)) this.#world.edit(run.gang, { served: now })
      }
      if (intervalMs === undefined) continue
      const sinceMs = run.savedMs ?? sits.worksFromMs
      const count = Math.floor((this.#atMs - sinceMs) / intervalMs)
      if (count < 1) continue
      run.savedMs = sinceMs + count * intervalMs
      const at = new Date(Math.round(this.#options.nowMs + run.savedMs)).toISOString()
      const { attempt } = gang.spec
      const before = gang.status?.checkpoint
      const checkpoint = { step: 0, digest: '', bytes: 0, manifests: [], ...before, attempt, at }
      this.#world.edit(run.gang, {}, { checkpoint })
    }
  }

  #follow(course: readonly Happening[]): void {
    for (const one of course) {
      const run = this.#runs.get(one.kind === 'decided' ? one.verdict.gang : one.gang)
      if (run === undefined) continue
      if (one.kind === 'left') {
        if ('by' in one.why) run.evictions++
        this.#stop(run, true)
      } else if (one.kind === 'decided' && one.verdict.kind === 'bind') {
        const gang = this.#world.gangs.get(run.gang)
        if (gang === undefined || run.sits !== undefined) continue
        const restartSeconds =
          run.startedMs === undefined ? 0 : (priceOfGang(gang, this.#world.nowMs)?.restartSeconds ?? 0)
        this.#sit(run, gang, this.#atMs, restartSeconds)
      }
    }
  }
}

function meanGap(times: readonly number[]): number | undefined {
  const [newest, oldest] = [times[0], times.at(-1)]
  if (newest === undefined || oldest === undefined || times.length < 2) return undefined
  return Math.max(1000, (newest - oldest) / (times.length - 1))
}

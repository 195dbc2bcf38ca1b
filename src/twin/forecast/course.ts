import { capacityTypeOf } from '../../model/capacity.ts'
import { conditionOf } from '../../model/conditions.ts'
import { gangOfReplica } from '../../model/gangs.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { priceOfGang } from '../../model/lost-work.ts'
import { label } from '../../model/names.ts'
import { templateOf } from '../../model/pods.ts'
import { keyOf } from '../../model/refs.ts'
import { acceleratorsHeld } from '../../model/seats.ts'
import { servedSteps } from '../../model/served.ts'
import { isReplica } from '../../scheduler/gangs.ts'
import { type Happening, Rehearsal } from '../../scheduler/rehearsal/rehearsal.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import { type Cadence, ettrOf, onRequestSeconds, workedPart } from './cadence.ts'
import type { Draws, Risks } from './draws.ts'
import { type Basis, familyOf, type Lengths } from './lengths.ts'
import { paceOf, type StepsKnown } from './pace.ts'
import type { Price } from './prices.ts'
import { ServiceCourse, type ServiceFate, type Serving } from './services.ts'
import { acceleratorsAsked, membersAsked } from './size.ts'

/** What a course starts from. */
export interface Scene {
  nodes: readonly Node[]
  queues: readonly Queue[]
  gangs: readonly Gang[]
  pods: readonly Pod[]
  /** What of their nodes is kept as spares, and costs another price than the price book's. */
  pools?: readonly Pool[]
  /** Of gangs that write checkpoints as often as these say; those that have ended say how long others take. */
  jobs?: readonly TrainingJob[]
  /** Of gangs that are replicas. */
  services?: readonly InferenceService[]
}

export interface CourseOptions {
  nowMs: number
  horizonMs: number
  risks: Risks
  lengths: Lengths
  /** Of each gang that writes checkpoints. */
  cadences: ReadonlyMap<string, Cadence>
  /** The requests of services, by their keys; those of whom none are known keep the replicas that they have. */
  servings?: ReadonlyMap<string, Serving>
  /** How the steps of jobs go, by their keys; those of whom nothing is known share all of a step among their members. */
  steps?: ReadonlyMap<string, StepsKnown>
  /** With which of them lengths were measured; where it is not there, with its own. */
  cadencesBefore: ReadonlyMap<string, Cadence>
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
  /** Of which it is a replica. */
  service: string | undefined
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
  /** It started again because of a node that failed. */
  failures: number
  /** It left a node that was taken away. */
  reclaims: number
  /** Accelerator-seconds of work that it did twice, and that its restarts took. */
  lostSeconds: number
  /** Of these, what it had worked before now. */
  lostBeforeSeconds: number
  /** Accelerator-seconds that it stood still for checkpoints. */
  stalledSeconds: number
  /** Accelerator-seconds that it held. */
  heldSeconds: number
  /** The same by model. */
  heldByModel: Map<string, number>
  /** What that costs. */
  heldUsd: number
  /** Seconds for which it wanted to sit and did not. */
  waitedSeconds: number
  /** Accelerator-seconds that it asked for meanwhile, since it first sat. */
  interruptedSeconds: number
  /** The part of its time that is of use in the long run, by the formula, where it sat last. */
  ettr: number | undefined
  /** What the scheduler says at the end of a job that never sat. */
  waits: Waiting | undefined
}

export interface Waiting {
  reason: string
  message: string
}

export interface Course {
  fates: Fate[]
  services: ServiceFate[]
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
  /** Accelerators of all its members. */
  asks: number
  cadence: Cadence | undefined
  /** How much more of its time it works than when `left` was measured. */
  gain: number
  /** It sits since then, working at `rate` from `worksFromMs` on. */
  sits: Sitting | undefined
  /** Since then it has waited. */
  waitsFromMs: number | undefined
  /** Its last one that is durable. */
  savedMs: number | undefined
  /** Accelerator-seconds until now, where its Queue goes by that. */
  ranSeconds: number
}

interface Sitting {
  rate: number
  worksFromMs: number
  sinceMs: number
  gpus: number
  byModel: ReadonlyMap<string, number>
  /** Of these, on nodes that are cordoned: they offer no more than what is held there. */
  gpusCordoned: number
  usdPerHour: number
}

/** What a pod's grace period leaves of the notice: whoever is not done by then is killed. As in control/training/leaving. */
const graceMs = 30_000

/** So often the replicas of services with requests are looked at; a tick is some of these. */
const servingMs = 30_000

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
  /** What comes to nodes: they fail or are taken away, or are back. In order. */
  readonly #turns: Turn[]
  readonly #spot: ReadonlySet<string>
  readonly #byService: ReadonlySet<string>
  readonly #services: ServiceCourse[] = []
  #made = 0
  /** Since the scheduler was asked. */
  #isChanged = true
  /** Nodes that are away, by what all at once. */
  readonly #away = new Map<string, { failed: number; reclaimed: number }>()
  #arrived = 0
  #turned = 0
  #atMs = 0
  #capacitySeconds = 0
  /** For nodes that were taken away: these send no bill. */
  #savedUsd = 0

  constructor(scene: Scene, draws: Draws, options: CourseOptions) {
    this.#draws = draws
    this.#options = options
    this.#world = new Rehearsal(createScheduler(), { nowMs: options.nowMs, runsPods: false })
    this.#nodes = new Map(scene.nodes.map((node) => [node.metadata.name, node]))
    this.#byService = new Set(scene.queues.filter(({ spec }) => spec.order === 'LeastServed').map(keyOf))
    this.#spot = new Set(
      scene.nodes
        .filter(({ metadata }) => capacityTypeOf(metadata.labels ?? {}) === 'spot')
        .map(({ metadata }) => metadata.name),
    )
    for (const queue of scene.queues) this.#world.put(queue)
    for (const pool of scene.pools ?? []) this.#world.put(pool)
    for (const node of scene.nodes) this.#world.put(node)
    for (const gang of scene.gangs) this.#enter(gang)
    for (const [key, serving] of options.servings ?? [])
      this.#services.push(new ServiceCourse(serving, this.#replicasOf(key).length, draws.swingsOf(key)))
    for (const pod of scene.pods) this.#world.put(pod)
    this.#turns = scene.nodes.flatMap((node) => this.#turnsOf(node)).sort((a, b) => a.atMs - b.atMs)
  }

  #turnsOf(object: Node): Turn[] {
    const { repairMs, spotAwayMs } = this.#options.risks
    const node = object.metadata.name
    const awayFor = (times: readonly number[], why: Turn['why'], forMs: number) =>
      times.flatMap((atMs): Turn[] => [
        { atMs, node, why, isBack: false },
        { atMs: atMs + forMs, node, why, isBack: true },
      ])
    const failures = awayFor(this.#draws.failuresOf(object), 'failed', repairMs)
    if (!this.#spot.has(node)) return failures
    return [...failures, ...awayFor(this.#draws.reclaimsOf(object), 'reclaimed', spotAwayMs)]
  }

  play(): Course {
    const { horizonMs } = this.#options
    this.#follow(this.#world.play())
    while (this.#atMs < horizonMs) {
      this.#goTo(Math.min(horizonMs, this.#nextMs()))
      if (this.#atMs % servingMs === 0) this.#serve()
      if (this.#atMs >= horizonMs) break
      this.#endRuns()
      this.#turnNodes()
      this.#letCome()
      if (this.#atMs % tickMs === 0) this.#keepUp()
      if (this.#isChanged || this.#atMs % tickMs === 0) this.#follow(this.#world.play())
      this.#isChanged = false
      this.#show()
    }
    for (const run of this.#runs.values()) {
      this.#countWait(run, false)
      this.#countRestart(run)
      if (run.startedMs === undefined && !run.isReplica) run.waits = this.#waitingOf(run)
    }
    let usdPerHour = 0
    for (const { node } of this.#options.prices.values()) usdPerHour += node
    const usd = usdPerHour * (horizonMs / 3_600_000) - this.#savedUsd
    const services = this.#services.map(({ fate }) => fate)
    return { fates: [...this.#runs.values()], services, capacitySeconds: this.#capacitySeconds, usd }
  }

  #waitingOf({ gang }: Run): Waiting | undefined {
    const told = conditionOf(this.#world.gangs.get(gang)?.status?.conditions, 'Scheduled')
    if (told?.status !== 'False') return undefined
    return { reason: told.reason ?? '', message: told.message ?? '' }
  }

  // ---- time ----

  #nextMs(): number {
    const stepMs = this.#services.length > 0 ? servingMs : tickMs
    let nextMs = (Math.floor(this.#atMs / stepMs) + 1) * stepMs
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
    let open = 0
    for (const run of this.#sitting) {
      const { sits } = run
      if (sits === undefined) continue
      open += sits.gpusCordoned
      run.heldSeconds += seconds * sits.gpus
      for (const [model, gpus] of sits.byModel)
        run.heldByModel.set(model, (run.heldByModel.get(model) ?? 0) + seconds * gpus)
      run.heldUsd += (seconds / 3600) * sits.usdPerHour
      const worked = Math.max(0, atMs - Math.max(sits.worksFromMs, this.#atMs)) / 1000
      run.left = Math.max(0, run.left - worked * sits.rate)
      run.stalledSeconds += worked * (1 - workedPart(run.cadence)) * sits.gpus
    }
    for (const [name, node] of this.#nodes) {
      const away = this.#away.get(name)
      if (node.spec?.unschedulable !== true && away === undefined) open += this.#options.devices.get(name) ?? 0
      if ((away?.reclaimed ?? 0) > 0) this.#savedUsd += (this.#options.prices.get(name)?.node ?? 0) * (seconds / 3600)
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
    this.#isChanged = true
    if (gang.spec.suspend) return
    const key = keyOf(gang)
    const { seats, checkpoint } = gang.status ?? {}
    const sits = seats !== undefined && seats.attempt === gang.spec.attempt
    const replica = isReplica(gang)
    const length =
      replica || seconds !== undefined
        ? { seconds: seconds ?? Number.POSITIVE_INFINITY, basis: replica ? undefined : ('coming' as const) }
        : this.#options.lengths.of(
            gang,
            this.#draws.quantileOf(key, familyOf(gang.metadata.name)),
            this.#options.nowMs,
            this.#options.steps?.get(key),
          )
    const cadence = replica ? undefined : this.#options.cadences.get(key)
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
      reclaims: 0,
      lostSeconds: 0,
      lostBeforeSeconds: 0,
      stalledSeconds: 0,
      heldSeconds: 0,
      heldByModel: new Map(),
      heldUsd: 0,
      waitedSeconds: 0,
      interruptedSeconds: 0,
      ettr: undefined,
      waits: undefined,
      asks: acceleratorsAsked(gang),
      service: replica ? `${gang.metadata.namespace}/${gang.metadata.labels?.[label.service]}` : undefined,
      cadence,
      gain: workedPart(cadence) / workedPart(this.#options.cadencesBefore.get(key) ?? cadence),
      left: length.seconds,
      measure: { members: membersAsked(gang), speed: 1 },
      sits: undefined,
      waitsFromMs: undefined,
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
    const steps = this.#options.steps?.get(run.gang)
    const pace = paceOf(gang, members.length, steps) / paceOf(gang, measure.members, steps)
    const rate = (speed / measure.speed / pace) * run.gain
    const worksFromMs = sinceMs + 1000 * restartSeconds
    const gpus = acceleratorsHeld(members)
    run.lostSeconds += restartSeconds * gpus
    let [usdPerHour, gpusCordoned] = [0, 0]
    const byModel = new Map<string, number>()
    for (const member of members) {
      const held = acceleratorsHeld([member])
      // A seat leaves out its model where its group asks for no other.
      const asked = gang.spec.groups.find(({ name }) => name === member.group)?.accelerators[0]
      const model = member.model ?? asked?.model ?? 'cpu'
      byModel.set(model, (byModel.get(model) ?? 0) + held)
      usdPerHour += held * (this.#options.prices.get(member.node)?.device ?? 0)
      if (this.#nodes.get(member.node)?.spec?.unschedulable === true) gpusCordoned += held
    }
    run.sits = { rate, worksFromMs, sinceMs, gpus, byModel, gpusCordoned, usdPerHour }
    this.#countWait(run, false)
    run.startedMs ??= this.#atMs
    this.#sitting.add(run)
    if (run.cadence !== undefined) run.ettr = this.#ettrOf(gang, run.cadence, new Set(members.map(({ node }) => node)))
  }

  #ettrOf(gang: Gang, cadence: Cadence, nodes: ReadonlySet<string>): number {
    const { nodeFailures, spotReclaims, spotNoticeMs } = this.#options.risks
    const aSecond = 1 / (1000 * 86_400)
    const hazard = { failures: nodes.size * nodeFailures * aSecond, reclaims: 0 }
    for (const node of nodes) if (this.#spot.has(node)) hazard.reclaims += spotReclaims * aSecond
    const restartSeconds = priceOfGang(gang, this.#world.nowMs)?.restartSeconds ?? 0
    return ettrOf(cadence, hazard, { restartSeconds, noticeSeconds: (spotNoticeMs - graceMs) / 1000 })
  }

  /** Of a restart that was cut short only so much was lost. */
  #countRestart(run: Run): void {
    const { sits } = run
    if (sits === undefined || sits.worksFromMs <= this.#atMs) return
    run.lostSeconds -= ((sits.worksFromMs - this.#atMs) / 1000) * sits.gpus
  }

  /** It waits from now on, or no more. */
  #countWait(run: Run, waits: boolean): void {
    const waited = run.waitsFromMs === undefined ? 0 : (this.#atMs - run.waitsFromMs) / 1000
    run.waitedSeconds += waited
    if (run.startedMs !== undefined) run.interruptedSeconds += waited * run.asks
    run.waitsFromMs = waits ? this.#atMs : undefined
  }

  /**
   * What it has done since its last checkpoint it does again. Whoever is asked to leave, or told in time that its node goes,
   * writes one first, if it does that.
   */
  #stop(run: Run, why: 'asked' | 'told' | 'failed'): void {
    const { sits, cadence } = run
    if (sits === undefined) return
    this.#countRestart(run)
    const onRequest = why === 'failed' ? undefined : this.#onRequestSeconds(run, why)
    const fromMs = Math.max(this.#savedMs(run) ?? sits.worksFromMs, sits.worksFromMs)
    const again = run.isReplica ? 0 : (onRequest ?? Math.max(0, this.#atMs - fromMs) / 1000)
    const here = Math.max(0, this.#atMs - Math.max(sits.worksFromMs, 0)) / 1000
    const before = onRequest === undefined ? Math.max(0, again - here) : 0
    run.left += again * sits.rate
    run.lostSeconds += again * sits.gpus
    run.lostBeforeSeconds += before * sits.gpus
    // Of what is lost, what it stood still is not counted twice.
    if (onRequest === undefined) run.stalledSeconds -= (again - before) * (1 - workedPart(cadence)) * sits.gpus
    run.ranSeconds += ((this.#atMs - sits.sinceMs) / 1000) * sits.gpus
    run.savedMs = undefined
    run.sits = undefined
    this.#countWait(run, true)
    this.#sitting.delete(run)
  }

  /** What the checkpoint takes that it writes before it leaves; undefined: it writes none, or is not done in time. */
  #onRequestSeconds({ gang, cadence }: Run, why: 'asked' | 'told'): number | undefined {
    const measured = this.#world.gangs.get(gang)?.status?.checkpointRequestSeconds
    if (why === 'asked') return measured
    const seconds = measured ?? (cadence === undefined ? undefined : onRequestSeconds(cadence))
    const inTime = (this.#options.risks.spotNoticeMs - graceMs) / 1000
    return seconds !== undefined && seconds <= inTime ? seconds : undefined
  }

  /** When what its last durable checkpoint holds was written, by now. */
  #savedMs({ sits, savedMs, cadence }: Run): number | undefined {
    if (sits === undefined || cadence === undefined) return savedMs
    const everyMs = 1000 * (cadence.interval + cadence.stall)
    const sinceMs = Math.max(savedMs ?? sits.worksFromMs, sits.worksFromMs)
    const count = Math.floor((this.#atMs - 1000 * cadence.lag - sinceMs) / everyMs)
    return count < 1 ? savedMs : sinceMs + count * everyMs
  }

  #endRuns(): void {
    for (const run of [...this.#sitting]) {
      if (run.left > 1e-6 || this.#endMsOf(run) > this.#atMs + 1) continue
      this.#end(run)
    }
  }

  #end(run: Run): void {
    this.#countWait(run, false)
    this.#sitting.delete(run)
    run.sits = undefined
    run.endedMs = this.#atMs
    this.#world.endAll(run.gang)
    this.#world.apply({ kind: 'Gang', deleted: run.gang })
    this.#isChanged = true
  }

  /** Requests came since the last look; there are as many replicas from now on as the autoscaler wants. */
  #serve(): void {
    for (const course of this.#services) {
      const { service, readyMs } = course.serving
      const replicas = this.#replicasOf(keyOf(service))
      const isReady = ({ sits, isHere, startedMs }: Run) =>
        sits !== undefined && ((isHere && sits.sinceMs <= 0 && startedMs === 0) || sits.sinceMs + readyMs <= this.#atMs)
      const ready = replicas.filter(isReady).length
      const wanted = course.step(this.#atMs - servingMs, this.#atMs, ready)
      for (let missing = wanted - replicas.length; missing > 0; missing--) this.#enter(this.#replicaOf(service))
      // Those first who do not serve, and of these the youngest.
      const leave = replicas.toSorted((a, b) => Number(isReady(a)) - Number(isReady(b)) || b.cameMs - a.cameMs)
      for (const run of leave.slice(0, Math.max(0, replicas.length - wanted))) this.#end(run)
    }
  }

  #replicasOf(service: string): Run[] {
    return [...this.#runs.values()].filter((run) => run.service === service && run.endedMs === undefined)
  }

  #replicaOf(service: InferenceService): Gang {
    const gang = gangOfReplica(service, `${service.metadata.name}-then-${this.#made++}`, templateOf(service))
    const creationTimestamp = new Date(Math.round(this.#world.nowMs)).toISOString()
    return { ...gang, metadata: { ...gang.metadata, creationTimestamp } }
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
      this.#isChanged = true
      const { node: name, why, isBack } = next
      const node = this.#nodes.get(name)
      const away = this.#away.get(name) ?? { failed: 0, reclaimed: 0 }
      const wasThere = away.failed + away.reclaimed === 0
      away[why] += isBack ? -1 : 1
      const isThere = away.failed + away.reclaimed === 0
      if (isThere) this.#away.delete(name)
      else this.#away.set(name, away)
      if (node !== undefined && isThere) this.#world.put(node)
      if (node !== undefined && wasThere) this.#lose(node, why)
      next = this.#turns[++this.#turned]
    }
  }

  /** Whoever sat on it starts again elsewhere. */
  #lose(node: Node, why: Turn['why']): void {
    const { name } = node.metadata
    this.#world.put({ ...node, spec: { ...node.spec, unschedulable: true } })
    for (const run of [...this.#sitting]) {
      const seats = this.#world.gangOf(run.gang).status?.seats
      if (seats?.members.some((seat) => seat.node === name) !== true) continue
      if (why === 'failed') run.failures++
      else run.reclaims++
      this.#stop(run, why === 'failed' ? 'failed' : 'told')
      this.#world.restart(run.gang)
    }
  }

  /** What the owners of gangs write now and then: their last checkpoint, and what accelerator-time they have had. */
  #keepUp(): void {
    for (const run of this.#sitting) {
      const { sits } = run
      if (sits === undefined) continue
      const gang = this.#world.gangOf(run.gang)
      const { served } = gang.spec
      if (this.#byService.has(run.queue)) {
        const now = servedSteps(run.ranSeconds + ((this.#atMs - sits.sinceMs) / 1000) * sits.gpus)
        if (now > (served ?? 0)) this.#world.edit(run.gang, { served: now })
      }
      const savedMs = this.#savedMs(run)
      if (savedMs === undefined || savedMs === run.savedMs) continue
      run.savedMs = savedMs
      const at = new Date(Math.round(this.#options.nowMs + savedMs)).toISOString()
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
        this.#stop(run, 'asked')
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

interface Turn {
  atMs: number
  node: string
  why: 'failed' | 'reclaimed'
  isBack: boolean
}

import type { PodPlace } from '../../agent/contract.ts'
import { assert } from '../../base/errors.ts'
import { seededRandom } from '../../base/random.ts'
import type { Drill } from '../../model/kinds/drill.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import { opened } from '../../model/nodes.ts'
import type { Entry } from '../../store/history.ts'
import { EventLog, type EventOptions, type TwinEvent } from '../events.ts'
import { Invariants, type Violation } from '../invariants/invariants.ts'
import { Lasting } from '../invariants/lasting.ts'
import { fairWeather, type Weather } from '../kernel/line.ts'
import { unwantedOn } from '../machines.ts'
import { Moment } from '../moment.ts'
import { drillTitle } from '../report/drills.ts'
import { stretches } from '../report/timeline.ts'
import { type DrawnJob, drawJobs } from '../scenario/drawn-jobs.ts'
import { acceleratorCount } from '../scenario/fleet.ts'
import type { Arrival, Setup } from '../scenario/setup.ts'
import { Clients } from '../traffic/traffic.ts'
import { type LogLevel, Twin } from '../twin.ts'
import type { Performance } from '../work/workload.ts'
import { drawFaults, type Fault } from './faults.ts'
import { TwinHand } from './hand.ts'
import { Injector } from './injector.ts'
import { Recorder } from './recorder.ts'
import type { Recording, ServiceRecord } from './recording.ts'

export type Played =
  | { kind: 'played'; recording: Recording; ending: Ending }
  /** A rule of the factory did not hold. */
  | { kind: 'broken'; seed: number; violations: readonly Violation[]; ending: Ending }
  | { kind: 'stopped'; ending: Ending }

/** How a run ended: at its horizon, or before. */
export interface Ending {
  startMs: number
  /** So many there were, and the last of them. */
  events: number
  last: readonly TwinEvent[]
  moment: Moment
}

export interface PlayOptions {
  /** Hears how far it is, after each event, in milliseconds from the start; false: it is to stop. */
  goesOn?(atMs: number): boolean
  events?: EventOptions
}

/** Plays a scenario from its start to its horizon. What comes of it is a function of the setup and the seed. */
export async function playScenario(setup: Setup, seed: number, options: PlayOptions = {}): Promise<Played> {
  return await new Play(setup, seed, options).run()
}

/** Pages, one an hour, are read at the end; what is written meanwhile is for the invariants. */
const ledgerEveryMs = 3_600_000
/** More than any gang has. */
const goneMax = 100_000
/** At one moment, for each node and for all that is applied: all of it may begin at once. */
const timersMax = 1_000
/** Of a large fleet that is a look at much: what lasts from one to the next lasts. */
const machinesEveryMs = 3_600_000

class Play {
  readonly #setup: Setup
  readonly #seed: number
  readonly #options: PlayOptions
  readonly #twin: Twin
  readonly #startMs: number
  readonly #invariants = new Invariants({
    isClockRight: () => this.#twin.areControlClocksRight,
    isUpToDate: () => this.#twin.areControlsUpToDate,
  })
  readonly #recorder: Recorder
  readonly #hand: TwinHand
  readonly #injector: Injector
  readonly #clients: Clients
  /** `namespace/name` of the job or service of each pod, by uid. */
  readonly #ownerOf = new Map<string, string>()
  /** As the setup has them, and of jobs that were drawn. */
  readonly #performances: Map<string, Performance>
  /** Pods that were deleted, the last ones: of these it is still known whose they were. */
  readonly #gone = new Set<string>()
  readonly #closed = new Set<string>()
  readonly #unwanted = new Lasting()
  /** Drills that struck, by uid. */
  readonly #struck = new Set<string>()
  readonly #events: EventLog
  #moment: Promise<Moment> | undefined
  #leaders = 0

  constructor(setup: Setup, seed: number, options: PlayOptions) {
    this.#setup = setup
    this.#performances = new Map(setup.performances)
    this.#seed = seed
    this.#options = options
    const twin: Twin = new Twin({
      seed,
      leaseSeconds: setup.controlPlane.leaseSeconds,
      ledgerEveryMs,
      weather: this.#weather(),
      watching: (store) => this.#invariants.watching(store, () => twin.clock.now()),
      performanceOf: (place) => this.#performanceOf(place),
      onEntry: (entry, by) => this.#see(entry, by),
      onDelete: (key) => this.#invariants.seeDeleted(key, twin.clock.now()),
      onRestored: (part) => this.#invariants.seeRestored(part, twin.clock.now()),
      onSlowness: (node, slowness) => this.#invariants.seeSlowness(node, slowness, twin.clock.now()),
      standstill: {
        timers: timersMax * (50 + setup.nodes.length + setup.arrivals.length),
        tell: () => this.#invariants.add('calm', 'time stands still: somebody works in circles', 0, twin.clock.now()),
      },
      onLog: (level, process, message, fields) => this.#hear(level, process, message, fields),
    })
    this.#twin = twin
    this.#events = new EventLog(
      options.events ?? {},
      () => twin.clock.now(),
      () => {
        this.#moment = Moment.of(twin.store, twin.clock.now())
        twin.halt()
      },
    )
    this.#startMs = twin.clock.now()
    this.#recorder = new Recorder(() => this.#elapsedMs())
    this.#hand = new TwinHand(twin, setup.controlPlane.replicas)
    this.#injector = new Injector(twin, this.#hand, (strike) => this.#recorder.seeStrike(strike))
    this.#clients = new Clients({
      clock: twin.clock,
      random: seededRandom(seed).split('traffic'),
      gateway: () => twin.gateway,
      server: (uid) => twin.server(uid),
      run: { startMs: this.#startMs, horizonMs: setup.horizonMs, stretches },
    })
  }

  async run(): Promise<Played> {
    const { pools, nodes, arrivals, jobs, traffic, causes, controlPlane, horizonMs } = this.#setup
    const twin = this.#twin
    await twin.begin()
    for (const pool of pools) await twin.apply('Pool', pool)
    for (const node of nodes) twin.addNode(node)
    for (let count = 0; count < controlPlane.replicas; count++) twin.startControl()
    if (arrivals.some(({ object }) => object.kind === 'Drill')) twin.startDrills(this.#hand)
    if (traffic.length > 0) twin.startGateway()
    for (const arrival of arrivals)
      if (arrival.atMs < horizonMs) twin.clock.after(arrival.atMs, () => void this.#arrive(arrival))
    const random = seededRandom(this.#seed).split('jobs')
    for (const mix of jobs) this.#await(drawJobs(mix, random))
    for (const fault of drawFaults(seededRandom(this.#seed).split('faults'), causes, nodes, horizonMs))
      twin.clock.after(fault.atMs, () => {
        this.#events.add({ kind: 'act', message: `fault: ${faultSaid(fault)}` })
        this.#injector.strike(fault)
      })
    for (const one of traffic) this.#clients.start(one)
    twin.clock.every(machinesEveryMs, () => void this.#lookAtMachines())
    let isStopped = false
    await twin.run(horizonMs, () => {
      isStopped ||= this.#options.goesOn?.(this.#elapsedMs()) === false
      this.#endIfBroken()
      return isStopped || this.#events.isOver
    })
    const { violations } = this.#invariants
    isStopped ||= this.#events.isOver && violations.length === 0
    if (!isStopped && !this.#events.isOver) await twin.ledger?.ledger.stop()
    this.#checkRequests()
    const ending = await this.#ending()
    if (violations.length > 0) return { kind: 'broken', seed: this.#seed, violations, ending }
    return isStopped ? { kind: 'stopped', ending } : { kind: 'played', recording: await this.#recording(), ending }
  }

  #endIfBroken(): void {
    if (this.#invariants.violations.length > 0) this.#events.end()
  }

  async #ending(): Promise<Ending> {
    this.#events.end()
    const { count: events, last } = this.#events
    const moment = await (this.#moment ?? Moment.of(this.#twin.store, this.#twin.clock.now()))
    return { startMs: this.#startMs, events, last, moment }
  }

  async #recording(): Promise<Recording> {
    const { nodes, horizonMs } = this.#setup
    return {
      seed: this.#seed,
      horizonMs,
      nodes: nodes.length,
      accelerators: acceleratorCount(nodes),
      ...this.#recorder.end(),
      leaders: this.#leaders,
      drills: (await this.#twin.store.list('Drill')).items,
      services: this.#setup.traffic.map(({ service }) => this.#service(service)),
      pages: (await this.#twin.store.list('LedgerPage')).items,
    }
  }

  #service(service: string): ServiceRecord {
    const requests = this.#clients.sums.get(service)
    assert(requests !== undefined, `${service} has no sums`)
    return { service, requests, replicas: this.#recorder.replicasOf(service) }
  }

  async #lookAtMachines(): Promise<void> {
    const nowMs = this.#twin.clock.now()
    const late = this.#unwanted.over(await unwantedOn(this.#twin), nowMs, 0)
    if (late !== undefined) this.#invariants.add('machines', `for an hour ${late}`, 0, nowMs)
  }

  /** Every request that was taken has come to its end, or somebody has it. */
  #checkRequests(): void {
    const { forgotten } = this.#clients
    if (forgotten === 0) return
    const message = `${forgotten} requests were taken and have come to no end, and nobody has them`
    this.#invariants.add('requests', message, 0, this.#twin.clock.now())
  }

  #elapsedMs(): number {
    return this.#twin.clock.now() - this.#startMs
  }

  /** The next of those that come at a rate. */
  #await(jobs: Iterator<DrawnJob>): void {
    const { done, value: job } = jobs.next()
    if (done === true || job.atMs >= this.#setup.horizonMs) return
    this.#twin.clock.after(job.atMs - this.#elapsedMs(), () => {
      const { namespace, name } = job.object.metadata
      this.#performances.set(`${namespace}/${name}`, job.performance)
      void this.#arrive(job)
      this.#await(jobs)
    })
  }

  async #arrive({ object }: Pick<Arrival, 'object'>): Promise<void> {
    const twin = this.#twin
    if (object.kind === 'Namespace') await twin.apply('Namespace', object)
    else if (object.kind === 'Queue') await twin.apply('Queue', object)
    else if (object.kind === 'TrainingJob') await twin.apply('TrainingJob', object)
    else if (object.kind === 'Drill') await twin.apply('Drill', object)
    else await twin.apply('InferenceService', object)
  }

  #performanceOf({ uid, name }: PodPlace): Performance {
    const found = this.#performances.get(this.#ownerOf.get(uid) ?? '')
    if (found === undefined) throw new RangeError(`pod ${name} is of nobody`)
    return found
  }

  /** Fair: a scenario's faults cut lines, and delay nothing on them. */
  #weather(): Weather {
    return {
      ...fairWeather,
      onWrite: (point, process, kind) => {
        if (point === 'before' && process.state === 'running')
          this.#invariants.seeSent(process.name, kind, this.#twin.clock.now())
      },
    }
  }

  #see(entry: Entry, by: string | undefined): void {
    const nowMs = this.#twin.clock.now()
    this.#events.add({ kind: 'write', entry, by })
    this.#invariants.see(entry, nowMs, by)
    this.#endIfBroken()
    this.#recorder.see(entry)
    if (entry.kind === 'Pod' && entry.type === 'ADDED') this.#seePod(entry.object as Pod)
    else if (entry.kind === 'Pod' && entry.type === 'DELETED') this.#forgetPod(entry.object as Pod)
    else if (entry.kind === 'Node') this.#seeNode(entry.object as Node)
    else if (entry.kind === 'Drill') this.#seeDrill(entry.object as Drill)
  }

  /** It is about to strike: written before it does. */
  #seeDrill(drill: Drill): void {
    const {
      metadata: { uid = '' },
      spec,
      status,
    } = drill
    if (status?.struckAt === undefined || this.#struck.has(uid)) return
    this.#struck.add(uid)
    const { nodes = [], pods = [] } = status.target ?? {}
    const { kind } = spec.fault
    const keys = pods.map((pod) => `${pod.namespace}/${pod.name}`)
    this.#recorder.seeStrike({ atMs: this.#elapsedMs(), cause: `drill ${drillTitle(drill)}`, kind, nodes, pods: keys })
  }

  #seePod({ metadata: { uid = '', namespace, labels } }: Pod): void {
    const name = labels?.[label.job] ?? labels?.[label.service]
    if (name !== undefined) this.#ownerOf.set(uid, `${namespace}/${name}`)
  }

  /** An agent that has not heard of it yet may still start it. */
  #forgetPod({ metadata: { uid = '' } }: Pod): void {
    this.#gone.add(uid)
    const [oldest = ''] = this.#gone
    if (this.#gone.size <= goneMax) return
    this.#gone.delete(oldest)
    this.#ownerOf.delete(oldest)
  }

  /** Whoever looks after the nodes opens one again that recovery has closed. */
  #seeNode({ metadata: { name }, spec }: Node): void {
    if (spec?.unschedulable !== true || this.#closed.has(name)) return
    this.#closed.add(name)
    this.#twin.clock.after(this.#setup.openAfterMs, () => {
      this.#closed.delete(name)
      void this.#open(name)
    })
  }

  async #open(name: string): Promise<void> {
    const node = await this.#twin.store.get('Node', { name })
    if (node !== undefined) await this.#twin.store.patch('Node', { name }, opened(node))
  }

  #hear(level: LogLevel, process: string, message: string, fields: Record<string, unknown>): void {
    if (message === 'leading') this.#leaders++
    this.#events.add({ kind: 'log', level, process, message, fields })
    if (level !== 'error' || (message !== 'a broken invariant' && message !== 'failed')) return
    this.#invariants.add('assertions', `${process}: ${JSON.stringify(fields)}`, 0, this.#twin.clock.now())
  }
}

function faultSaid({ cause: { name, kind }, nodes }: Fault): string {
  if (nodes.length === 0) return `${name} (${kind})`
  const others = nodes.length > 1 ? ` and ${nodes.length - 1} more` : ''
  return `${name} (${kind}) at ${nodes[0]}${others}`
}

import type { NodeDescription, PodPlace } from '../../agent/contract.ts'
import type { SimulatedPod } from '../../agent/simulated/machine.ts'
import { unwarnNode, warnNode } from '../../agent/warn.ts'
import { seededRandom } from '../../base/random.ts'
import { holdNow, isLive, stopIsAsked } from '../../control/gangs.ts'
import { faultKinds, isOfTwin, type TwinFault } from '../../model/faults.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import { label } from '../../model/names.ts'
import { opened } from '../../model/nodes.ts'
import type { KindName } from '../../model/registry.ts'
import { EventLog, type EventOptions, type TwinEvent } from '../events.ts'
import { Invariants, type Violation } from '../invariants/invariants.ts'
import { Lasting } from '../invariants/lasting.ts'
import { fairWeather, type Weather } from '../kernel/line.ts'
import type { Process } from '../kernel/process.ts'
import { Moment } from '../moment.ts'
import { TwinHand } from '../play/hand.ts'
import { Twin } from '../twin.ts'
import type { Performance } from '../work/workload.ts'
import type { Arrival } from './arrival.ts'
import { type AtHold, drawHistory, type Fault, type History } from './history.ts'
import { unwantedOn } from './machines.ts'
import { Requests } from './requests.ts'
import { TraceHash } from './trace-hash.ts'

export interface Played {
  seed: number
  violations: readonly Violation[]
  writes: number
  faults: number
  requests: number
  /** Leaders that there were. */
  leaders: number
  virtualMs: number
  /** Of every write, in order: two runs of one seed have the same. Empty where they are not traced. */
  hash: string
  startMs: number
  /** So many there were until a rule broke, until the last one that was asked for, or in all; and the last of them. */
  events: number
  last: readonly TwinEvent[]
  /** How it stood then. */
  moment: Moment
}

export interface PlayOptions {
  /** Whether its writes are hashed. */
  isTraced?: boolean
  events?: EventOptions
  history?: History
}

/** Plays the history of a seed: first with its faults, then without until everything that can has come to its end. */
export async function play(seed: number, options: PlayOptions = {}): Promise<Played> {
  const random = seededRandom(seed)
  const history = options.history ?? drawHistory(random)
  return await new Play(seed, history, options).run()
}

/** What runs after the faults is given so long; all jobs of a history take a fraction of it. */
const livenessMs = 8 * 3_600_000
/** At one moment: of a handful of nodes it is a few hundred at most. */
const timersMax = 50_000
/** As a controller does that has an opinion of its own. */
const labelled = { times: 20, everyMs: 25 }
const lookEveryMs = 10_000
const lemonEveryMs = 10_000
/** One that nobody has to leave, and others. */
const slownesses = [1.2, 3, 6]
/** A new agent knows again what runs there after so long. */
const replacedMs = 10_000
/** An agent that is heard ends what nobody wants well before, on a line that is not slow. */
const unwantedMsMax = 45_000
const rotten = new TextEncoder().encode('rotten')

class Play {
  readonly #seed: number
  readonly #history: History
  readonly #options: PlayOptions
  readonly #invariants: Invariants
  readonly #hash = new TraceHash()
  readonly #events: EventLog
  #moment: Promise<Moment> | undefined
  readonly #twin: Twin
  readonly #hand: TwinHand
  readonly #performances = new Map<string, Performance>()
  readonly #unwanted = new Lasting()
  readonly #requests: Requests
  #isNextRotten = false
  #writes = 0
  #leaders = 0
  #crashAt: { writes: number; point: 'before' | 'after'; of?: string; forMs: number } | undefined
  #pauseAt: { writes: number; forMs: number } | undefined
  #killAtStop: { afterMs: number; pick: number } | undefined
  #atHold: { afterMs: number; acts: readonly AtHold[]; forMs: number } | undefined
  /** Holds that were seen, by gang. */
  readonly #held = new Map<string, string>()
  #agentCrashAt: { node: string; writes: number; point: 'before' | 'after'; forMs: number } | undefined
  /** What mends the faults that still last. */
  readonly #open = new Set<() => void | Promise<void>>()

  constructor(seed: number, history: History, options: PlayOptions) {
    this.#seed = seed
    this.#history = history
    this.#options = options
    const { fencing, leaseSeconds, delay } = history
    this.#events = new EventLog(
      options.events ?? {},
      () => this.#twin.clock.now(),
      () => {
        this.#moment = Moment.of(this.#twin.store, this.#twin.clock.now())
      },
    )
    this.#invariants = new Invariants({ fencing, lateMs: 2 * delay.msMax })
    this.#twin = new Twin({
      seed,
      fencing,
      leaseSeconds,
      ...(history.startMs === undefined ? {} : { startMs: history.startMs }),
      ...(history.ledgerEveryMs === undefined ? {} : { ledgerEveryMs: history.ledgerEveryMs }),
      history: history.history,
      weather: this.#weather(),
      performanceOf: (place) => this.#performanceOf(place),
      onEntry: (entry, by) => {
        this.#writes++
        const atMs = this.#twin.clock.now()
        if (options.isTraced === true)
          this.#hash.add(`${atMs} ${entry.kind} ${entry.key} ${entry.type} ${JSON.stringify(entry.object)}`)
        this.#events.add({ kind: 'write', entry, by })
        this.#invariants.see(entry, atMs, by)
        this.#endIfBroken()
        if (entry.kind === 'Gang') {
          this.#killStopping(entry.object as Gang)
          this.#seeHold(entry.object as Gang)
        }
      },
      stored: (key, bytes) => this.#stored(key, bytes),
      onDelete: (key) => this.#invariants.seeDeleted(key, this.#twin.clock.now()),
      onSlowness: (node, slowness) => this.#invariants.seeSlowness(node, slowness, this.#twin.clock.now()),
      standstill: {
        timers: timersMax,
        tell: () =>
          this.#invariants.add('calm', 'time stands still: somebody works in circles', 0, this.#twin.clock.now()),
      },
      onLog: (level, process, message, fields) => {
        if (message === 'leading') this.#leaders++
        this.#events.add({ kind: 'log', level, process, message, fields })
        if (level === 'error' && (message === 'a broken invariant' || message === 'failed'))
          this.#invariants.add('assertions', `${process}: ${JSON.stringify(fields)}`, 0, this.#twin.clock.now())
        this.#endIfBroken()
      },
    })
    this.#requests = new Requests(seed, history, this.#twin)
    this.#hand = new TwinHand(this.#twin, 1 + history.standbys)
  }

  async run(): Promise<Played> {
    const { nodes, queues, standbys, arrivals, faults, safetyMs } = this.#history
    const twin = this.#twin
    await twin.begin()
    for (const queue of queues) await twin.apply('Queue', queue)
    for (const node of nodes) twin.addNode(node)
    for (let count = 0; count <= standbys; count++) twin.startControl()
    for (const arrival of arrivals) twin.clock.after(arrival.atMs, () => void this.#arrive(arrival))
    for (const fault of faults) twin.clock.after(fault.atMs, () => this.#strike(fault))
    this.#requests.start()
    const startMs = twin.clock.now()
    twin.clock.every(lookEveryMs, () => void this.#lookAtMachines())
    await twin.run(safetyMs, () => this.#isOver)
    if (!this.#isOver) await this.#live()
    this.#events.end()
    return {
      seed: this.#seed,
      violations: this.#invariants.violations,
      writes: this.#writes,
      faults: faults.length,
      requests: this.#requests.sent,
      leaders: this.#leaders,
      virtualMs: twin.clock.now() - startMs,
      hash: this.#options.isTraced === true ? this.#hash.digest() : '',
      startMs,
      events: this.#events.count,
      last: this.#events.last,
      moment: await (this.#moment ?? Moment.of(twin.store, twin.clock.now())),
    }
  }

  /** Without faults all comes to its end. */
  async #live(): Promise<void> {
    await this.#mendAll()
    await this.#suspendServices(true)
    await this.#await('jobs', () => this.#unfinishedJobs())
    await this.#suspendServices(false)
    await this.#await('services', () => this.#unreadyServices())
    if (this.#history.traffic !== undefined) await this.#await('requests', () => this.#openRequests())
    await this.#await('leftovers', () => this.#leftovers())
  }

  async #lookAtMachines(): Promise<void> {
    const nowMs = this.#twin.clock.now()
    const msMax = unwantedMsMax + 4 * this.#history.delay.msMax
    const late = this.#unwanted.over(await unwantedOn(this.#twin), nowMs, msMax)
    if (late !== undefined) this.#invariants.add('machines', `for ${msMax / 1000} s ${late}`, 0, nowMs)
    const wrong = this.#requests.wrong()
    if (wrong !== undefined) this.#invariants.add('requests', wrong, 0, nowMs)
  }

  async #arrive(arrival: Arrival): Promise<void> {
    this.#performances.set(arrival.object.metadata.name, arrival.performance)
    this.#say(`somebody applies ${arrival.kind} ${arrival.object.metadata.name}`)
    if (arrival.kind === 'TrainingJob') await this.#twin.apply(arrival.kind, arrival.object)
    else await this.#twin.apply(arrival.kind, arrival.object)
  }

  /** Pods are named for their job or service: `j1-worker-0-1`. */
  #performanceOf({ name }: PodPlace): Performance {
    const found = this.#performances.get(name.split('-')[0] ?? '')
    if (found === undefined) throw new RangeError(`pod ${name} is of nobody`)
    return found
  }

  #weather(): Weather {
    const { chance, msMax } = this.#history.delay
    const random = seededRandom(this.#seed).split('weather')
    return {
      ...fairWeather,
      delayMs: () => (chance > 0 && random.float() < chance ? Math.ceil(random.float() * msMax) : 0),
      onWrite: (point, process, kind) => {
        if (point === 'before' && process.state === 'running')
          this.#invariants.seeSent(process.name, kind, this.#twin.clock.now())
        if (point === 'before') this.#pauseWriter(process)
        this.#failAt(point, process, kind)
        this.#failAgentAt(point, process.name)
      },
    }
  }

  #pauseWriter(process: Process): void {
    const at = this.#pauseAt
    if (at === undefined || !this.#isLeader(process) || process.state !== 'running' || --at.writes > 0) return
    this.#pauseAt = undefined
    this.#strikeProcess('pause', process, at.forMs)
  }

  #isLeader(process: Process): boolean {
    return this.#twin.controls.some((one) => one.process === process && one.control.leading())
  }

  #failAt(point: 'before' | 'after', process: Process, kind: KindName): void {
    const at = this.#crashAt
    if (at === undefined || at.point !== point) return
    const isMeant = at.of === undefined || (this.#isLeader(process) && (at.of === 'any' || at.of === kind))
    if (!isMeant || --at.writes > 0) return
    this.#crashAt = undefined
    this.#crashControl(at.forMs)
  }

  #failAgentAt(point: 'before' | 'after', process: string): void {
    const at = this.#agentCrashAt
    if (at === undefined || at.point !== point || !process.startsWith(`${at.node}/`) || --at.writes > 0) return
    this.#agentCrashAt = undefined
    this.#strikeNode('crash agent', at.node, at.forMs)
  }

  #strike(fault: Fault): void {
    this.#say(`fault: ${JSON.stringify(fault)}`)
    const { kind, forMs } = fault
    const running = this.#twin.controls.filter(({ process }) => process.state === 'running')
    const leader = (running.find(({ control }) => control.leading()) ?? running.at(-1))?.process
    const standby = running.findLast(({ control, process }) => process !== leader && !control.leading())?.process
    if (kind === 'crash control at write') this.#crashAt = { ...fault }
    else if (kind === 'pause control at write') this.#pauseAt = { writes: fault.writes, forMs }
    else if (kind === 'crash agent at write') this.#agentCrashAt = { ...fault }
    else if (kind === 'crash control') this.#crashControl(forMs)
    else if (kind === 'pause control') this.#strikeProcess('pause', leader, forMs)
    else if (kind === 'cut control') this.#strikeProcess('cut', leader, forMs)
    else if (kind === 'break control') leader?.break()
    else if (kind === 'break all') this.#breakAll()
    else if (kind === 'pause standby') this.#strikeProcess('pause', standby, forMs)
    else if (kind === 'cut standby') this.#strikeProcess('cut', standby, forMs)
    else if (kind === 'kill rank' || kind === 'hang rank' || kind === 'fail rank') this.#strikeRank(kind, fault)
    else if (kind === 'kill rank at stop') this.#killAtStop = { ...fault }
    else if (kind === 'at hold') this.#atHold = { ...fault }
    else if (kind === 'crash ledger') this.#crashLedger(forMs)
    else if (kind === 'pause ledger') this.#strikeProcess('pause', this.#twin.ledger?.process, forMs)
    else if (kind === 'cut ledger') this.#strikeProcess('cut', this.#twin.ledger?.process, forMs)
    else if (kind === 'break ledger') this.#twin.ledger?.process.break()
    else if (kind === 'crash gateway') this.#crashGateway(forMs)
    else if (kind === 'pause gateway') this.#strikeProcess('pause', this.#twin.gateway?.process, forMs)
    else if (kind === 'cut gateway') this.#strikeProcess('cut', this.#twin.gateway?.process, forMs)
    else if (kind === 'break gateway') this.#twin.gateway?.process.break()
    else if (isInflicted(fault)) this.#inflict(fault)
    else if (kind === 'rot checkpoint') void this.#rot(fault.pick)
    else if (kind === 'suspend job') void this.#suspendJob(fault.pick, forMs)
    else if (kind === 'evict pod') void this.#evictPod(fault.pick)
    else if (kind === 'cordon node') void this.#cordon(fault.node, forMs)
    else if (kind === 'lose rack' || kind === 'cut rack')
      for (const node of this.#rackOf(fault.node))
        this.#strikeNode(kind === 'lose rack' ? 'lose node' : 'cut agent', node, forMs)
    else if ('node' in fault) this.#strikeNode(fault.kind, fault.node, forMs)
  }

  #inflict(fault: Inflicted): void {
    const { forMs } = fault
    const nodes = !('node' in fault) ? [] : 'reach' in fault ? this.#rackOf(fault.node) : [fault.node]
    this.#later(forMs, this.#hand.inflict({ slowness: 1, ...fault }, nodes))
  }

  #breakAll(): void {
    const { controls, nodes, ledger, gateway } = this.#twin
    for (const { process } of [...controls, ...nodes.values()]) process.break()
    ledger?.process.break()
    gateway?.process.break()
  }

  #rackOf(name: string): string[] {
    const rackOf = ({ labels }: NodeDescription) => labels[label.rack]
    const { description } = this.#twin.member(name)
    const all = [...this.#twin.nodes.values()].map((member) => member.description)
    return all.filter((other) => rackOf(other) === rackOf(description)).map((other) => other.name)
  }

  #strikeProcess(how: 'pause' | 'cut', process: Process | undefined, forMs: number): void {
    if (process?.state !== 'running') return
    if (how === 'pause') process.pause()
    else process.cut()
    this.#later(forMs, () => (how === 'pause' ? process.resume() : process.mend()))
  }

  /** The leader dies; another process takes its place. */
  #crashControl(forMs: number): void {
    const alive = this.#twin.controls.filter(({ process }) => process.state !== 'crashed')
    const victim = alive.find((one) => one.control.leading()) ?? alive[0]
    if (victim === undefined) return
    victim.process.crash()
    this.#later(forMs, () => void this.#twin.startControl())
  }

  #strikeNode(kind: Fault['kind'], node: string, forMs: number): void {
    const member = this.#twin.member(node)
    const { process } = member
    if (kind === 'slow node') {
      this.#slowDown(this.#besideOthers(node), forMs)
    } else if (kind === 'lemon') this.#spoilNode(node, forMs)
    else if (kind === 'warn node') this.#warnNode(node, forMs)
    else if (process.state !== 'running') return
    else if (kind === 'hang under a new agent') this.#replaceAgent(node, forMs)
    else if (kind === 'pause agent') this.#strikeProcess('pause', process, forMs)
    else if (kind === 'cut agent') this.#strikeProcess('cut', process, forMs)
    else if (kind === 'break agent') process.break()
    else {
      process.crash()
      if (kind === 'lose node') member.machine.lose()
      this.#later(forMs, () => this.#twin.startAgent(node))
    }
  }

  #replaceAgent(node: string, forMs: number): void {
    this.#twin.member(node).process.crash()
    this.#later(Math.min(forMs, replacedMs), () => {
      this.#twin.startAgent(node)
      this.#twin.clock.after(replacedMs, () => this.#strikeRank('hang rank', { pick: forMs, node }))
    })
  }

  #slowDown(node: string, forMs: number): void {
    this.#twin.setSlowness(node, slownesses[forMs % slownesses.length] ?? 1)
    this.#later(forMs, () => this.#twin.setSlowness(node, 1))
  }

  /** The node, if a rank there works with ranks elsewhere; else another where one does. */
  #besideOthers(node: string): string {
    const jobsOn = ({ machine }: { machine: { pods: ReadonlyMap<string, SimulatedPod> } }) =>
      [...machine.pods.values()].flatMap(({ end, place }) =>
        end === undefined ? (place.name.split('-')[0] ?? '') : [],
      )
    const jobs = new Map([...this.#twin.nodes].map(([name, member]) => [name, new Set(jobsOn(member))]))
    const isBeside = (name: string) =>
      [...(jobs.get(name) ?? [])].some((job) => [...jobs].some(([other, on]) => other !== name && on.has(job)))
    return isBeside(node) ? node : ([...jobs.keys()].find(isBeside) ?? node)
  }

  #spoilNode(node: string, forMs: number): void {
    const { machine } = this.#twin.member(node)
    const stop = this.#twin.clock.every(lemonEveryMs, () => {
      for (const pod of machine.pods.values()) if (pod.end === undefined) pod.kill({ exitCode: 135, signal: 'SIGBUS' })
    })
    this.#later(forMs, stop)
  }

  #warnNode(node: string, forMs: number): void {
    void warnNode(this.#twin.store, node)
    this.#later(forMs, () => unwarnNode(this.#twin.store, node))
  }

  #killStopping(gang: Gang): void {
    const at = this.#killAtStop
    if (at === undefined || !stopIsAsked(gang)) return
    this.#killAtStop = undefined
    const start = `${gang.metadata.name}-`
    this.#twin.clock.after(at.afterMs, () => this.#strikeRank('kill rank', at, start))
  }

  #seeHold(gang: Gang): void {
    const { uid = '' } = gang.metadata
    const hold = holdNow(gang)
    const text = hold === undefined ? '' : `${hold.attempt} ${hold.victims.map((victim) => victim.gang).join()}`
    const isNew = text !== this.#held.get(uid)
    this.#held.set(uid, text)
    const at = this.#atHold
    const victim = hold?.victims[0]?.gang.split('/')[1]
    if (at === undefined || !isNew || victim === undefined) return
    this.#atHold = undefined
    const act: Record<AtHold, () => void> = {
      'crash control': () => this.#crashControl(at.forMs),
      'suspend holder': () => void this.#suspend(gang.metadata.name, at.forMs),
      'suspend victim': () => void this.#suspend(victim, at.forMs),
      'kill victim': () => this.#strikeRank('kill rank', { pick: 0 }, `${victim}-`),
      'label victim': () => this.#labelOften(victim),
    }
    const doAll = () => {
      for (const one of at.acts) act[one]()
    }
    if (at.afterMs === 0) doAll()
    else this.#twin.clock.after(at.afterMs, doAll)
  }

  /** Whatever else is written to the gang meanwhile is about one that has changed since. */
  #labelOften(gang: string): void {
    const { clock, store } = this.#twin
    const ref = { name: gang, namespace: 'default' }
    for (let count = 0; count < labelled.times; count++) {
      clock.after(count * labelled.everyMs, () => {
        void store.patch('Gang', ref, { metadata: { labels: { labelled: String(count) } } })
      })
    }
  }

  #strikeRank(
    kind: 'kill rank' | 'hang rank' | 'fail rank',
    { pick, node }: { pick: number; node?: string | undefined },
    start = '',
  ): void {
    const members = [...this.#twin.nodes].filter(([name]) => node === undefined || name === node)
    const running = members.flatMap(([, { machine }]) =>
      [...machine.pods.values()].filter(({ end, place }) => end === undefined && place.name.startsWith(start)),
    )
    const pod: SimulatedPod | undefined = running[pick % Math.max(1, running.length)]
    if (pod === undefined) return
    if (kind === 'kill rank') pod.kill({ exitCode: 137, signal: 'SIGKILL' })
    else if (kind === 'hang rank') this.#twin.workload.ensemble(pod.place)?.hang(pod)
    else this.#twin.workload.ensemble(pod.place)?.fail(pod, 1)
  }

  #crashLedger(forMs: number): void {
    const ledger = this.#twin.ledger?.process
    if (ledger?.state !== 'running') return
    ledger.crash()
    this.#later(forMs, () => void this.#twin.startLedger())
  }

  #crashGateway(forMs: number): void {
    const gateway = this.#twin.gateway?.process
    if (gateway === undefined || gateway.state === 'crashed') return
    gateway.crash()
    this.#later(forMs, () => void this.#twin.startGateway())
  }

  /** The next checkpoint arrives damaged, or one that is there is damaged from now on. */
  async #rot(pick: number): Promise<void> {
    if (pick % 2 === 0) {
      this.#isNextRotten = true
      return
    }
    const { blobs, clock } = this.#twin
    const stored = await blobs.list('checkpoints/')
    const chosen = stored[pick % Math.max(1, stored.length)]
    if (chosen === undefined) return
    await blobs.put(chosen.key, rotten)
    this.#invariants.seeRotten(chosen.key, clock.now())
  }

  #stored(key: string, bytes: Uint8Array): Uint8Array {
    if (!this.#isNextRotten || !key.startsWith('checkpoints/')) {
      this.#invariants.seeRotten(key, undefined)
      return bytes
    }
    this.#isNextRotten = false
    this.#invariants.seeRotten(key, Number.NEGATIVE_INFINITY)
    return rotten
  }

  async #suspendJob(pick: number, forMs: number): Promise<void> {
    const { store } = this.#twin
    const jobs = (await store.list('TrainingJob')).items.filter(({ status }) => status?.completionTime === undefined)
    const job = jobs[pick % Math.max(1, jobs.length)]
    if (job !== undefined) await this.#suspend(job.metadata.name, forMs)
  }

  /** The job of that name; a replica is nobody's to suspend. */
  async #suspend(name: string, forMs: number): Promise<void> {
    const ref = { name, namespace: 'default' }
    const suspend = (is: boolean) => this.#twin.store.patch('TrainingJob', ref, { spec: { suspend: is } })
    await suspend(true)
    this.#later(forMs, async () => void (await suspend(false)))
  }

  /** As `kubectl drain` does. */
  async #evictPod(pick: number): Promise<void> {
    const { store } = this.#twin
    const pods = (await store.list('Pod')).items.filter(isLive)
    const pod = pods[pick % Math.max(1, pods.length)]
    if (pod === undefined) return
    const { name, namespace, uid } = pod.metadata
    await store.evict({ name, namespace }, { uid })
  }

  async #cordon(name: string, forMs: number): Promise<void> {
    const cordon = (unschedulable: true | null) => this.#twin.store.patch('Node', { name }, { spec: { unschedulable } })
    await cordon(true)
    this.#later(forMs, async () => void (await cordon(null)))
  }

  #later(forMs: number, mend: () => void | Promise<void>): void {
    const once = (): void | Promise<void> => {
      if (!this.#open.delete(once)) return
      this.#say('mended')
      return mend()
    }
    this.#open.add(once)
    this.#twin.clock.after(forMs, () => void once())
  }

  async #mendAll(): Promise<void> {
    this.#say('the faults are over')
    this.#crashAt = undefined
    this.#agentCrashAt = undefined
    this.#pauseAt = undefined
    this.#killAtStop = undefined
    this.#atHold = undefined
    for (const mend of [...this.#open]) void mend()
    await this.#twin.run(1000)
    // A leader that was told to stop leading may have died with it.
    if (this.#twin.controls.every(({ process }) => process.state === 'crashed')) this.#twin.startControl()
  }

  /** What nobody could undo, an operator does. */
  async #uncordon(): Promise<void> {
    for (const node of (await this.#twin.store.list('Node')).items)
      if (node.spec?.unschedulable === true)
        await this.#twin.store.patch('Node', { name: node.metadata.name }, opened(node))
  }

  /** What holds for ever (services) makes room for what ends (jobs), and then the other way round. */
  async #suspendServices(suspend: boolean): Promise<void> {
    for (const { metadata } of (await this.#twin.store.list('InferenceService')).items)
      await this.#twin.store.patch(
        'InferenceService',
        { name: metadata.name, namespace: metadata.namespace },
        { spec: { suspend } },
      )
  }

  async #await(what: string, look: () => Promise<string>): Promise<void> {
    const { clock } = this.#twin
    const untilMs = clock.now() + livenessMs
    let unfinished = what
    while (!this.#isOver && unfinished !== '' && clock.now() < untilMs) {
      await this.#uncordon()
      await this.#twin.run(60_000, () => this.#isOver)
      unfinished = await look()
    }
    if (!this.#isOver && unfinished !== '')
      this.#invariants.add('liveness', `never came to an end: ${unfinished}`, 0, clock.now())
  }

  async #unfinishedJobs(): Promise<string> {
    const { items } = await this.#twin.store.list('TrainingJob')
    return said(items.filter(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed'))
  }

  async #unreadyServices(): Promise<string> {
    const services = await this.#servicesThatFit()
    return said(services.filter((service) => !isUp(service)))
  }

  /** All of them or none, with a replica for each that may have none. */
  async #servicesThatFit(): Promise<readonly InferenceService[]> {
    const { items } = await this.#twin.store.list('InferenceService')
    const slots = this.#history.nodes.reduce((sum, node) => sum + node.slots, 0)
    return items.reduce((sum, { spec }) => sum + Math.max(1, spec.minReplicas), 0) > slots ? [] : items
  }

  /** Whatever was sent has come to an end, and who is up answers. */
  async #openRequests(): Promise<string> {
    const up = (await this.#servicesThatFit()).filter(isUp).map(({ metadata }) => metadata.name)
    return [this.#requests.underWay, this.#requests.unanswered(new Set(up))].filter((open) => open !== '').join('; ')
  }

  /** What nobody wants any more, and nobody ends. */
  async #leftovers(): Promise<string> {
    const { store, nodes, clock } = this.#twin
    const pages = (await store.list('LedgerPage')).items
    const open = pages.flatMap(({ metadata: { name }, status }) =>
      (status?.provisional ?? []).map(
        ({ gang, attempt }) => `page ${name} does not know what became of ${gang} (attempt ${attempt})`,
      ),
    )
    const late = [...nodes.keys()].filter(
      (node) =>
        !pages.some(({ spec, status }) => spec.node === node && (status?.throughMs ?? 0) > clock.now() - 120_000),
    )
    return [
      ...(await unwantedOn(this.#twin)),
      ...open,
      ...late.map((node) => `the ledger of ${node} stands still`),
    ].join('; ')
  }

  /** A rule is broken, or the last event that was asked for is over. */
  get #isOver(): boolean {
    this.#endIfBroken()
    return this.#events.isOver
  }

  #endIfBroken(): void {
    if (this.#invariants.violations.length > 0) this.#events.end()
  }

  #say(message: string): void {
    this.#events.add({ kind: 'act', message })
  }
}

/** Ready, or without a replica where it may be so. */
function isUp({ spec, status }: InferenceService): boolean {
  return status?.phase === 'Ready' || (status?.phase === 'Zero' && spec.minReplicas === 0)
}

function said(
  items: readonly {
    kind: string
    metadata: { name: string }
    status?: { phase?: string | undefined; message?: string | undefined } | undefined
  }[],
): string {
  return items
    .map(({ kind, metadata, status }) => `${kind} ${metadata.name} (${status?.phase}: ${status?.message ?? ''})`)
    .join('; ')
}

type Inflicted = Extract<Fault, { kind: TwinFault }>

function isInflicted(fault: Fault): fault is Inflicted {
  return faultKinds.some((kind) => kind === fault.kind && isOfTwin(kind))
}

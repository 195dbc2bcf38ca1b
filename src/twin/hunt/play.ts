import type { PodPlace } from '../../agent/contract.ts'
import { seededRandom } from '../../base/random.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { opened } from '../../model/nodes.ts'
import { withoutCovered } from '../../observe/ledger.ts'
import { EventLog, type EventOptions, type TwinEvent } from '../events.ts'
import { Invariants, type Violation } from '../invariants/invariants.ts'
import { Lasting } from '../invariants/lasting.ts'
import { fairWeather, type Weather } from '../kernel/line.ts'
import { copiesOn, unwantedOn } from '../machines.ts'
import { Moment } from '../moment.ts'
import { TwinHand } from '../play/hand.ts'
import { acceleratorCount } from '../scenario/fleet.ts'
import { Twin } from '../twin.ts'
import type { Performance } from '../work/workload.ts'
import { drawHistory } from './draw-history.ts'
import type { Arrival, History } from './history.ts'
import { Injector } from './injector.ts'
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
/** Most histories are of a thousand writes. */
const auditEvery = 100
/** At one moment: of a handful of nodes it is a few hundred at most. */
const timersMax = 50_000
const lookEveryMs = 10_000
/** An agent that is heard ends what nobody wants well before, on a line that is not slow. */
const unwantedMsMax = 45_000

class Play {
  readonly #seed: number
  readonly #history: History
  readonly #options: PlayOptions
  readonly #invariants: Invariants
  readonly #hash = new TraceHash()
  readonly #events: EventLog
  #moment: Promise<Moment> | undefined
  readonly #twin: Twin
  readonly #injector: Injector
  readonly #performances = new Map<string, Performance>()
  readonly #unwanted = new Lasting()
  readonly #requests: Requests
  #writes = 0
  #leaders = 0

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
        this.#twin.halt()
      },
    )
    const isClockRight = () => this.#twin.areControlClocksRight
    const isUpToDate = () => this.#twin.areControlsUpToDate
    this.#invariants = new Invariants({ fencing, lateMs: 2 * delay.msMax, isClockRight, isUpToDate, auditEvery })
    this.#twin = new Twin({
      seed,
      fencing,
      leaseSeconds,
      ...(history.startMs === undefined ? {} : { startMs: history.startMs }),
      ...(history.ledgerEveryMs === undefined ? {} : { ledgerEveryMs: history.ledgerEveryMs }),
      history: history.history,
      weather: this.#weather(),
      performanceOf: (place) => this.#performanceOf(place),
      watching: (store) => this.#invariants.watching(store, () => this.#twin.clock.now()),
      onEntry: (entry, by) => {
        this.#writes++
        const atMs = this.#twin.clock.now()
        if (options.isTraced === true)
          this.#hash.add(`${atMs} ${entry.kind} ${entry.key} ${entry.type} ${JSON.stringify(entry.object)}`)
        this.#events.add({ kind: 'write', entry, by })
        this.#invariants.see(entry, atMs, by)
        this.#endIfBroken()
        if (entry.kind === 'Gang') this.#injector.onGang(entry.object as Gang)
      },
      stored: (key, bytes) => this.#injector.stored(key, bytes),
      onDelete: (key) => this.#invariants.seeDeleted(key, this.#twin.clock.now()),
      onRestored: (part) => this.#invariants.seeRestored(part, this.#twin.clock.now()),
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
    this.#injector = new Injector({
      twin: this.#twin,
      hand: new TwinHand(this.#twin, 1 + history.standbys),
      invariants: this.#invariants,
      say: (message) => this.#say(message),
    })
  }

  async run(): Promise<Played> {
    const { nodes, queues, standbys, arrivals, faults, safetyMs } = this.#history
    const twin = this.#twin
    await twin.begin()
    for (const queue of queues) await twin.apply('Queue', queue)
    for (const node of nodes) twin.addNode(node)
    for (let count = 0; count <= standbys; count++) twin.startControl()
    for (const arrival of arrivals) twin.clock.after(arrival.atMs, () => void this.#arrive(arrival))
    for (const fault of faults) twin.clock.after(fault.atMs, () => this.#injector.strike(fault))
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
    await this.#injector.mendAll()
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
        this.#injector.onWrite(point, process, kind)
      },
    }
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
    const isPublished = ({ spec, status }: TrainingJob) => spec.output === undefined || status?.model !== undefined
    return said(
      items.filter((job) => !(job.status?.phase === 'Succeeded' && isPublished(job)) && job.status?.phase !== 'Failed'),
    )
  }

  async #unreadyServices(): Promise<string> {
    const services = await this.#servicesThatFit()
    return said(services.filter((service) => !isUp(service)))
  }

  /** All of them or none, with a replica for each that may have none. */
  async #servicesThatFit(): Promise<readonly InferenceService[]> {
    const { items } = await this.#twin.store.list('InferenceService')
    const slots = acceleratorCount(this.#history.nodes)
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
    const pages = withoutCovered((await store.list('LedgerPage')).items)
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
      ...(await copiesOn(this.#twin)),
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

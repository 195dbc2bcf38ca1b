import { type Agent, createAgent } from '../agent/agent.ts'
import type { Copies, NodeDescription, PodPlace } from '../agent/contract.ts'
import { startDrills } from '../agent/drills.ts'
import type { Hand } from '../agent/hand.ts'
import { simulatedFiles } from '../agent/simulated/files.ts'
import { type RestoredPart, SimulatedMachine } from '../agent/simulated/machine.ts'
import { createSimulatedRunner } from '../agent/simulated/runner.ts'
import type { Cancel } from '../base/clock.ts'
import { assert, messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import { type Random, seededRandom } from '../base/random.ts'
import type { Blobs } from '../blob/contract.ts'
import { createSimulatedBlobs } from '../blob/simulated/blobs.ts'
import { createSimulatedStorage, type SimulatedStorage } from '../blob/simulated/storage.ts'
import { type Control, startControl } from '../control/run.ts'
import { Core } from '../gateway/core.ts'
import { defaultLimits } from '../gateway/decide.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { annotation, label } from '../model/names.ts'
import type { KindMap, KindName } from '../model/registry.ts'
import { nodeSign } from '../model/signs.ts'
import { type Ledger, startLedger } from '../observe/ledger.ts'
import { bootstrap } from '../runtime/bootstrap.ts'
import { around } from '../store/around.ts'
import type { Store } from '../store/contract.ts'
import type { Entry } from '../store/history.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { Behind } from './kernel/behind.ts'
import { blobsOf, fairWeather, storeOf, type Weather } from './kernel/line.ts'
import { Network } from './kernel/network.ts'
import { clockOf, Process } from './kernel/process.ts'
import { Vitals } from './kernel/vitals.ts'
import type { Gateway } from './traffic/traffic.ts'
import type { Replica } from './work/replica.ts'
import { type Performance, SimulatedWorkload } from './work/workload.ts'

export interface TwinOptions {
  seed: number
  performanceOf(place: PodPlace): Performance
  /** How the lines of all processes behave. */
  weather?: Weather
  /** Whether the store checks the fences of writes; Kubernetes' does not. */
  fencing?: boolean
  leaseSeconds?: number
  /** How often the ledger writes its pages: a long run need not see each of them. */
  ledgerEveryMs?: number
  /** Changes kept for watchers: few make them list again. */
  history?: number
  /** What all watches go through. */
  watching?(store: Store): Store['watch']
  /** `by`: the process that wrote it; undefined for somebody at a keyboard. */
  onEntry?(entry: Entry, by: string | undefined): void
  /** What storage keeps of an object that is put there; as it is when left out. */
  stored?(key: string, bytes: Uint8Array): Uint8Array
  /** An object of storage is about to go. */
  onDelete?(key: string): void
  /** A rank has read a part of the checkpoint that it starts from. */
  onRestored?(part: RestoredPart): void
  /** What a node computes takes so many times as long from now on. */
  onSlowness?(node: string, slowness: number): void
  /** `tell` is called when so many timers fire at one moment that time would never go on. */
  standstill?: { timers: number; tell(): void }
  onLog?(level: LogLevel, process: string, message: string, fields: Record<string, unknown>): void
  startMs?: number
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** One node: its machine, and the agent that looks after it now. */
interface Member {
  machine: SimulatedMachine
  description: NodeDescription
  process: Process
  lives: number
  slowness: number
  /** What makes it compute wrongly: how long training takes to show it, in milliseconds. */
  corruptions: { latencyMs: number }[]
  /** Its GPUs that are gone: one that more than one fault took, so many times. */
  lostGpus: string[]
  /** What its agent is told of the machine. */
  told: NodeDescription
  agent: Agent | undefined
  /** How far its clock is off, for its agent and for all that runs there. */
  jumpedMs: number
}

/**
 * The factory on virtual time: the production control plane, agents, scheduler and ledger over a memory store, each in a
 * process of its own that can be crashed, paused or cut off. A run is a function of its seed and of what is done to it.
 */
export class Twin {
  readonly clock: ManualClock
  readonly store: Store
  /** What storage holds, whatever becomes of those who ask for it. */
  readonly blobs: Blobs
  readonly storage: SimulatedStorage
  readonly network = new Network((nodes) => this.#networkChanged(nodes))
  readonly random: Random
  readonly workload: SimulatedWorkload
  readonly nodes = new Map<string, Member>()
  readonly controls: { process: Process; control: Control }[] = []
  /** The one that was started last. */
  ledger: { process: Process; ledger: Ledger } | undefined
  /** Likewise. */
  gateway: Gateway | undefined
  readonly #vitals: Vitals
  readonly #behind: Behind
  readonly #options: TwinOptions
  readonly #pods = new Map<string, Pod>()
  #lives = 0
  #gateways = 0
  #writer: string | undefined
  #isHalted = false

  constructor(options: TwinOptions) {
    this.#options = options
    this.clock = createManualClock(options.startMs ?? startMsDefault)
    this.random = seededRandom(options.seed)
    const blobs = createSimulatedBlobs((key) => options.onDelete?.(key))
    this.blobs = { ...blobs, put: (key, bytes) => blobs.put(key, options.stored?.(key, bytes) ?? bytes) }
    this.storage = createSimulatedStorage(this.blobs, this.clock)
    this.#vitals = new Vitals(this.clock)
    const store = createMemoryStore({
      clock: this.clock,
      random: this.random.split('store'),
      fencing: options.fencing ?? true,
      history: options.history ?? 10_000,
      onEntry: (entry) => this.#see(entry),
    })
    this.store = options.watching === undefined ? store : { ...store, watch: options.watching(store) }
    this.#behind = new Behind(store)
    this.workload = new SimulatedWorkload({
      clock: this.clock,
      random: this.random.split('steps'),
      beat: (who, everyMs) => this.#vitals.beat(who, everyMs),
      health: {
        slowness: (pod) => this.nodes.get(pod.run.node)?.slowness ?? 1,
        isDiskFull: ({ run }) => this.nodes.get(run.node)?.machine.isDiskFull === true,
        corruption: (pod) => this.nodes.get(pod.run.node)?.corruptions[0],
        areJoined: (pods) => this.network.areJoined(pods.map(({ run }) => run.node)),
      },
      performanceOf: options.performanceOf,
      lacksGpu: ({ uid, run }) => this.#devicesOf(uid).some((id) => this.nodes.get(run.node)?.lostGpus.includes(id)),
      isReplica: ({ uid }) => this.#pods.get(uid)?.metadata.labels?.[label.service] !== undefined,
    })
  }

  async begin(): Promise<void> {
    await bootstrap(this.store)
    this.startLedger()
  }

  #see(entry: Entry): void {
    this.#behind.see(entry)
    if (entry.kind === 'Pod') {
      const pod = entry.object as Pod
      const uid = pod.metadata.uid ?? ''
      if (entry.type === 'DELETED') this.#pods.delete(uid)
      else this.#pods.set(uid, pod)
    }
    if (entry.kind === 'Node' && entry.type === 'DELETED') this.#vitals.ask(nodeSign(entry.object.metadata.name))
    this.#options.onEntry?.(entry, this.#writer)
  }

  /** What somebody types: created, or brought up to date. */
  async apply<K extends KindName>(kind: K, object: KindMap[K]): Promise<void> {
    const made = await this.store.create(kind, object)
    if (made !== 'exists') return
    const { name, namespace } = object.metadata
    await this.store.patch(kind, { name, namespace }, { spec: (object as { spec?: object }).spec })
  }

  /** Nobody has set one, and not yet set it right again. */
  get areControlClocksRight(): boolean {
    return this.controls.every(({ process }) => process.jumpedMs === 0)
  }

  /** No server that is behind answers one of them. */
  get areControlsUpToDate(): boolean {
    return this.controls.every(({ process }) => process.state === 'crashed' || process.writesBehind === 0)
  }

  startControl(): Process {
    const process = new Process(`control-${this.controls.length}`)
    const { clock, ...kit } = this.kitOf(process)
    const control = startControl({
      ...kit,
      clock,
      identity: process.name,
      ...(this.#options.leaseSeconds === undefined ? {} : { leaseSeconds: this.#options.leaseSeconds }),
    })
    this.controls.push({ process, control })
    return process
  }

  startLedger(): Process {
    const process = new Process(`ledger-${this.#lives++}`)
    const { store, clock, log } = this.kitOf(process)
    const ledger = startLedger({ store, clock, log, writeEveryMs: this.#options.ledgerEveryMs })
    this.ledger = { process, ledger }
    return process
  }

  /** What takes the requests of services: the production gateway without its sockets. The one before must be dead. */
  startGateway(): Gateway {
    const process = new Process(`gateway-${this.#gateways++}`)
    const { store, clock, random, log } = this.kitOf(process)
    const core = new Core({ store, clock, random, log, limits: defaultLimits })
    this.gateway = { process, core }
    // It follows the store as long as it lives; while it has seen nothing, it knows no service.
    void core.start()
    return this.gateway
  }

  /** Carries out what drills there are. */
  startDrills(hand: Hand): void {
    startDrills({ ...this.kitOf(new Process('drills')), hand })
  }

  /** A machine joins, and its agent starts. */
  addNode(description: NodeDescription): void {
    const offset = { jumpedMs: 0 }
    const clock = { ...this.clock, now: () => this.clock.now() + offset.jumpedMs }
    const machine = new SimulatedMachine(clock, this.workload, (part) => this.#options.onRestored?.(part))
    const process = new Process('')
    const member = Object.assign(offset, {
      machine,
      description,
      process,
      lives: 0,
      slowness: 1,
      corruptions: [],
      lostGpus: [],
      told: description,
      agent: undefined,
    })
    this.nodes.set(description.name, member)
    this.#vitals.expect(nodeSign(description.name))
    this.startAgent(description.name)
  }

  /** The next agent of a node; the one before must be dead. */
  startAgent(node: string): void {
    const member = this.member(node)
    member.process = new Process(`${node}/${member.lives++}`)
    member.process.isolate(this.network.lacks(node))
    member.process.jump(member.jumpedMs)
    const kit = this.kitOf(member.process)
    const agent = createAgent({
      ...kit,
      copies: this.#copiesFrom(node),
      node: member.told,
      runner: createSimulatedRunner(member.machine),
      files: simulatedFiles(member.machine, this.storage),
    })
    member.agent = agent
    // One that cannot reach the store as it starts ends, and its supervisor starts the next.
    agent.start().catch((error: unknown) => {
      kit.log.warn('the agent could not start', { error: messageOf(error) })
      const dead = member.process
      dead.crash()
      this.clock.after(restartMs, () => member.process === dead && this.startAgent(node))
    })
  }

  /** Machines answer for what is in their memory while their agents run, to whom they reach. */
  #copiesFrom(node: string): Copies {
    const machineOf = (other: string): SimulatedMachine | undefined => {
      const member = this.nodes.get(other)
      if (other === node || member === undefined) return member?.machine
      const isThere = member.process.state === 'running' && this.network.areJoined([node, other])
      return isThere ? member.machine : undefined
    }
    return {
      of: (other) => machineOf(other)?.copies,
      isEmpty: (other) => machineOf(other)?.hasCopies !== true,
    }
  }

  /** Each step of work there takes so many times as long from now on. */
  setSlowness(node: string, slowness: number): void {
    const member = this.member(node)
    member.slowness = slowness
    this.#options.onSlowness?.(node, slowness)
    this.workload.paceChanged(member.machine.running())
  }

  /** What is computed there is wrong, until it is cancelled; what has come of it stays so. */
  corrupt(node: string, latencyMs: number): Cancel {
    const { corruptions, machine } = this.member(node)
    const one = { latencyMs }
    corruptions.push(one)
    this.workload.corruptionBegan(machine.running())
    return () => {
      const at = corruptions.indexOf(one)
      if (at >= 0) corruptions.splice(at, 1)
    }
  }

  /**
   * A GPU of a node is gone until it is cancelled: the first that the pod holds, else that the node has. What computes there ends
   * at once; that it is gone the node is told later, that it is back at once. Slots are never gone: only the pod ends.
   */
  loseGpu(node: string, pod: string | undefined, toldAfterMs: number): Cancel {
    const member = this.member(node)
    const held = pod === undefined ? [] : this.#devicesOf(pod)
    const present = member.description.gpus.map(({ id }) => id).filter((id) => !member.lostGpus.includes(id))
    const gpu = present.find((id) => held.includes(id)) ?? present[0]
    const uses = (uid: string) => (gpu === undefined ? uid === pod : this.#devicesOf(uid).includes(gpu))
    for (const one of member.machine.running()) if (uses(one.uid)) one.kill(aborted)
    if (gpu === undefined) return () => {}
    member.lostGpus.push(gpu)
    const cancelTell = this.clock.after(toldAfterMs, () => this.#tellGpus(node))
    return () => {
      cancelTell()
      member.lostGpus.splice(member.lostGpus.indexOf(gpu), 1)
      this.#tellGpus(node)
    }
  }

  #tellGpus(node: string): void {
    const member = this.member(node)
    const { description, lostGpus } = member
    const reason = 'the driver does not list it any more'
    const gpus = description.gpus.map((gpu) => (lostGpus.includes(gpu.id) ? { ...gpu, healthy: false, reason } : gpu))
    member.told = { ...description, gpus }
    member.agent?.describe(member.told)
  }

  #devicesOf(uid: string): string[] {
    return this.#pods.get(uid)?.metadata.annotations?.[annotation.devices]?.split(',') ?? []
  }

  /** Somebody sets the clock of a node, and sets it right when it is cancelled. */
  jumpClock(node: string, byMs: number): Cancel {
    const member = this.member(node)
    const jump = (ms: number): void => {
      member.jumpedMs += ms
      member.process.jump(ms)
    }
    jump(byMs)
    return () => jump(-byMs)
  }

  /** What serves in a pod and can be reached. */
  server(uid: string): Replica | undefined {
    const replica = this.workload.replica(uid)
    return replica === undefined || this.network.isIsolated(replica.node) ? undefined : replica
  }

  #networkChanged(nodes: readonly string[]): void {
    const members = nodes.map((node) => this.member(node))
    for (const { process, description } of members) process.isolate(this.network.lacks(description.name))
    this.workload.networkChanged(members.flatMap(({ machine }) => machine.running()))
  }

  member(node: string): Member {
    const member = this.nodes.get(node)
    assert(member !== undefined, `node ${node} is not in this twin`)
    return member
  }

  /** Runs until the time has come, or `isOver` says so after some event. */
  async run(forMs: number, isOver: () => boolean = () => false): Promise<void> {
    const { standstill } = this.#options
    const untilMs = this.clock.now() + forMs
    await this.clock.advance(0)
    for (let atMs = this.clock.now(), steps = 0; !isOver() && (await this.clock.next(untilMs)); steps++) {
      if (this.clock.now() > atMs) steps = 0
      atMs = this.clock.now()
      if (steps === standstill?.timers) standstill.tell()
    }
  }

  /** No write of a process is heard any more: who works in circles, in one moment, would not let it end. */
  halt(): void {
    this.#isHalted = true
  }

  /** The world as a process has it. */
  kitOf(process: Process) {
    const clock = clockOf(process, this.clock)
    const weather = this.#options.weather ?? fairWeather
    return {
      store: storeOf(process, this.#writtenBy(process.name), this.clock, weather, this.#behind),
      blobs: blobsOf(process, this.storage.blobs),
      clock,
      liveness: this.#vitals.of(process),
      random: this.random.split(process.name),
      log: this.#logOf(process.name),
    }
  }

  /** A write is decided, and shown to `onEntry`, before the call returns. */
  #writtenBy(name: string): Store {
    const write = <T>(ask: () => Promise<T>): Promise<T> => {
      if (this.#isHalted) return new Promise(() => undefined)
      this.#writer = name
      try {
        return ask()
      } finally {
        this.#writer = undefined
      }
    }
    return around(this.store, { read: (ask) => ask(), write })
  }

  #logOf(process: string, carried: Record<string, unknown> = {}): Log {
    const say = (level: LogLevel) => (message: string, fields?: Record<string, unknown>) =>
      this.#options.onLog?.(level, process, message, { ...carried, ...fields })
    return {
      debug: say('debug'),
      info: say('info'),
      warn: say('warn'),
      error: say('error'),
      with: (fields) => this.#logOf(process, { ...carried, ...fields }),
    }
  }
}

/** A service manager starts an agent that ended again after so long. */
const restartMs = 1_000
/** A process that ends for something of its own. */
export const aborted = { exitCode: 134, signal: 'SIGABRT' } as const
/** 2026-01-01. */
const startMsDefault = 1_767_225_600_000

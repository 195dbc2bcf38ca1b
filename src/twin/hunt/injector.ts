import type { NodeDescription } from '../../agent/contract.ts'
import type { SimulatedPod } from '../../agent/simulated/machine.ts'
import { unwarnNode, warnNode } from '../../agent/warn.ts'
import { encodeManifest } from '../../blob/manifest.ts'
import { holdNow, stopIsAsked } from '../../control/gangs.ts'
import { faultKinds, harmOf, isOfTwin, type TwinFault } from '../../model/faults.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { label } from '../../model/names.ts'
import { closedBecause, opened } from '../../model/nodes.ts'
import type { KindName } from '../../model/registry.ts'
import type { Invariants } from '../invariants/invariants.ts'
import type { Process } from '../kernel/process.ts'
import type { TwinHand } from '../play/hand.ts'
import type { Twin } from '../twin.ts'
import type { AtHold, Fault } from './history.ts'
import { isOfPeople, People } from './people.ts'
import { pickOf } from './pick.ts'

/** As a controller does that has an opinion of its own. */
const labelled = { times: 120, everyMs: 25 }
/** Others leave within that time. */
const lateAtHoldMs = 3_000
const lemonEveryMs = 10_000
/** One that nobody has to leave, and others. */
const slownesses = [1.2, 3, 6]
/** A new agent knows again what runs there after so long. */
const replacedMs = 10_000
const rotten = new TextEncoder().encode('rotten')

/** Where faults strike, and who hears of them. */
export interface Scene {
  twin: Twin
  hand: TwinHand
  invariants: Invariants
  say(message: string): void
}

/** Does what the faults of a history say, at once or when what they wait for comes, and mends it when they are over. */
export class Injector {
  readonly #twin: Twin
  readonly #hand: TwinHand
  readonly #invariants: Invariants
  readonly #say: Scene['say']
  readonly #people: People
  #isNextRotten = false
  #crashAt: { writes: number; point: 'before' | 'after'; of?: string; forMs: number } | undefined
  #pauseAt: { writes: number; forMs: number } | undefined
  #killAtStop: { afterMs: number; pick: number } | undefined
  #atHold: { afterMs: number; acts: readonly AtHold[]; forMs: number } | undefined
  /** Holds that were seen, by gang. */
  readonly #held = new Map<string, string>()
  #agentCrashAt: { node: string; writes: number; point: 'before' | 'after'; forMs: number } | undefined
  /** What mends the faults that still last. */
  readonly #open = new Set<() => void | Promise<void>>()

  constructor({ twin, hand, invariants, say }: Scene) {
    this.#twin = twin
    this.#hand = hand
    this.#invariants = invariants
    this.#say = say
    this.#people = new People(twin, (forMs, mend) => this.#later(forMs, mend))
  }

  strike(fault: Fault): void {
    this.#say(`fault: ${JSON.stringify(fault)}`)
    const { kind, forMs } = fault
    const leader = this.#leader()
    const standby = this.#running().findLast(
      ({ control, process }) => process !== leader && !control.leading(),
    )?.process
    if (kind === 'crash control at write') this.#crashAt = { ...fault }
    else if (kind === 'pause control at write') this.#pauseAt = { writes: fault.writes, forMs }
    else if (kind === 'crash agent at write') this.#agentCrashAt = { ...fault }
    else if (kind === 'crash control') this.#crashControl(forMs)
    else if (kind === 'pause control') this.#strikeProcess('pause', leader, forMs)
    else if (kind === 'cut control') this.#strikeProcess('cut', leader, forMs)
    else if (kind === 'late control') this.#delay(leader, fault.lateMs, forMs)
    else if (kind === 'break control') leader?.break()
    else if (kind === 'stale control') this.#fallBehind(leader, fault)
    else if (kind === 'stale ledger') this.#fallBehind(this.#twin.ledger?.process, fault)
    else if (kind === 'stale gateway') this.#fallBehind(this.#twin.gateway?.process, fault)
    else if (kind === 'stale agent') this.#fallBehind(this.#twin.member(fault.node).process, fault)
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
    else if (kind === 'jump ledger') this.#jump(this.#twin.ledger?.process, fault.byMs, forMs)
    else if (kind === 'jump gateway') this.#jump(this.#twin.gateway?.process, fault.byMs, forMs)
    else if (isInflicted(fault)) this.#inflict(fault)
    else if (kind === 'disk-full') this.#later(forMs, this.#hand.fillDisk(fault.node))
    else if (kind === 'gpu-error') void this.#failGpu(fault)
    else if (kind === 'rot checkpoint') void this.#rot(fault.pick)
    else if (kind === 'rot copy') void this.#rotCopy(fault.pick)
    else if (isOfPeople(fault)) void this.#people.act(fault)
    else if (kind === 'delete node') void this.#deleteNode(fault)
    else if (kind === 'lose rack' || kind === 'cut rack')
      for (const node of this.#rackOf(fault.node))
        this.#strikeNode(kind === 'lose rack' ? 'lose node' : 'cut agent', node, forMs)
    else if ('node' in fault) this.#strikeNode(fault.kind, fault.node, forMs)
  }

  #running(): Twin['controls'] {
    return this.#twin.controls.filter(({ process }) => process.state === 'running')
  }

  #leader(): Process | undefined {
    const running = this.#running()
    return (running.find(({ control }) => control.leading()) ?? running.at(-1))?.process
  }

  #delay(process: Process | undefined, lateMs: number, forMs: number): void {
    if (process !== undefined) this.#later(forMs, process.delay(lateMs, 0))
  }

  /** Its connections end, and the server to which it comes next is behind, until the fault is over. */
  #fallBehind(process: Process | undefined, { writes, forMs }: { writes: number; forMs: number }): void {
    if (process !== undefined) this.#later(forMs, process.fallBehind(writes))
  }

  /** A process writes: what was to strike then does. */
  onWrite(point: 'before' | 'after', process: Process, kind: KindName): void {
    if (point === 'before') this.#pauseWriter(process)
    this.#failAt(point, process, kind)
    this.#failAgentAt(point, process.name)
  }

  /** A gang was written: what was to strike when it stops, or when others are to leave for it, does. */
  onGang(gang: Gang): void {
    this.#killStopping(gang)
    this.#seeHold(gang)
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

  #inflict(fault: Inflicted): void {
    const { forMs } = fault
    const nodes = !('node' in fault) ? [] : 'reach' in fault ? this.#rackOf(fault.node) : [fault.node]
    const running = 'pick' in fault ? (this.#twin.nodes.get(fault.node)?.machine.running() ?? []) : []
    const struck = 'pick' in fault ? pickOf(running, fault.pick) : undefined
    const pods = struck === undefined ? [] : [struck.uid]
    this.#later(forMs, this.#hand.inflict(fault.kind, { ...harmOf({}), ...fault }, nodes, pods))
  }

  async #failGpu(fault: Extract<Fault, { kind: 'gpu-error' }>): Promise<void> {
    const { node, xid, action, pick, forMs } = fault
    const { store, nodes } = this.#twin
    const pod = pickOf(nodes.get(node)?.machine.running() ?? [], pick)
    this.#later(forMs, async () => {
      const object = await store.get('Node', { name: node })
      if (object !== undefined && closedBecause(object) !== undefined)
        await store.patch('Node', { name: node }, opened(object))
    })
    await this.#hand.failGpu(node, pod, action === undefined ? { xid } : { xid, action }, pick)
  }

  #jump(process: Process | undefined, byMs: number, forMs: number): void {
    process?.jump(byMs)
    this.#later(forMs, () => process?.jump(-byMs))
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

  async #deleteNode({ node, isLost, forMs }: Extract<Fault, { kind: 'delete node' }>): Promise<void> {
    if (isLost) this.#strikeNode('lose node', node, forMs)
    await this.#twin.store.delete('Node', { name: node })
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
      'late control': () => this.#delay(this.#leader(), lateAtHoldMs, 2 * lateAtHoldMs),
      'suspend holder': () => this.#suspendNext(gang.metadata.name, at.forMs),
      'suspend victim': () => this.#suspendNext(victim, at.forMs),
      'kill victim': () => this.#strikeRank('kill rank', { pick: 0 }, `${victim}-`),
      'label victim': () => this.#labelOften(victim),
    }
    const doAll = () => {
      for (const one of at.acts) act[one]()
    }
    if (at.afterMs === 0) doAll()
    else this.#twin.clock.after(at.afterMs, doAll)
  }

  /** Once the write that was just seen is over: the store shows one after the other. */
  #suspendNext(job: string, forMs: number): void {
    void Promise.resolve().then(() => this.#people.suspend(job, forMs))
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
    const pod = pickOf(running, pick)
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
    const chosen = pickOf(stored, pick)
    if (chosen === undefined) return
    await blobs.put(chosen.key, rotten)
    this.#invariants.seeRotten(chosen.key, clock.now())
  }

  /** It can still be read, and is not what was committed. */
  async #rotCopy(pick: number): Promise<void> {
    const machines = [...this.#twin.nodes.values()].filter(({ machine }) => machine.hasCopies)
    const kept = await Promise.all(
      machines.map(async ({ machine: { copies } }) => (await copies.list('')).map(({ key }) => ({ copies, key }))),
    )
    const all = kept.flat()
    const chosen = all[pick % Math.max(1, all.length)]
    if (chosen === undefined) return
    const { bytes } = encodeManifest({ version: 1, files: [], parent: 'rotten' })
    await chosen.copies.put(chosen.key, bytes)
  }

  /** What an object of storage holds that is written now. */
  stored(key: string, bytes: Uint8Array): Uint8Array {
    if (!this.#isNextRotten || !key.startsWith('checkpoints/')) {
      this.#invariants.seeRotten(key, undefined)
      return bytes
    }
    this.#isNextRotten = false
    this.#invariants.seeRotten(key, Number.NEGATIVE_INFINITY)
    return rotten
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

  /** Nothing strikes any more, and what still lasts is mended. */
  async mendAll(): Promise<void> {
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
}

type Inflicted = Extract<Fault, { kind: TwinFault }>

function isInflicted(fault: Fault): fault is Inflicted {
  return faultKinds.some((kind) => kind === fault.kind && isOfTwin(kind))
}

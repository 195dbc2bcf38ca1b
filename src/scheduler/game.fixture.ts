import { type Random, seededRandom } from '../base/random.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Node } from '../model/kinds/kubernetes.ts'
import { poolOf } from '../model/nodes.ts'
import { keyOf } from '../model/refs.ts'
import { servedStepsMax } from '../model/served.ts'
import type { Change, Scheduler, Verdict } from './contract.ts'
import { hasEnded } from './fleet/read-pod.ts'
import { type Arriving, Drawn, modelOfFiller, oneOf } from './game-drawn.fixture.ts'
import { count, isSeated, Referee } from './game-rules.fixture.ts'
import { poolNamed } from './gang.fixture.ts'
import { pricesLastMs } from './preemption/preemption.ts'
import { type Happening, Rehearsal } from './rehearsal/rehearsal.ts'
import { createScheduler, type FleetScheduler } from './scheduler.ts'

/** What a game came to. */
export interface Played {
  /** Decisions. */
  steps: number
  evictions: number
  /** Of these, how many moved. */
  moves: number
  /** Means over the moments at which the world was at rest. */
  inUse: number
  rests: number
  /** Rests at which a scheduler that does not remember who displaced whom would decide something. */
  otherwise: number
  /** As it is at the end. */
  world: Rehearsal
}

/** A rule that was broken, with all that it takes to see it again. */
export class Broken extends Error {
  readonly seed: number
  readonly move: number
  readonly steps: number

  constructor(seed: number, move: number, what: string, steps = 0) {
    super(`seed ${seed}, move ${move}: ${what}`)
    this.seed = seed
    this.move = move
    this.steps = steps
  }
}

/** What others leave for a gang. */
interface Promised {
  nodes: ReadonlySet<string>
  victims: readonly string[]
  /** Something else happened since to the gang, or to what it is to sit on. */
  isSpoilt: boolean
}

export const movesMax = 400
const movesToRest = 40
/** Moves that a gang waits before it is given up. */
const patience = 60

/**
 * A random fleet, nearly full, and a random history: gangs come, end, start again, are put aside and taken up; nodes go
 * and come back; whoever is asked to leave takes his time. After each move the rules of DESIGN §7 are checked (1, 2, 5
 * and 6), and now and then all comes to rest without new work (5: no evictions without end, and nothing is kept any
 * more; 4: nobody waits for what a scheduler that looks at all of it anew would give him). The same seed plays the same
 * game.
 */
export function playGame(seed: number, moves = movesMax, options: GameOptions = {}): Played {
  return new Game(seed, options).play(moves)
}

export interface GameOptions {
  /** Minimum run times and disruption budgets; they are there unless this says no. */
  hasLimits?: boolean
  /** Fleets that are less full, in pieces, where some gangs are replicas, and others may move so that one fits. */
  hasMoves?: boolean
  /** Now and then one that sits has had a step more of accelerator-time. */
  areServed?: boolean
  /** Now and then one begins to fail again and again, or no longer does: meanwhile it displaces nobody. */
  areFailing?: boolean
  /** Pools keep spares, now more and now fewer. */
  hasSpares?: boolean
  /** All run pods, and of many that are deleted these end later. */
  doPodsOutlive?: boolean
}

class Game implements Played {
  steps = 0
  evictions = 0
  moves = 0
  inUse = 0
  rests = 0
  otherwise = 0
  readonly #seed: number
  readonly #random: Random
  readonly #drawn: Drawn
  readonly #scheduler = createScheduler()
  readonly #world: Rehearsal
  readonly #referee: Referee
  readonly #mayMove: boolean
  readonly #served: Random | undefined
  readonly #failing: Random | undefined
  readonly #spares: Random | undefined
  readonly #outliving: Random | undefined
  /** Gangs that are gone, some pods of which have not ended. */
  readonly #outlived = new Set<string>()
  #move = 0
  readonly #arrivedAt = new Map<string, number>()
  #log: string[] = []
  /** Whom something was freed for. */
  readonly #promised = new Map<string, Promised>()

  constructor(
    seed: number,
    {
      hasLimits = true,
      hasMoves = false,
      areServed = false,
      areFailing = false,
      hasSpares = false,
      doPodsOutlive = false,
    }: GameOptions,
  ) {
    this.#seed = seed
    this.#mayMove = hasMoves
    this.#random = seededRandom(seed)
    this.#drawn = new Drawn(this.#random.split('drawn'), { hasLimits, hasMoves })
    const runsPods = this.#random.split('pods').float() < 0.4 || doPodsOutlive
    this.#served = areServed ? this.#random.split('served') : undefined
    this.#failing = areFailing ? this.#random.split('failing') : undefined
    this.#spares = hasSpares ? this.#random.split('spares') : undefined
    this.#outliving = doPodsOutlive ? this.#random.split('outliving') : undefined
    const watched = watch(this.#scheduler, (verdicts) => this.#watch(verdicts))
    this.#world = new Rehearsal(watched, { nowMs: 1_000_000, runsPods })
    this.#referee = new Referee(this.#world, this.#drawn, (what) => this.#broken(what))
    for (const queue of this.#drawn.queues) this.#world.put(queue)
    for (const node of this.#drawn.nodes) this.#world.put(node)
    this.#keepSpares()
  }

  get world(): Rehearsal {
    return this.#world
  }

  play(moves: number): Played {
    for (this.#move = 0; this.#move < moves; this.#move++) {
      try {
        this.#turn()
      } catch (error) {
        if (error instanceof Broken) throw error
        this.#broken(String(error))
      }
    }
    if (this.rests > 0) this.inUse /= this.rests
    return this
  }

  #turn(): void {
    this.#act()
    this.#serve()
    this.#fail()
    this.#endOutlived(0.2)
    if (this.#move % movesToRest === movesToRest / 2) this.#keepSpares()
    this.#follow(this.#world.play())
    this.#referee.audit()
    if (this.#move % movesToRest === movesToRest - 1) this.#rest()
  }

  #broken(what: string): never {
    throw new Broken(this.#seed, this.#move, [what, ...this.#log.slice(-12)].join('\n  '), this.steps)
  }

  // ---- moves ----

  #act(): void {
    const random = this.#random
    const world = this.#world
    world.nowMs += random.int(0, 30) * 1000
    this.#giveUp()
    this.#fill()
    const draw = random.float()
    if (draw < 0.25) this.#endSome()
    else if (draw < 0.4) this.#withGang(isSeated, (key) => this.#restart(key))
    else if (draw < 0.5) this.#withGang(isSeated, (key) => this.#checkpoint(key))
    else if (draw < 0.6) this.#withGang(isWanting, (key) => this.#suspend(key))
    else if (draw < 0.68) this.#withGang(isAside, (key) => this.#resume(key))
    else if (draw < 0.8) this.#letGo()
    else if (draw < 0.86) this.#changeNode()
    else if (draw < 0.9) this.#withGang(isWanting, (key) => this.#reprioritize(key))
    else if (draw < 0.94)
      this.#withGang(
        () => true,
        (key) => this.#forget(key),
      )
    else if (draw < 0.96) this.#changeQueue()
    else this.#loseWrite()
  }

  /** Half as much again is wanted as there is, or a tenth, and of each model somebody small waits for whatever others leave. */
  #fill(): void {
    let wanted = 0
    const small = new Map(this.#drawn.models.map((model) => [model, 0]))
    for (const gang of this.#world.gangs.values()) {
      if (gang.spec.suspend) continue
      wanted += leastOf(gang.spec.groups)
      const model = modelOfFiller(gang)
      if (model !== undefined && !isSeated(gang)) count(small, model, 1)
    }
    const most = (this.#mayMove ? 1.1 : 1.5) * this.#drawn.capacity
    while (wanted < most) wanted += this.#come(this.#drawn.gang())
    if (this.#mayMove) return
    for (const [model, waiting] of small)
      for (let more = waiting; more < 2; more++) this.#come(this.#drawn.filler(model))
  }

  #come(gang: Arriving): number {
    const restarts = { conditions: [], checkpoints: [], restartSeconds: 1 }
    this.#world.put(this.#mayMove ? { ...gang, status: restarts } : gang)
    const key = keyOf(gang)
    if (this.#random.float() < 0.5) this.#world.slow.add(key)
    this.#arrivedAt.set(key, this.#move)
    return leastOf(gang.spec.groups)
  }

  /** Who waits for very long is given up: some can never sit. */
  #giveUp(): void {
    for (const [key, gang] of [...this.#world.gangs]) {
      if (isSeated(gang)) this.#arrivedAt.set(key, this.#move)
      else if ((this.#arrivedAt.get(key) ?? 0) + patience < this.#move) this.#forget(key)
    }
  }

  #withGang(is: (gang: Gang) => boolean, then: (key: string) => void): void {
    const keys: string[] = []
    for (const [key, gang] of this.#world.gangs) if (is(gang)) keys.push(key)
    if (keys.length > 0) then(oneOf(this.#random, keys))
  }

  #note(what: string): void {
    this.#log.push(what)
  }

  /**
   * Something of its own happened to the gang: what was freed for it may be of no use any more. Whoever was not asked to
   * leave for it yet stays, and others may have counted on that one.
   */
  #spoil(key: string): void {
    const promise = this.#promised.get(key)
    if (promise === undefined) return
    promise.isSpoilt = true
    const isUnasked = (victim: string) => this.#world.gangs.get(victim)?.status?.eviction === undefined
    if (promise.victims.some(isUnasked)) for (const other of this.#promised.values()) other.isSpoilt = true
  }

  #endSome(): void {
    for (let count = this.#random.int(1, 3); count > 0; count--) this.#withGang(isSeated, (key) => this.#forget(key))
  }

  #forget(key: string): void {
    this.#note(`${key} goes`)
    this.#spoil(key)
    if ((this.#outliving?.float() ?? 1) < 0.7) {
      this.#note('its pods end later')
      this.#outlived.add(key)
    } else this.#endPods(key)
    this.#world.apply({ kind: 'Gang', deleted: key })
    this.#world.slow.delete(key)
    this.#promised.delete(key)
    this.#arrivedAt.delete(key)
  }

  #endPods(key: string): void {
    this.#world.endAll(key)
    for (const [name, pod] of this.#world.pods) {
      if (keyOf(pod).startsWith(`${key}-`)) this.#world.apply({ kind: 'Pod', deleted: name })
    }
  }

  #endOutlived(chance: number): void {
    for (const key of this.#outlived) {
      if ((this.#outliving?.float() ?? 1) > chance) continue
      this.#note(`pods of ${key} end`)
      this.#outlived.delete(key)
      this.#endPods(key)
    }
  }

  #restart(key: string): void {
    this.#note(`${key} starts again`)
    this.#spoil(key)
    this.#world.restart(key)
  }

  #checkpoint(key: string): void {
    const { nowMs } = this.#world
    const at = new Date(nowMs - this.#random.int(0, 600) * 1000).toISOString()
    const { attempt } = this.#world.gangOf(key).spec
    const checkpoint = { step: 1, attempt, at, digest: 'd', bytes: 1, manifests: [] }
    this.#world.edit(key, {}, { checkpoint, restartSeconds: this.#random.int(1, 300) })
  }

  /** Whoever sits has had more accelerator-time by now. */
  #serve(): void {
    const { gangs } = this.#world
    for (const [key, gang] of this.#served === undefined ? [] : [...gangs]) {
      const { served = 0 } = gang.spec
      if (!isSeated(gang) || served >= servedStepsMax || (this.#served?.float() ?? 1) > 0.05) continue
      this.#note(`${key} has been served ${served + 1} steps`)
      this.#spoil(key)
      this.#world.edit(key, { served: served + 1 })
    }
  }

  #fail(): void {
    const { gangs } = this.#world
    for (const [key, { spec }] of this.#failing === undefined ? [] : [...gangs]) {
      if ((this.#failing?.float() ?? 1) > 0.03) continue
      const preemptionPolicy = spec.preemptionPolicy === 'Never' ? 'PreemptLowerPriority' : 'Never'
      this.#note(`${key} preempts: ${preemptionPolicy}`)
      this.#spoil(key)
      this.#world.edit(key, { preemptionPolicy })
    }
  }

  #keepSpares(): void {
    for (const pool of this.#spares === undefined ? [] : poolsOf(this.#drawn.nodes)) {
      const spares = this.#spares?.int(0, 2) ?? 0
      this.#note(`pool ${pool} keeps ${spares} spares`)
      for (const promise of this.#promised.values()) promise.isSpoilt = true
      this.#world.put(poolNamed(pool, spares))
    }
  }

  #suspend(key: string): void {
    this.#note(`${key} is put aside`)
    this.#spoil(key)
    this.#world.edit(key, { suspend: true })
  }

  #resume(key: string): void {
    this.#note(`${key} is taken up again`)
    const { attempt } = this.#world.gangOf(key).spec
    this.#world.edit(key, { suspend: false, attempt: attempt + 1 })
  }

  #reprioritize(key: string): void {
    const priority = this.#random.int(0, 2)
    this.#note(`${key} has priority ${priority}`)
    this.#world.edit(key, { priority })
  }

  /** Those who take their time go at last. */
  #letGo(): void {
    const slow = [...this.#world.slow]
    for (let count = this.#random.int(1, 4); count > 0 && slow.length > 0; count--) {
      this.#world.slow.delete(oneOf(this.#random, slow))
    }
  }

  #changeNode(): void {
    const { nodes } = this.#drawn
    const away = nodes.find(({ metadata }) => !this.#isOpen(metadata.name))
    const object = away !== undefined && this.#random.float() < 0.7 ? away : oneOf(this.#random, nodes)
    const { name } = object.metadata
    const isOpen = this.#isOpen(name)
    this.#note(isOpen ? `node ${name} goes` : `node ${name} is back`)
    for (const promise of this.#promised.values()) if (promise.nodes.has(name)) promise.isSpoilt = true
    if (!isOpen) this.#world.put(object)
    else if (this.#random.float() < 0.5) this.#world.put({ ...object, spec: { ...object.spec, unschedulable: true } })
    else this.#lose(object)
  }

  #isOpen(name: string): boolean {
    const node = this.#world.nodes.get(name)
    return node !== undefined && node.spec?.unschedulable !== true
  }

  /** Its pods are gone with it, and recovery begins new attempts elsewhere. */
  #lose({ metadata: { name } }: Node): void {
    this.#world.apply({ kind: 'Node', deleted: name })
    for (const [key, pod] of this.#world.pods) if (pod.spec.nodeName === name && !hasEnded(pod)) this.#world.end(key)
    for (const [key, gang] of [...this.#world.gangs]) {
      if (isSeated(gang) && gang.status?.seats?.members.some(({ node }) => node === name)) this.#restart(key)
    }
  }

  /** One at a time is stopped, and not for long. */
  #changeQueue(): void {
    const { queues } = this.#drawn
    const stopped = queues.find(({ metadata }) => this.#world.queues.get(metadata.name)?.spec.stopPolicy !== 'None')
    const queue = stopped ?? oneOf(this.#random, queues)
    const { name } = queue.metadata
    const mayStop = stopped === undefined && name !== 'open'
    const stopPolicy = mayStop ? oneOf(this.#random, ['None', 'None', 'Hold', 'HoldAndDrain'] as const) : 'None'
    const weight = oneOf(this.#random, [0, 1, 2])
    this.#note(`queue ${name} is changed: ${stopPolicy}, weight ${weight}`)
    for (const promise of this.#promised.values()) promise.isSpoilt = true
    this.#world.put({ ...queue, spec: { ...queue.spec, weight, stopPolicy } })
  }

  /** Somebody else writes between a decision and its commit. */
  #loseWrite(): void {
    const world = this.#world
    this.#withGang(isSeated, (key) => this.#restart(key))
    const verdicts = world.scheduler.decide(world.nowMs)
    for (const verdict of verdicts) {
      if (this.#random.float() < 0.5 && world.gangs.has(verdict.gang)) {
        this.#note(`${verdict.gang} is written meanwhile`)
        this.#spoil(verdict.gang)
        world.edit(verdict.gang, { expectedSeconds: this.#random.int(1, 999) })
      }
      world.commit(verdict)
    }
  }

  // ---- rules ----

  #watch(verdicts: readonly Verdict[]): void {
    this.steps++
    const leaving = new Set<string>()
    this.#referee.checkSpares(verdicts)
    for (const verdict of verdicts) {
      const { gang } = verdict
      if (verdict.kind === 'bind') this.#promised.delete(gang)
      else if (verdict.kind === 'preempt') {
        const nodes = new Set(verdict.seats.members.map(({ node }) => node))
        this.#promised.set(gang, { nodes, victims: verdict.victims.map((one) => one.gang), isSpoilt: false })
        if (this.#world.gangOf(gang).spec.preemptionPolicy === 'Never')
          this.#broken(`${gang} displaces somebody, and it fails again and again`)
        this.#referee.checkBudgets(gang, verdict.victims, leaving)
        for (const victim of verdict.victims) {
          if (!leaving.has(victim.gang)) this.#referee.checkHasRun(gang, victim.gang)
          leaving.add(victim.gang)
        }
        this.#note(`${gang} on ${[...nodes].join(' ')} for ${verdict.victims.map((one) => one.gang).join(', ')}`)
      } else if (verdict.kind === 'release') {
        const promise = this.#promised.get(gang)
        this.#promised.delete(gang)
        if (promise?.isSpoilt === false)
          this.#broken(
            `${gang} gives up what others left for it: ${this.#world.scheduler.why(gang, this.#world.nowMs).message}`,
          )
      }
    }
  }

  #follow(course: readonly Happening[]): number {
    let left = 0
    for (const one of course) {
      if (one.kind !== 'left') continue
      left++
      if ('by' in one.why && one.why.reason === 'Defragmentation') this.moves++
      this.#spoil(one.gang)
      this.#note(`${one.gang} leaves: ${JSON.stringify(one.why)}`)
    }
    this.evictions += left
    return left
  }

  /** Nobody comes or ends, everybody leaves when asked: all must come to rest. */
  #rest(): void {
    const world = this.#world
    world.slow.clear()
    this.#endOutlived(1)
    const before = new Map(world.gangs)
    const left = this.#follow(world.play())
    if (left > 10 * before.size) this.#broken(`${left} evictions among ${before.size} gangs before there was rest`)
    this.#referee.audit()
    this.rests++
    this.inUse += this.#used()
    for (const [key, gang] of world.gangs) {
      if (gang.status?.hold?.attempt === gang.spec.attempt && !gang.spec.suspend)
        this.#broken(`${key} still waits for what is kept for it`)
    }
    // Whoever may displace somebody only because prices are others by now does so within that time.
    if (this.#missed() !== undefined) {
      world.nowMs += pricesLastMs
      this.#follow(world.play())
    }
    const missed = this.#missed()
    if (missed !== undefined) this.#broken(`at rest, but decided anew: ${JSON.stringify(missed).slice(0, 500)}`)
    this.#auditQuota()
    if (this.#decidedAnew() !== undefined) this.otherwise++
    for (const [name, pod] of world.pods) if (hasEnded(pod)) world.apply({ kind: 'Pod', deleted: name })
  }

  /** Queues are charged for what is told, whatever came before. */
  #auditQuota(): void {
    const stranger = this.#toldAnew()
    for (const queue of this.#world.queues.keys()) {
      for (const model of this.#drawn.models) {
        const [is, told] = [this.#scheduler, stranger].map(({ quota }) => quota.usage(queue, model))
        if (is !== told) this.#broken(`queue ${queue} is charged for ${is}/1000 ${model}, and holds ${told}`)
      }
    }
  }

  /** What somebody waits for in vain. */
  #missed(): Verdict | undefined {
    return this.#decidedAnew((successor) => successor.takeOver(this.#scheduler))
  }

  /** The part of the open nodes that is held. */
  #used(): number {
    let total = 0
    for (const { spec } of this.#world.nodes.values())
      if (spec?.unschedulable !== true) total += this.#drawn.capacity / this.#drawn.nodes.length
    let milli = 0
    for (const { spec, status } of this.#world.gangs.values()) {
      if (status?.seats?.attempt !== spec.attempt) continue
      for (const { node, devices } of status.seats.members) {
        if (this.#world.nodes.get(node)?.spec?.unschedulable === true || !this.#world.nodes.has(node)) continue
        for (const one of devices) milli += one.milli
      }
    }
    return total === 0 ? 1 : milli / 1000 / total
  }

  /** The first that a scheduler gives or takes which is told all this anew. */
  #decidedAnew(prepare: (successor: FleetScheduler) => void = () => undefined): Verdict | undefined {
    const successor = this.#toldAnew()
    prepare(successor)
    return successor.decide(this.#world.nowMs).find(({ kind }) => kind !== 'wait' && kind !== 'resize')
  }

  #toldAnew(): FleetScheduler {
    const { queues, nodes, pools, gangs, pods } = this.#world
    const successor = createScheduler()
    for (const object of queues.values()) successor.apply({ kind: 'Queue', object })
    for (const object of nodes.values()) successor.apply({ kind: 'Node', object })
    for (const object of pools.values()) successor.apply({ kind: 'Pool', object })
    for (const object of gangs.values()) successor.apply({ kind: 'Gang', object })
    for (const object of pods.values()) successor.apply({ kind: 'Pod', object })
    return successor
  }
}

function watch(scheduler: Scheduler, look: (verdicts: readonly Verdict[]) => void): Scheduler {
  return {
    apply: (change: Change) => scheduler.apply(change),
    decide: (nowMs) => {
      const verdicts = scheduler.decide(nowMs)
      look(verdicts)
      return verdicts
    },
    settle: (verdict, outcome) => scheduler.settle(verdict, outcome),
    why: (gang, nowMs) => scheduler.why(gang, nowMs),
  }
}

function poolsOf(nodes: readonly Node[]): string[] {
  return [...new Set(nodes.flatMap((node) => poolOf(node) ?? []))]
}

function isWanting({ spec }: Gang): boolean {
  return !spec.suspend
}

function isAside({ spec }: Gang): boolean {
  return spec.suspend
}

/** Accelerators of its fewest members. */
function leastOf(groups: Gang['spec']['groups']): number {
  return groups.reduce((sum, { min, accelerators }) => sum + min * (accelerators[0]?.count ?? 0), 0)
}

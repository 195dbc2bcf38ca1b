import { type Random, seededRandom } from '../base/random.ts'
import { neededOf } from '../model/kinds/disruption-budget.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Node } from '../model/kinds/kubernetes.ts'
import { annotation } from '../model/names.ts'
import { keyOf } from '../model/refs.ts'
import type { Change, Scheduler, Verdict, Victim } from './contract.ts'
import { hasEnded } from './fleet/read-pod.ts'
import { type Arriving, Drawn, modelOfFiller, oneOf } from './game-drawn.fixture.ts'
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

export const movesMax = 400
const movesToRest = 40
/** Moves that a gang waits before it is given up. */
const patience = 60

/**
 * A random fleet, nearly full, and a random history: gangs come, end, start again, are put aside and taken up; nodes go
 * and come back; whoever is asked to leave takes his time. After each move the rules of DESIGN §7 are checked (1, 2, 5
 * and 6), and now and then all comes to rest without new work (5: no evictions without end, and nothing is kept any
 * more; 4: nobody waits for what a scheduler that looks at all of it anew would give him). The same seed plays the same
 * game. `hasLimits`: with minimum run times and disruption budgets. `hasMoves`: fleets that are less full,
 * in pieces, where some gangs are replicas, and others may move so that one fits. `areServed`: now and then one that sits has
 * had a step more of accelerator-time.
 */
export function playGame(
  seed: number,
  moves = movesMax,
  hasLimits = true,
  hasMoves = false,
  areServed = false,
): Played {
  return new Game(seed, hasLimits, hasMoves, areServed).play(moves)
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
  readonly #withPods: boolean
  readonly #owned: ReturnType<typeof ownedIn>
  readonly #mayMove: boolean
  readonly #served: Random | undefined
  #move = 0
  readonly #arrivedAt = new Map<string, number>()
  #log: string[] = []
  /** Whom something was freed for, by gang; `isSpoilt` once something else happened to it. */
  readonly #promised = new Map<string, { attempt: number; nodes: Set<string>; isSpoilt: boolean }>()

  constructor(seed: number, hasLimits: boolean, hasMoves: boolean, areServed: boolean) {
    this.#seed = seed
    this.#mayMove = hasMoves
    this.#random = seededRandom(seed)
    this.#drawn = new Drawn(this.#random.split('drawn'), { hasLimits, hasMoves })
    this.#withPods = this.#random.split('pods').float() < 0.4
    this.#served = areServed ? this.#random.split('served') : undefined
    const watched = watch(this.#scheduler, (verdicts) => this.#watch(verdicts))
    this.#world = new Rehearsal(watched, { nowMs: 1_000_000, runsPods: this.#withPods })
    this.#owned = ownedIn(this.#drawn)
    for (const queue of this.#drawn.queues) this.#world.put(queue)
    for (const node of this.#drawn.nodes) this.#world.put(node)
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
    this.#follow(this.#world.play())
    this.#audit()
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
    if (promise !== undefined) promise.isSpoilt = true
    const victims = this.#world.gangs.get(key)?.status?.hold?.victims ?? []
    const isUnasked = ({ gang }: { gang: string }) => this.#world.gangs.get(gang)?.status?.eviction === undefined
    if (victims.some(isUnasked)) for (const other of this.#promised.values()) other.isSpoilt = true
  }

  #endSome(): void {
    for (let count = this.#random.int(1, 3); count > 0; count--) this.#withGang(isSeated, (key) => this.#forget(key))
  }

  #forget(key: string): void {
    this.#note(`${key} goes`)
    this.#spoil(key)
    this.#world.endAll(key)
    for (const [name, pod] of this.#world.pods) {
      if (keyOf(pod).startsWith(`${key}-`)) this.#world.apply({ kind: 'Pod', deleted: name })
    }
    this.#world.apply({ kind: 'Gang', deleted: key })
    this.#world.slow.delete(key)
    this.#promised.delete(key)
    this.#arrivedAt.delete(key)
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
      if (!isSeated(gang) || served >= 15 || (this.#served?.float() ?? 1) > 0.05) continue
      this.#note(`${key} has been served ${served + 1} steps`)
      this.#spoil(key)
      this.#world.edit(key, { served: served + 1 })
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
    for (const verdict of verdicts) {
      const { gang } = verdict
      if (verdict.kind === 'bind') this.#promised.delete(gang)
      else if (verdict.kind === 'preempt') {
        const nodes = new Set(verdict.seats.members.map(({ node }) => node))
        this.#promised.set(gang, { attempt: verdict.attempt, nodes, isSpoilt: false })
        this.#checkBudgets(gang, verdict.victims, leaving)
        for (const victim of verdict.victims) {
          if (!leaving.has(victim.gang)) this.#checkHasRun(gang, victim.gang)
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

  /** Whoever is asked to leave has had its minimum run time, by the nearest Queue that both are part of. */
  #checkHasRun(by: string, key: string): void {
    const { spec, status } = this.#world.gangOf(key)
    const isAsked = status?.eviction?.attempt === spec.attempt || this.#isVictim(key)
    if (isAsked || status?.seats === undefined) return
    const theirs = this.#pathOf(spec.queue)
    const common = this.#pathOf(this.#world.gangOf(by).spec.queue).filter((name) => theirs.includes(name))
    const policies = common.flatMap((name) => this.#world.queues.get(name)?.spec.preemption?.minRunSeconds ?? [])
    const ranMs = this.#world.nowMs - Date.parse(status.seats.at)
    if (ranMs < 1000 * (policies[0] ?? 0))
      this.#broken(`${key} leaves for ${by} after ${ranMs} ms, not ${policies[0]} s`)
  }

  /** Within its own queue nobody breaks a disruption budget. */
  #checkBudgets(by: string, victims: readonly Victim[], leaving: ReadonlySet<string>): void {
    const gangs = this.#world.gangs
    const isAvailable = (key: string) => {
      const gang = gangs.get(key)
      const isAsked = gang?.status?.eviction?.attempt === gang?.spec.attempt
      return gang !== undefined && isSeated(gang) && !isAsked && !leaving.has(key) && !this.#isVictim(key)
    }
    for (const { gang, reason } of victims) {
      const budget = gangs.get(gang)?.spec.disruptionBudget
      if (budget === undefined || reason !== 'InQueue' || !isAvailable(gang)) continue
      const sharing = [...gangs].filter(([, { spec }]) => spec.disruptionBudget?.of === budget.of && !spec.suspend)
      const gone = new Set(victims.flatMap((one) => (one.reason === 'InQueue' ? [one.gang] : [])))
      const stay = sharing.filter(([key]) => isAvailable(key) && !gone.has(key)).length
      const needed = neededOf(budget, sharing.length)
      if (stay < needed) this.#broken(`${gang} leaves for ${by}: ${stay} of ${sharing.length} stay, not ${needed}`)
    }
  }

  /** Somebody is to sit on what its present attempt holds: who has left for that, and sits again, is nobody's victim. */
  #isVictim(key: string): boolean {
    const attempt = this.#world.gangs.get(key)?.spec.attempt
    return [...this.#world.gangs.values()].some(
      ({ spec, status }) =>
        status?.hold?.attempt === spec.attempt &&
        status.hold.victims.some((victim) => victim.gang === key && victim.attempt === attempt),
    )
  }

  /** The queue and those above it, nearest first. */
  #pathOf(queue: string): string[] {
    const parent = this.#world.queues.get(queue)?.spec.parent
    return parent === undefined ? [queue] : [queue, ...this.#pathOf(parent)]
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

  /** Counted afresh, from the objects alone. */
  #audit(): void {
    const { gangs, pods } = this.#world
    const used = new Map<string, number>()
    const kept = new Map<string, { milli: number; victims: ReadonlySet<string> }>()
    for (const [key, { spec, status }] of gangs) {
      const { seats, hold, eviction } = status ?? {}
      // Void seats are kept until it sits again, but not if they were asked back.
      const isGone = seats?.attempt !== spec.attempt && eviction?.attempt === seats?.attempt
      if (seats !== undefined && !isGone) {
        if (seats.attempt === spec.attempt) this.#checkMembers(key, spec, seats.members)
        for (const { devices } of seats.members) for (const { id, milli } of devices) count(used, id, milli)
      }
      // Of the seats of its next attempt, those that it has already are counted as such.
      const isNext = hold !== undefined && hold.attempt === spec.attempt + 1 && seats?.attempt === spec.attempt
      if (hold === undefined || (hold.attempt !== spec.attempt && !isNext)) continue
      this.#checkMembers(key, spec, hold.members)
      const victims = new Set(hold.victims.map(({ gang }) => gang))
      const has = new Set(isNext ? seats?.members.flatMap(({ devices }) => devices.map(({ id }) => id)) : [])
      for (const { devices } of this.#isTaken(key) ? [] : hold.members) {
        for (const { id, milli } of devices) {
          if (has.has(id)) continue
          const before = kept.get(id)
          kept.set(id, {
            milli: (before?.milli ?? 0) + milli,
            victims: new Set([...(before?.victims ?? []), ...victims]),
          })
        }
      }
    }
    for (const [id, milli] of used) if (milli > 1000) this.#broken(`${id} is promised twice: ${milli}/1000`)
    for (const [id, { milli, victims }] of kept) {
      if (milli > 1000) this.#broken(`${id} is kept twice: ${milli}/1000`)
      if ((used.get(id) ?? 0) + milli <= 1000) continue
      if (this.#stayOn(id, victims) + milli > 1000) this.#broken(`${id} is kept for one and given to another`)
    }
    this.#auditFirm()
    if (this.#withPods) this.#auditPods(pods)
  }

  /** What nobody can take back is within what its queue owns, or within what no queue does. */
  #auditFirm(): void {
    const { limits, modelOf } = this.#owned
    const held = new Map<string, number>()
    for (const { spec, status } of this.#world.gangs.values()) {
      const kept = status?.hold?.attempt === spec.attempt ? status.hold : status?.seats
      for (const { devices } of spec.preemptible ? [] : (kept?.members ?? [])) {
        for (const { id, milli } of devices) {
          const own = `${spec.queue} ${modelOf.get(id)}`
          count(held, limits.has(own) ? own : `nobody ${modelOf.get(id)}`, milli)
        }
      }
    }
    for (const [owner, milli] of held) {
      const limit = limits.get(owner) ?? 0
      if (milli > limit) this.#broken(`${milli}/${limit} of ${owner} cannot be taken back`)
    }
  }

  /** Another sits in its place already, maybe on what was kept. */
  #isTaken(key: string): boolean {
    const other = this.#world.gangs.get(`${key}-moved`)
    return other !== undefined && isSeated(other)
  }

  /** What those hold of the device who are not asked to leave. */
  #stayOn(id: string, victims: ReadonlySet<string>): number {
    let milli = 0
    for (const [key, { spec, status }] of this.#world.gangs) {
      const isOld = status?.seats?.attempt !== spec.attempt || spec.suspend
      if (victims.has(key) || isOld || status?.eviction?.attempt === spec.attempt) continue
      for (const { devices } of status?.seats?.members ?? [])
        for (const one of devices) if (one.id === id) milli += one.milli
    }
    return milli
  }

  #checkMembers(
    key: string,
    { groups }: Gang['spec'],
    members: NonNullable<NonNullable<Gang['status']>['seats']>['members'],
  ): void {
    for (const { name, min, max } of groups) {
      let seated = 0
      for (const { group } of members) if (group === name) seated++
      if (seated < min || seated > max) this.#broken(`${key} has ${seated} members of ${name}, not ${min} to ${max}`)
    }
  }

  /** No two that live use more of a device than there is. */
  #auditPods(pods: Rehearsal['pods']): void {
    const milliOf = new Map<string, number>()
    for (const { status } of this.#world.gangs.values()) {
      for (const { pod, devices } of status?.seats?.members ?? []) {
        for (const { id, milli } of devices) milliOf.set(`${pod} ${id}`, milli)
      }
    }
    const used = new Map<string, number>()
    for (const pod of pods.values()) {
      if (hasEnded(pod)) continue
      for (const id of (pod.metadata.annotations?.['millwright.dev/devices'] ?? '').split(',')) {
        count(used, id, milliOf.get(`${pod.metadata.name} ${id}`) ?? 1)
      }
    }
    for (const [id, milli] of used) if (milli > 1000) this.#broken(`pods use ${milli}/1000 of ${id}`)
  }

  /** Nobody comes or ends, everybody leaves when asked: all must come to rest. */
  #rest(): void {
    const world = this.#world
    world.slow.clear()
    const before = new Map(world.gangs)
    const left = this.#follow(world.play())
    if (left > 10 * before.size) this.#broken(`${left} evictions among ${before.size} gangs before there was rest`)
    this.#audit()
    this.rests++
    this.inUse += this.#used()
    for (const [key, gang] of world.gangs) {
      if (gang.status?.hold?.attempt === gang.spec.attempt && !gang.spec.suspend)
        this.#broken(`${key} still waits for what is kept for it`)
    }
    const missed = this.#decidedAnew((successor) => successor.takeOver(this.#scheduler))
    if (missed !== undefined) this.#broken(`at rest, but decided anew: ${JSON.stringify(missed).slice(0, 500)}`)
    if (this.#decidedAnew() !== undefined) this.otherwise++
    for (const [name, pod] of world.pods) if (hasEnded(pod)) world.apply({ kind: 'Pod', deleted: name })
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
    const { queues, nodes, gangs, pods, nowMs } = this.#world
    const successor = createScheduler()
    for (const object of queues.values()) successor.apply({ kind: 'Queue', object })
    for (const object of nodes.values()) successor.apply({ kind: 'Node', object })
    for (const object of gangs.values()) successor.apply({ kind: 'Gang', object })
    for (const object of pods.values()) successor.apply({ kind: 'Pod', object })
    prepare(successor)
    return successor.decide(nowMs).find(({ kind }) => kind !== 'wait' && kind !== 'resize')
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

/** Milli-accelerators that each queue owns (`queue model`), and nobody; and what each device is. */
function ownedIn({ nodes, queues, models }: Drawn) {
  const devices = nodes.flatMap(devicesOf)
  const limits = new Map<string, number>()
  for (const model of models) {
    let rest = 1000 * devices.filter((one) => one.model === model).length
    for (const { metadata, spec } of queues) {
      const own = spec.nominalQuota?.[model]
      if (own === undefined) continue
      limits.set(`${metadata.name} ${model}`, 1000 * own)
      rest -= 1000 * own
    }
    limits.set(`nobody ${model}`, Math.max(0, rest))
  }
  return { limits, modelOf: new Map(devices.map(({ id, model }) => [id, model])) }
}

function devicesOf({ metadata }: Node): { id: string; model: string }[] {
  return JSON.parse(metadata.annotations?.[annotation.nodeDevices] ?? '[]')
}

function isSeated({ spec, status }: Gang): boolean {
  return !spec.suspend && status?.seats?.attempt === spec.attempt
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

function count(amounts: Map<string, number>, id: string, milli: number): void {
  amounts.set(id, (amounts.get(id) ?? 0) + milli)
}

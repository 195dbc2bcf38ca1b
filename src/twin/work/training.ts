import type { PodSignal } from '../../agent/contract.ts'
import type { Program, SimulatedPod } from '../../agent/simulated/machine.ts'
import type { Cancel, Clock } from '../../base/clock.ts'
import { stepsSign } from '../../model/signs.ts'
import { type StepModel, type Stretch, slowestMs, stepMsOf, stepsIn, stretchMs } from './step-time.ts'

/** How a training job performs. Times in milliseconds. */
export interface TrainingModel extends StepModel {
  /** Steps until it is done. */
  steps: number
  /** From the start of the last rank to the first step: rendezvous, communicators, warm-up. */
  initMs: number
  /** Training stands still for so long at a checkpoint. */
  stallMs: number
  /** From there until it is stored. */
  persistMs: number
  /** What one writing rank stores. */
  checkpointBytes: number
  /** Which ranks tell their progress. */
  progress: 'first' | 'all'
  /** A rank whose peer is gone ends with an error after so long. */
  peerLostMs: number
  /** Where ranks come and go: the others stand still for so long when one leaves, and when one joins; left out: not at all. */
  regroupMs?: number
  /** From SIGTERM until a rank ends; left out: at once. It may be longer than its grace. */
  stopMs?: number
}

/** What their machines and the network do to ranks. */
export interface RankHealth {
  /** 1: as it should be; 1.5: each step takes half as long again. */
  slowness(pod: SimulatedPod): number
  /** What makes it compute wrong results; undefined: nothing does. `latencyMs`: of training, until the loss shows them. */
  corruption(pod: SimulatedPod): { latencyMs: number } | undefined
  /** Whether its machine has no room for what it writes. */
  isDiskFull(pod: SimulatedPod): boolean
  /** Whether each of them reaches each other. */
  areJoined(pods: readonly SimulatedPod[]): boolean
}

/** From a step on the state of a job is wrong, and so is what follows from it. */
export interface Corruption {
  /** The last step whose result was right. */
  after: number
  /** From this one on the loss is no number. */
  shownAt: number
}

/** Where an attempt begins. */
export interface Start {
  step: number
  corruption?: Corruption | undefined
  /** Whether ranks may come and go from then on. */
  rejoins?: boolean
}

interface Rank {
  pod: SimulatedPod
  isHung: boolean
  /** It was told to stand still (SIGSTOP). */
  isFrozen: boolean
  /** It has come to those who are at work, or began with them. */
  hasJoined: boolean
  /** It has done no step yet. */
  isNew: boolean
  sign: Cancel | undefined
}

/** Undisturbed steps, from one of which something was to be seen to the next. */
interface Undisturbed extends Stretch {
  /** Where and when it began. */
  step: number
  atMs: number
  /** What ranks take over a step of it by themselves, where that varies. */
  busyMs: ReadonlyMap<Rank, number> | undefined
}

/**
 * The ranks of one attempt of a training job. They compute in step: all wait for the slowest, and for ever for one that
 * is gone or hangs. Where ranks come and go the others go on without it instead, and take in who comes. Steps are not
 * simulated one by one: only the first few, the checkpoints and the end. Where ranks are not always as fast, one draw of each of
 * them stands for all steps from one that is told to the next.
 */
export class Ensemble {
  readonly #clock: Clock
  readonly #beat: (who: string, everyMs: number) => Cancel
  readonly #model: TrainingModel
  readonly #health: RankHealth
  readonly #size: number
  readonly #from: number
  readonly #kept: (step: number, corruption: Corruption) => void
  readonly #ranks = new Map<number, Rank>()
  readonly #normal: () => number
  #base: Undisturbed | undefined
  #next: Cancel | undefined
  /** The step at which all stand still for a checkpoint. */
  #stalledAt: number | undefined
  /** Steps already told, so that a stretch that begins anew tells no step twice. */
  #told: number
  /** Each step is told up to here. */
  #tellTo: number
  #request: { step: number; stop: boolean } | undefined
  #corruption: Corruption | undefined
  #isBroken = false
  #hasBegun = false
  /** What ends them, unless they reach each other again before. */
  #parted: Cancel | undefined
  /** Ranks come and go. */
  readonly #rejoins: boolean
  /** How long they have stood still for that since their last step, and since when they do now. */
  #regroupedMs = 0
  #regroupsSinceMs: number | undefined

  /** `kept` hears of checkpoints that hold wrong results; `normal` draws from a standard normal. */
  constructor(
    kit: {
      normal(): number
      clock: Clock
      beat(who: string, everyMs: number): Cancel
      health: RankHealth
      kept(step: number, corruption: Corruption): void
    },
    model: TrainingModel,
    size: number,
    { step: from, corruption, rejoins = false }: Start,
  ) {
    this.#rejoins = rejoins
    this.#clock = kit.clock
    this.#beat = kit.beat
    this.#health = kit.health
    this.#normal = kit.normal
    this.#model = model
    this.#size = size
    this.#from = from
    this.#corruption = corruption
    this.#kept = kit.kept
    this.#told = from
    this.#tellTo = from + toldFirst
  }

  join(pod: SimulatedPod): Program {
    const rank: Rank = { pod, isHung: false, isFrozen: false, hasJoined: !this.#hasBegun, isNew: true, sign: undefined }
    this.#ranks.set(pod.place.rank, rank)
    if (this.#comeAndGo) this.#clock.after(this.#model.initMs, () => this.#takeIn(rank))
    else if (this.#ranks.size === this.#size && !this.#isBroken) {
      this.#goOn()
      this.networkChanged()
    }
    return {
      ask: (request) => this.#ask(request),
      signal: (signal) => this.#signal(rank, signal),
      probe: () => undefined,
      gone: () => this.#lose(rank),
    }
  }

  /** The rank makes no step any more, and says nothing. */
  hang(pod: SimulatedPod): void {
    const rank = this.#ranks.get(pod.place.rank)
    if (rank === undefined || rank.isHung) return
    rank.isHung = true
    this.#standFor(rank)
  }

  /** A rank crashes by itself. */
  fail(pod: SimulatedPod, exitCode: number): void {
    const rank = this.#ranks.get(pod.place.rank)
    if (rank === undefined) return
    this.#lose(rank)
    pod.exit({ exitCode })
  }

  /** Some rank became slower or faster. */
  paceChanged(): void {
    const step = this.#stepNow()
    if (step === undefined) return
    this.#tellTo = step + toldAnew
    if (this.#stalledAt === undefined) this.#begin(step)
  }

  /** Some rank computes wrongly, and all of them go on from that. */
  corruptionBegan(): void {
    const step = this.#stepNow()
    if (step === undefined) return
    this.#corruptAfter(step)
    if (this.#base !== undefined && this.#stalledAt === undefined) this.#plan()
  }

  #corruptAfter(step: number): void {
    if (this.#corruption !== undefined) return
    const found = this.#pods().flatMap((pod) => this.#health.corruption(pod)?.latencyMs ?? [])
    if (found.length === 0) return
    const shownAt = step + 1 + Math.round(Math.min(...found) / this.#model.stepMs)
    this.#corruption = { after: step, shownAt }
  }

  /** Collectives of ranks that do not reach each other stand still, and go on, or fail when the communicator gives up. */
  networkChanged(): void {
    const isFull = this.#comeAndGo || this.#ranks.size === this.#size
    const areParted = isFull && !this.#health.areJoined(this.#working().map(({ pod }) => pod))
    if (this.#isBroken || areParted === (this.#parted !== undefined)) return
    if (areParted) {
      this.#parted = this.#clock.after(this.#model.peerLostMs, () => this.#giveUp())
      this.#stand()
    } else {
      this.#parted?.()
      this.#parted = undefined
      if (this.#regroupsSinceMs === undefined) this.#goOn()
      else this.#regroup()
    }
  }

  #pods(): SimulatedPod[] {
    return [...this.#ranks.values()].map(({ pod }) => pod)
  }

  /** With its first step, or from where it stood. */
  #goOn(): void {
    if (!this.#isWhole()) return
    if (this.#hasBegun) this.#begin(Math.max(this.#told, this.#from))
    else this.#next = this.#clock.after(this.#model.initMs, () => this.#begin(this.#from))
  }

  /** The step that has been done by now; undefined while none is being made. */
  #stepNow(): number | undefined {
    if (this.#stalledAt !== undefined) return this.#stalledAt
    if (this.#base === undefined) return undefined
    return this.#base.step + stepsIn(this.#base, this.#clock.now() - this.#base.atMs)
  }

  /** Whether ranks may come and go by now. */
  get #comeAndGo(): boolean {
    return this.#rejoins && this.#hasBegun && !this.#isBroken
  }

  /** Those who make the steps, by rank. */
  #working(): Rank[] {
    const all = [...this.#ranks.values()]
    if (!this.#comeAndGo) return all
    return all
      .filter(({ hasJoined, isHung, isFrozen }) => hasJoined && !isHung && !isFrozen)
      .sort((a, b) => a.pod.place.rank - b.pod.place.rank)
  }

  /** It has found the others. */
  #takeIn(rank: Rank): void {
    if (this.#ranks.get(rank.pod.place.rank) !== rank || !this.#comeAndGo) return
    this.#stand()
    rank.hasJoined = true
    this.#regroup()
  }

  /** It makes no step any more; the others wait for it, or go on without it. */
  #standFor({ hasJoined }: Rank): void {
    if (!this.#comeAndGo) this.#stand()
    else if (hasJoined && this.#working().length > 0) this.#regroup()
    else if (hasJoined) this.#break()
  }

  /** Those who are there now stand still until they have found each other anew. */
  #regroup(): void {
    this.#stand()
    this.#regroupsSinceMs ??= this.#clock.now()
    this.#next = this.#clock.after(this.#model.regroupMs ?? 0, () => {
      this.#regroupedMs += this.#clock.now() - (this.#regroupsSinceMs ?? this.#clock.now())
      this.#regroupsSinceMs = undefined
      this.#tellTo = Math.max(this.#tellTo, this.#told + toldFirst)
      this.#goOn()
      this.networkChanged()
    })
  }

  #isWhole(): boolean {
    if (this.#comeAndGo) return this.#working().length > 0 && this.#parted === undefined
    if (this.#ranks.size < this.#size || this.#isBroken || this.#parted !== undefined) return false
    for (const { isHung, isFrozen } of this.#ranks.values()) if (isHung || isFrozen) return false
    return true
  }

  #begin(step: number): void {
    this.#next?.()
    if (!this.#isWhole()) return
    this.#hasBegun = true
    this.#corruptAfter(step)
    const working = this.#working()
    const stretch = this.#stretchOf(working)
    const { stepMs } = stretch
    this.#base = { step, atMs: this.#clock.now(), ...stretch }
    for (const rank of working) {
      if (!this.#tells(rank)) continue
      rank.sign?.()
      rank.sign = this.#beat(stepsSign(rank.pod.uid), stepMs)
    }
    this.#plan()
  }

  #stretchOf(working: readonly Rank[]): Omit<Undisturbed, 'step' | 'atMs'> {
    const { stepSpread: spread = 0 } = this.#model
    const ownMs = stepMsOf(this.#model, working.length)
    if (spread === 0) {
      let slowness = 1
      for (const { pod } of working) slowness = Math.max(slowness, this.#health.slowness(pod))
      return { stepMs: ownMs * slowness, moreMs: 0, busyMs: undefined }
    }
    const means = new Map<number, number>()
    const busyMs = new Map<Rank, number>()
    let longestMs = 0
    for (const rank of working) {
      const mean = ownMs * this.#health.slowness(rank.pod)
      const drawn = mean * Math.max(shortest, 1 + spread * this.#normal())
      means.set(mean, (means.get(mean) ?? 0) + 1)
      busyMs.set(rank, drawn)
      longestMs = Math.max(longestMs, drawn)
    }
    const stepMs = slowestMs(means, spread)
    return { stepMs, moreMs: longestMs - stepMs, busyMs }
  }

  /** Where ranks come and go each tells its own steps. */
  #tells({ pod }: Rank): boolean {
    return this.#rejoins || this.#model.progress === 'all' || pod.place.rank === 0
  }

  /** The next step at which something is to be seen. */
  #plan(): void {
    const base = this.#base
    if (base === undefined) return
    this.#next?.()
    const asked = this.#request === undefined || this.#request.step < base.step ? [] : [this.#request.step]
    const told = this.#told < this.#tellTo ? [this.#told + 1] : []
    const step = Math.max(base.step, Math.min(this.#model.steps, ...asked, ...told, ...this.#shows()))
    const dueMs = base.atMs + stretchMs(base, step - base.step)
    this.#next = this.#clock.after(Math.max(0, dueMs - this.#clock.now()), () => this.#at(step))
  }

  /** The next step that tells a loss that is no number, of those that it takes until somebody looks. */
  #shows(): number[] {
    if (this.#corruption === undefined) return []
    const first = Math.max(this.#corruption.shownAt, this.#from + 1)
    return this.#told < first + toldWrong - 1 ? [Math.max(this.#told + 1, first)] : []
  }

  #at(step: number): void {
    const base = this.#base
    if (base === undefined) return
    this.#tell(step, base)
    const request = this.#request
    if (request !== undefined && request.step <= step) {
      this.#request = undefined
      this.#checkpoint(step, request.stop)
    } else if (step >= this.#model.steps) this.#end()
    else if (base.busyMs !== undefined) this.#begin(step)
    else this.#plan()
  }

  #tell(step: number, { stepMs, moreMs, busyMs }: Undisturbed): void {
    if (step <= this.#told) return
    this.#told = step
    const working = this.#working()
    const ownSeconds = stepMsOf(this.#model, working.length) / 1000
    const loss = step >= (this.#corruption?.shownAt ?? Number.POSITIVE_INFINITY) ? Number.NaN : 1 / step
    const regroupSeconds = this.#regroupedMs / 1000
    this.#regroupedMs = 0
    for (const rank of working) {
      if (!this.#tells(rank)) continue
      const drawnMs = busyMs?.get(rank)
      const busySeconds = drawnMs === undefined ? ownSeconds * this.#health.slowness(rank.pod) : drawnMs / 1000
      const regrouped = regroupSeconds > 0 && !rank.isNew ? { regroupSeconds } : {}
      rank.isNew = false
      rank.pod.progress([{ step, seconds: (stepMs + moreMs) / 1000, busySeconds, loss, ...regrouped }])
    }
  }

  /** All stand still, as most jobs do; the bytes go out behind them. */
  #checkpoint(step: number, stop: boolean): void {
    const { stallMs, persistMs, checkpointBytes } = this.#model
    this.#stalledAt = step
    if (this.#corruption !== undefined && step > this.#corruption.after) this.#kept(step, this.#corruption)
    this.#next = this.#clock.after(stallMs, () => {
      this.#stalledAt = undefined
      const working = this.#working()
      const writers = working.filter((rank) => (this.#rejoins ? rank === working[0] : writes(rank.pod)))
      const stuck = writers.find(({ pod }) => this.#health.isDiskFull(pod))
      // As `torch.save` does: it throws, and nobody catches that.
      if (stuck !== undefined) return this.fail(stuck.pod, 1)
      for (const rank of working)
        if (this.#tells(rank)) rank.pod.progress([{ step, checkpoint: true, stallSeconds: stallMs / 1000 }])
      for (const { pod } of this.#rejoins ? writers : working)
        pod.checkpoint({ step, writtenAtMs: this.#clock.now(), bytes: checkpointBytes, persistMs })
      if (!stop) return this.#begin(step)
      for (const { pod } of working) pod.progress([{ stopped: step }])
      this.#end()
    })
  }

  /** All are done. */
  #end(): void {
    this.#rest()
    for (const { pod } of this.#working()) pod.exit({ exitCode: 0 })
  }

  #ask(request: { step: number; stop: boolean } | undefined): void {
    if (request === undefined) {
      this.#request = undefined
      return
    }
    const now = this.#stepNow() ?? this.#from
    // A step that is over cannot be kept: the next one serves as well.
    const step = Math.max(request.step, now + 1)
    // Each rank is asked the same.
    if (this.#request?.step === step && this.#request.stop === request.stop) return
    this.#request = { step, stop: request.stop }
    // Whoever stands still looks at it when he goes on.
    if (this.#base !== undefined && this.#stalledAt === undefined) this.#plan()
  }

  #signal(rank: Rank, signal: PodSignal): void {
    if (signal === 'SIGTERM') {
      const leave = (): void => {
        this.#lose(rank)
        rank.pod.exit({ exitCode: 143, signal })
      }
      const { stopMs = 0 } = this.#model
      if (stopMs === 0) leave()
      else this.#clock.after(stopMs, leave)
    } else if (signal === 'SIGSTOP') {
      rank.isFrozen = true
      this.#standFor(rank)
    } else if (signal === 'SIGCONT' && rank.isFrozen) {
      rank.isFrozen = false
      if (this.#comeAndGo) this.#standFor(rank)
      else this.#goOn()
    }
  }

  /** Without one of them nobody gets further; the others notice after a while. */
  #lose(rank: Rank): void {
    if (this.#ranks.get(rank.pod.place.rank) !== rank) return
    if (!this.#comeAndGo) this.#stand()
    this.#ranks.delete(rank.pod.place.rank)
    rank.sign?.()
    if (this.#isBroken) return
    if (this.#comeAndGo) this.#standFor(rank)
    else this.#break()
  }

  /** Nobody is left who could go on: whoever waits for the others ends with an error after a while. */
  #break(): void {
    this.#stand()
    this.#isBroken = true
    this.#clock.after(this.#model.peerLostMs, () => this.#giveUp())
  }

  /** The communicator's timeout: whoever can ends with an error. */
  #giveUp(): void {
    this.#isBroken = true
    for (const { pod, isHung, isFrozen } of [...this.#ranks.values()])
      if (!isHung && !isFrozen) pod.exit({ exitCode: 1 })
  }

  /** No step is made any more. What was done since the last one that was told is lost with it. */
  #stand(): void {
    const step = this.#stepNow()
    if (step !== undefined && this.#base !== undefined) this.#tell(step, this.#base)
    this.#rest()
  }

  #rest(): void {
    this.#base = undefined
    this.#stalledAt = undefined
    this.#next?.()
    for (const rank of this.#ranks.values()) {
      rank.sign?.()
      rank.sign = undefined
    }
  }
}

function writes({ place: { rank, work } }: SimulatedPod): boolean {
  return work.checkpointRanks === 'all' || rank === 0
}

/** An agent knows a job's pace after so many steps, and so when it hangs. */
const toldFirst = 3
/** And of so many steps that the loss is no number. */
const toldWrong = 3
/** And after so many that some rank became slower or faster. */
const toldAnew = 8
/** Of its usual time: however it is drawn, a step takes some. */
const shortest = 0.05

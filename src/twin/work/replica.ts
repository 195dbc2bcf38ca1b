import type { PodSignal } from '../../agent/contract.ts'
import type { Program, SimulatedPod } from '../../agent/simulated/machine.ts'
import type { Cancel, Clock } from '../../base/clock.ts'
import { assert } from '../../base/errors.ts'
import { Engine, type Sequence } from './engine.ts'
import type { EngineModel } from './engine-model.ts'

/** How a pod of a service performs. Times in milliseconds. */
export interface ReplicaModel {
  /** From its start until its probe succeeds: weights loaded, engine warm. */
  loadMs: number
  /** From SIGTERM until it ends; with an engine, at the latest: it ends when its requests have. */
  drainMs: number
  /** So many of a service's replicas, one after the other, end with an error instead of being ready. */
  crashes?: number
  /** What answers requests, where any come. */
  engine?: EngineModel
}

/** A request on a connection to a replica, and what is heard on it. */
export interface Call {
  readonly input: number
  readonly output: number
  /** What its prompt begins with, where that is known. */
  readonly blocks?: readonly number[] | undefined
  /** `cached`: tokens of its prompt that were there already. */
  firstToken(atMs: number, cached: number): void
  ended(atMs: number): void
  /** The connection broke: nothing follows. */
  broken(): void
}

/** A connection that a request was sent on. */
export interface Connection {
  /** Its request is in the engine. */
  readonly isOpen: boolean
  close(): void
}

/** One replica of a service: it loads, serves, and drains. */
export class Replica implements Program {
  readonly #pod: SimulatedPod
  readonly #model: ReplicaModel
  readonly #clock: Clock
  readonly #slowness: () => number
  readonly #cancels: Cancel[]
  readonly #engine: Engine | undefined
  readonly #calls = new Map<Sequence, Call>()
  #state: 'loading' | 'serving' | 'draining' | 'over' = 'loading'
  #isFrozen = false
  /** The engine's own time, which stands still while it is frozen: what it was at `sinceMs`, and how fast it goes. */
  #time: { engineMs: number; sinceMs: number; pace: number }
  #due: { atMs: number; cancel: Cancel } | undefined

  constructor(pod: SimulatedPod, model: ReplicaModel, kit: { clock: Clock; slowness(): number }) {
    this.#pod = pod
    this.#model = model
    this.#clock = kit.clock
    this.#slowness = kit.slowness
    this.#engine = model.engine === undefined ? undefined : new Engine(model.engine)
    this.#time = { engineMs: 0, sinceMs: kit.clock.now(), pace: 1 / kit.slowness() }
    this.#cancels = [
      kit.clock.after(model.loadMs, () => {
        if (this.#state === 'loading') this.#state = 'serving'
      }),
    ]
  }

  get node(): string {
    return this.#pod.run.node
  }

  /** Whether it accepts connections. */
  get isListening(): boolean {
    return this.#state === 'serving' && this.#engine !== undefined
  }

  /** Sends a request to one that listens and that it can hold. */
  connect(call: Call): Connection {
    const engine = this.#engine
    assert(engine !== undefined && this.#state === 'serving', `${this.#pod.place.name} refuses connections`)
    this.#look()
    const sequence = engine.submit(call.input, call.output, this.#engineNow(), call.blocks)
    this.#calls.set(sequence, call)
    this.#plan()
    const calls = this.#calls
    return {
      get isOpen() {
        return calls.has(sequence)
      },
      close: () => this.#close(sequence),
    }
  }

  /** Whether it could ever answer such a request. */
  holds(input: number, output: number): boolean {
    return this.#engine?.holds(input, output) ?? false
  }

  /** Its node became slower or faster. */
  paceChanged(): void {
    this.#look()
    const pace = this.#isFrozen ? 0 : 1 / this.#slowness()
    this.#time = { engineMs: this.#engineNow(), sinceMs: this.#clock.now(), pace }
    this.#plan()
  }

  ask(): void {}

  probe(): string | undefined {
    if (this.#isFrozen) return 'no answer'
    return this.#state === 'loading' ? 'it is loading its model' : undefined
  }

  signal(signal: PodSignal): void {
    if (signal !== 'SIGTERM') {
      this.#isFrozen = signal === 'SIGSTOP'
      this.paceChanged()
      return
    }
    this.#cancels.push(this.#clock.after(this.#model.drainMs, () => this.#exit()))
    if (this.#engine === undefined) return
    this.#state = 'draining'
    this.#exitWhenDone()
  }

  gone(): void {
    this.#state = 'over'
    for (const cancel of this.#cancels) cancel()
    this.#due?.cancel()
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    for (const call of calls) call.broken()
  }

  #exit(): void {
    this.gone()
    this.#pod.exit({ exitCode: 0 })
  }

  #exitWhenDone(): void {
    if (this.#state === 'draining' && this.#calls.size === 0) this.#exit()
  }

  #close(sequence: Sequence): void {
    if (!this.#calls.has(sequence)) return
    this.#look()
    if (!this.#calls.delete(sequence)) return
    this.#engine?.cancel(sequence, this.#engineNow())
    this.#plan()
    this.#exitWhenDone()
  }

  /** Tells what has happened by now. */
  #look(): void {
    for (const { kind, sequence, atMs } of this.#engine?.advance(this.#engineNow() + tickMs) ?? []) {
      const call = this.#calls.get(sequence)
      if (call === undefined) continue
      if (kind === 'end') this.#calls.delete(sequence)
      const { engineMs, sinceMs, pace } = this.#time
      const toldMs = sinceMs + (atMs - engineMs) / pace
      if (kind === 'end') call.ended(toldMs)
      else call.firstToken(toldMs, sequence.cached)
    }
  }

  #plan(): void {
    if (this.#state === 'over') return
    const { engineMs, sinceMs, pace } = this.#time
    const nextMs = pace === 0 ? undefined : this.#engine?.nextMs()
    if (nextMs === undefined) {
      this.#due?.cancel()
      this.#due = undefined
      return
    }
    // Rounded before it is added to a time of day, whose digits end at a ten-thousandth of a millisecond.
    const atMs = sinceMs + Math.ceil((nextMs - engineMs) / pace - tickMs)
    if (this.#due?.atMs === atMs) return
    this.#due?.cancel()
    const cancel = this.#clock.after(atMs - this.#clock.now(), () => {
      this.#due = undefined
      this.#look()
      this.#plan()
      this.#exitWhenDone()
    })
    this.#due = { atMs, cancel }
  }

  #engineNow(): number {
    const { engineMs, sinceMs, pace } = this.#time
    return engineMs + (this.#clock.now() - sinceMs) * pace
  }
}

/** What is so near counts as now: sums of floating-point numbers are not exact. */
const tickMs = 1e-6

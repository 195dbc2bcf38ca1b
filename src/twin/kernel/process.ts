import { type Cancel, type Clock, everyBy, sleepBy } from '../../base/clock.ts'

/**
 * One process of the factory on virtual time: a control plane, an agent, a gateway. It touches the world through handles
 * (`clocked`, `storeOf`, `blobsOf`, the liveness of the kernel) that all pass through here, and so it can be crashed,
 * paused or cut off at this boundary: its answers never come, or late.
 */
export class Process {
  readonly name: string
  #state: 'running' | 'paused' | 'crashed' = 'running'
  #pausesAtWrite = false
  #isCut = false
  #hasBeenOutOfTouch = false
  /** What its machine does not reach. */
  #lacks: 'control-plane' | 'all' | undefined
  #jumpedMs = 0
  #lateMs = 0
  #eventsLateMs = 0
  #writesBehind = 0
  /** Of each server that came in another's place: how many of the last writes it keeps. */
  readonly #kept: number[] = []
  #held: (() => void)[] = []
  readonly #changed = new Set<() => void>()
  readonly #broken = new Set<() => void>()

  constructor(name: string) {
    this.name = name
  }

  get state(): 'running' | 'paused' | 'crashed' {
    return this.#state
  }

  get isCut(): boolean {
    return this.#isCut || this.#lacks !== undefined
  }

  get reachesStorage(): boolean {
    return !this.#isCut && this.#lacks !== 'all'
  }

  /** Something that it said may not have arrived since it runs. */
  get hasBeenOutOfTouch(): boolean {
    return this.#hasBeenOutOfTouch
  }

  /** Whether what it says arrives. */
  get isHeard(): boolean {
    return this.#state === 'running' && !this.isCut
  }

  /** Something comes in: a timer, an answer, an event. A process that is paused gets it when it goes on, a dead one never. */
  pass(run: () => void): void {
    if (this.#state === 'running') run()
    else if (this.#state === 'paused') this.#held.push(run)
  }

  /** It stands still, as by SIGSTOP or a long collection: everything that comes in waits. */
  pause(): void {
    if (this.#state === 'running') this.#become('paused')
  }

  /** It stands still between all that it looked at before and its next write, which goes out when it goes on. */
  pauseAtWrite(): void {
    this.#pausesAtWrite = true
  }

  /** It is about to send a write. */
  writes(): void {
    if (this.#pausesAtWrite) this.pause()
    this.#pausesAtWrite = false
  }

  resume(): void {
    this.#pausesAtWrite = false
    if (this.#state !== 'paused') return
    this.#become('running')
    const held = this.#held
    this.#held = []
    for (const run of held) this.pass(run)
  }

  /** Nothing that it still has under way has any effect. */
  crash(): void {
    this.#held = []
    if (this.#state !== 'crashed') this.#become('crashed')
  }

  /** Whatever it asks of the store is not answered, and nothing that it says arrives. */
  cut(): void {
    this.#isCut = true
    this.#tell()
  }

  mend(): void {
    this.#isCut = false
    this.#tell()
  }

  /** Cut off with the machine that it runs on, and with undefined reached again with it, whatever becomes of its own line. */
  isolate(from: 'control-plane' | 'all' | undefined): void {
    if (this.#lacks === from) return
    this.#lacks = from
    this.#tell()
  }

  /** Somebody sets its clock: what it takes for the time is so much more, or less. Timers and steady time know nothing of it. */
  jump(ms: number): void {
    this.#jumpedMs += ms
  }

  /** How far its clock is off. */
  get jumpedMs(): number {
    return this.#jumpedMs
  }

  /** Its connections are closed, as by a server that starts anew: watches end, what they had under way is lost. */
  break(): void {
    this.#hasBeenOutOfTouch = true
    for (const hear of [...this.#broken]) hear()
  }

  /**
   * Its connections are closed, and the server to which it comes next is so many writes behind and keeps so many of the last,
   * until it is cancelled.
   */
  fallBehind(writes: number, kept = Number.POSITIVE_INFINITY): Cancel {
    this.#writesBehind += writes
    this.#kept.push(kept)
    this.break()
    return () => {
      this.#writesBehind -= writes
      this.#kept.splice(this.#kept.indexOf(kept), 1)
    }
  }

  /** How far the server that answers it is behind. */
  get writesBehind(): number {
    return this.#writesBehind
  }

  /** How many of the last writes the server that answers it keeps: what is to be watched from before has expired. */
  get writesKept(): number {
    return Math.min(...this.#kept)
  }

  /** Answers to it, and what its watches tell, come so much later, until it is cancelled. */
  delay(answersMs: number, eventsMs: number): Cancel {
    this.#lateMs += answersMs
    this.#eventsLateMs += eventsMs
    return () => {
      this.#lateMs -= answersMs
      this.#eventsLateMs -= eventsMs
    }
  }

  get lateMs(): number {
    return this.#lateMs
  }

  get eventsLateMs(): number {
    return this.#eventsLateMs
  }

  onBreak(hear: () => void): Cancel {
    this.#broken.add(hear)
    return () => void this.#broken.delete(hear)
  }

  /** Hears whenever its state or its line changed. */
  onChange(hear: () => void): Cancel {
    this.#changed.add(hear)
    return () => void this.#changed.delete(hear)
  }

  #become(state: 'running' | 'paused' | 'crashed'): void {
    this.#state = state
    this.#tell()
  }

  #tell(): void {
    this.#hasBeenOutOfTouch ||= this.isCut
    for (const hear of [...this.#changed]) hear()
  }
}

/** The clock as the process has it: its timers fire only while it runs, and what fell due meanwhile when it goes on. */
export function clockOf(process: Process, clock: Clock): Clock {
  const after = (ms: number, run: () => void): Cancel => {
    let isCancelled = false
    const cancel = clock.after(ms, () => process.pass(() => isCancelled || run()))
    return () => {
      isCancelled = true
      cancel()
    }
  }
  return {
    now: () => clock.now() + process.jumpedMs,
    steadyMs: () => clock.steadyMs(),
    after,
    every: everyBy(after),
    sleep: sleepBy(after),
  }
}

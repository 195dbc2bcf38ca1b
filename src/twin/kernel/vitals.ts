import type { Cancel, Clock } from '../../base/clock.ts'
import type { Liveness } from '../../base/liveness.ts'
import type { Process } from './process.ts'

/**
 * Signs of life on virtual time: none is given, and only that they stop is simulated. Whoever gives signs is heard as
 * long as his process runs and its line holds; those who listen are told when their patience is over, counted from the
 * last sign that he would have given. Who is heard again, or lost what it had under way, gives signs until one got through.
 */
export class Vitals {
  readonly #clock: Clock
  readonly #sources = new Map<string, Source>()
  readonly #listeners = new Map<string, Set<Listener>>()
  /** Who says something when it is heard again; whatever else gives signs, like a pod with its steps, does not. */
  readonly #speakers = new Set<string>()
  /** Those of whom somebody, who may be dead by now, was told that they are silent; and they gave no sign since. */
  readonly #missed = new Set<string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** As a process has it. */
  of(process: Process): Liveness {
    return {
      beat: (who, everyMs, sign) => {
        const source: Source = {
          everyMs,
          startMs: this.#clock.now(),
          sign: () => new Promise((resolve) => process.pass(() => resolve(sign()))),
          isHeard: process.isHeard,
          due: undefined,
        }
        const forget = process.onChange(() => this.#hear(who, source, process.isHeard))
        const forgetBreak = process.onBreak(() => this.#speakLater(who, source))
        this.#begin(who, source, process.hasBeenOutOfTouch)
        return () => {
          forget()
          forgetBreak()
          this.#end(who, source)
        }
      },
      watch: (who, patienceMs, silent) => this.#listen(who, patienceMs, silent, process),
    }
  }

  /** It will speak, and may be missed until it does. */
  expect(who: string): void {
    this.#speakers.add(who)
  }

  /** What it said before is gone: its next sign, of which it learns that, says it again. */
  ask(who: string): void {
    const source = this.#sources.get(who)
    if (source?.isHeard === true) this.#speakLater(who, source)
    else this.#missed.add(who)
  }

  /** Of something that is no process: a pod's steps. */
  beat(who: string, everyMs: number): Cancel {
    const sign = async () => true
    const source: Source = { everyMs, startMs: this.#clock.now(), sign, isHeard: true, due: undefined }
    this.#begin(who, source)
    return () => this.#end(who, source)
  }

  /**
   * Whoever was told meanwhile that it is silent may have said so: its first sign, which comes in time, says otherwise. And it
   * says what it could not when it was out of touch already.
   */
  #begin(who: string, source: Source, hasMore = false): void {
    this.#sources.set(who, source)
    // Who died as he came, or is cut off, is not heard by that.
    if (!source.isHeard) return
    for (const listener of this.#listeners.get(who) ?? []) this.#hearNow(listener)
    if (this.#missed.delete(who) || hasMore) this.#speakLater(who, source)
  }

  #end(who: string, source: Source): void {
    if (this.#sources.get(who) !== source) return
    this.#fallSilent(who, source)
    this.#sources.delete(who)
  }

  #hear(who: string, source: Source, isHeard: boolean): void {
    if (source.isHeard === isHeard || this.#sources.get(who) !== source) return
    source.isHeard = isHeard
    if (isHeard) this.#speakAgain(who, source)
    else this.#fallSilent(who, source)
  }

  #speakAgain(who: string, source: Source): void {
    source.startMs = this.#clock.now()
    for (const listener of this.#listeners.get(who) ?? []) this.#hearNow(listener)
    this.#missed.delete(who)
    void this.#speak(who, source)
  }

  async #speak(who: string, source: Source): Promise<void> {
    source.due?.()
    if (!(await source.sign())) this.#speakLater(who, source)
  }

  #speakLater(who: string, source: Source): void {
    source.due?.()
    source.due = this.#clock.after(source.everyMs, () => {
      if (this.#sources.get(who) === source && source.isHeard) void this.#speak(who, source)
    })
  }

  #fallSilent(who: string, source: Source): void {
    const beatMs = this.#lastBeat(source)
    for (const listener of this.#listeners.get(who) ?? []) {
      listener.heardMs = later(listener.heardMs, beatMs)
      this.#wait(listener, Math.max(listener.sinceMs, beatMs))
    }
  }

  #lastBeat({ startMs, everyMs }: Source): number {
    return startMs + Math.floor((this.#clock.now() - startMs) / everyMs) * everyMs
  }

  #listen(who: string, patienceMs: Listener['patienceMs'], silent: Listener['silent'], process: Process) {
    const listener: Listener = {
      who,
      patienceMs,
      silent,
      process,
      sinceMs: this.#clock.now(),
      heardMs: undefined,
      due: undefined,
    }
    const listeners = this.#listeners.get(who) ?? new Set()
    this.#listeners.set(who, listeners.add(listener))
    const speaking = (): Source | undefined => {
      const source = this.#sources.get(who)
      return source?.isHeard === true ? source : undefined
    }
    // Who slept himself counts anew.
    const forget = process.onChange(() => {
      if (process.state === 'crashed') stop()
      else if (process.state === 'running' && listener.due !== undefined) this.#wait(listener, this.#clock.now())
    })
    const stop = (): void => {
      forget()
      listener.due?.()
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(who)
    }
    if (speaking() === undefined) this.#wait(listener, this.#clock.now())
    return {
      heard: () => {
        this.#hearNow(listener)
        if (speaking() === undefined) this.#wait(listener, this.#clock.now())
      },
      heardMs: () => {
        const source = speaking()
        return source === undefined ? listener.heardMs : later(listener.heardMs, this.#lastBeat(source))
      },
      stop,
    }
  }

  #hearNow(listener: Listener): void {
    this.#calm(listener, this.#clock.now())
    listener.heardMs = this.#clock.now()
  }

  #calm(listener: Listener, nowMs: number): void {
    listener.due?.()
    listener.due = undefined
    listener.sinceMs = nowMs
  }

  #wait(listener: Listener, sinceMs: number): void {
    this.#calm(listener, sinceMs)
    const patienceMs = listener.patienceMs()
    if (patienceMs === undefined) return
    listener.due = this.#clock.after(Math.max(0, sinceMs + patienceMs - this.#clock.now()), () => {
      if (listener.process.state !== 'running') return // told, or counted anew, when it goes on
      listener.due = undefined
      if (this.#speakers.has(listener.who)) this.#missed.add(listener.who)
      listener.silent(sinceMs)
    })
  }
}

interface Source {
  everyMs: number
  startMs: number
  /** Resolves to whether it was given. */
  sign: () => Promise<boolean>
  isHeard: boolean
  /** The next sign that is given. */
  due: Cancel | undefined
}

interface Listener {
  who: string
  patienceMs: () => number | undefined
  silent: (sinceMs: number) => void
  process: Process
  /** It counts from then. */
  sinceMs: number
  heardMs: number | undefined
  due: Cancel | undefined
}

function later(a: number | undefined, b: number): number {
  return a === undefined ? b : Math.max(a, b)
}

import { assert } from '../../base/errors.ts'
import { Heap } from '../../base/heap.ts'
import { blockTokens, decodeMs, type EngineModel, prefillMs, stepsTaking } from './engine-model.ts'
import { PrefixCache } from './prefix-cache.ts'

/** A request in an engine. */
export interface Sequence {
  readonly input: number
  /** Tokens that it generates, at least one: the first with its prefill, each other with a decode step. */
  readonly output: number
  /** What its prompt begins with; undefined: nobody knows. */
  readonly blocks: readonly number[] | undefined
  readonly readyMs: number
  /** Tokens of its prompt that were there when its prefill began. */
  cached: number
  state: 'waiting' | 'prefill' | 'decode' | 'over'
  /** The decode step after which it joined, and with which it ends, counted from the engine's start. */
  joined: number
  ends: number
}

export interface Happening {
  kind: 'first-token' | 'end'
  sequence: Sequence
  atMs: number
}

/**
 * A serving engine with continuous batching, as a state machine that is stepped by time. Requests wait in line; the first
 * is admitted at the end of a step if the KV cache holds all that it will ever need beside the others. Its prefill is a
 * step of its own, while which nobody decodes; then all decode in lockstep until one of them has its last token. So how
 * long it takes until something is to be told has a closed form, whatever the number of tokens.
 */
export class Engine {
  readonly #model: EngineModel
  readonly #prefixes: PrefixCache | undefined
  readonly #line: Sequence[] = []
  #first = 0
  #prefill: { sequence: Sequence; endMs: number } | undefined
  /** Those that decode, by the step that is their last; some may have left. */
  readonly #decoding = new Heap<Sequence>((a, b) => a.ends - b.ends)
  #size = 0
  /** Where it stands at the end of the last step that counts, which may lie ahead: decode steps done, tokens of context. */
  #atMs = 0
  #step = 0
  #contextTokens = 0
  /** Tokens that those who are in will need at most. */
  #reserved = 0

  constructor(model: EngineModel) {
    this.#model = model
    const { prefixTokens } = model
    this.#prefixes = prefixTokens > 0 ? new PrefixCache(Math.floor(prefixTokens / blockTokens)) : undefined
  }

  /** Whether it could ever hold such a request. */
  holds(input: number, output: number): boolean {
    return input + output <= this.#model.kvTokens
  }

  /** `atMs` must not lie before what was handed in last, nor before `advance` was called for. */
  submit(input: number, output: number, atMs: number, blocks?: readonly number[]): Sequence {
    assert(output >= 1 && this.holds(input, output), `no engine holds ${input} tokens and ${output} more`)
    const readyMs = atMs + this.#model.apiMs
    const sequence: Sequence = { input, output, blocks, readyMs, cached: 0, state: 'waiting', joined: 0, ends: 0 }
    this.#line.push(sequence)
    return sequence
  }

  /** Nobody needs its answer any more. The step that runs is not cut short. `advance` to `atMs` first. */
  cancel(sequence: Sequence, atMs: number): void {
    // Whoever it kept waiting enters at the end of the step that runs, not of one that is over.
    if (this.#prefill === undefined && this.#size > 0) this.#goOn(this.#stepsUntil(atMs))
    if (sequence.state === 'decode') this.#leave(sequence, sequence.input + 1 + this.#step - sequence.joined)
    sequence.state = 'over'
  }

  /** When something is to be told, if nobody else comes; undefined: never. */
  nextMs(): number | undefined {
    if (this.#prefill !== undefined) return this.#prefill.endMs
    const next = this.#next()
    if (next === undefined) return undefined
    return next.enters === undefined ? next.atMs : next.atMs + this.#prefillMs(next.enters)
  }

  /** Moves on to `atMs`, and tells what happened until then, in order. */
  advance(atMs: number): readonly Happening[] {
    const told: Happening[] = []
    for (;;) {
      if (this.#prefill !== undefined) {
        if (this.#prefill.endMs > atMs) return told
        this.#endPrefill(this.#prefill, told)
        continue
      }
      const next = this.#next()
      if (next === undefined || next.atMs > atMs) return told
      this.#goOn(next.steps)
      this.#atMs = next.atMs
      if (next.enters !== undefined) this.#enter(next.enters)
      else this.#endSequences(told)
    }
  }

  /** What comes next while nobody prefills: after so many steps somebody enters, or those whose last step it is end. */
  #next(): { steps: number; atMs: number; enters: Sequence | undefined } | undefined {
    const first = this.#firstInLine()
    if (this.#size === 0) {
      if (first === undefined) return undefined
      return { steps: 0, atMs: Math.max(this.#atMs, first.readyMs), enters: first }
    }
    const until = this.#firstToEnd().ends - this.#step
    if (first !== undefined && this.#fits(first)) {
      const steps = this.#stepsUntil(first.readyMs)
      if (steps < until) return { steps, atMs: this.#after(steps), enters: first }
    }
    return { steps: until, atMs: this.#after(until), enters: undefined }
  }

  #fits({ input, output }: Sequence): boolean {
    const { kvTokens, sequencesMax } = this.#model
    return this.#size < sequencesMax && this.#reserved + input + output <= kvTokens
  }

  #enter(sequence: Sequence): void {
    this.#first++
    if (this.#first > lineMax && this.#first > this.#line.length / 2) {
      this.#line.splice(0, this.#first)
      this.#first = 0
    }
    sequence.state = 'prefill'
    this.#reserved += sequence.input + sequence.output
    sequence.cached = this.#cachedOf(sequence)
    this.#prefill = { sequence, endMs: this.#atMs + this.#prefillMs(sequence) }
    // Nobody else prefills before it has ended, so nobody sees them too early.
    if (sequence.blocks !== undefined) this.#prefixes?.keep(sequence.blocks)
  }

  #prefillMs(sequence: Sequence): number {
    const cached = sequence.state === 'prefill' ? sequence.cached : this.#cachedOf(sequence)
    return prefillMs(this.#model, sequence.input, cached)
  }

  /** The last token is always computed: the first of the answer comes of it. */
  #cachedOf({ input, blocks }: Sequence): number {
    if (blocks === undefined || this.#prefixes === undefined) return 0
    return Math.min(input - 1, this.#prefixes.hits(blocks) * blockTokens)
  }

  #endPrefill({ sequence, endMs }: { sequence: Sequence; endMs: number }, told: Happening[]): void {
    this.#prefill = undefined
    this.#atMs = endMs
    const { input, output } = sequence
    const isWanted = sequence.state !== 'over'
    if (isWanted) told.push({ kind: 'first-token', sequence, atMs: endMs })
    if (isWanted && output > 1) {
      sequence.state = 'decode'
      sequence.joined = this.#step
      sequence.ends = this.#step + output - 1
      this.#size++
      this.#contextTokens += input + 1
      this.#decoding.push(sequence)
      return
    }
    this.#reserved -= input + output
    sequence.state = 'over'
    if (isWanted) told.push({ kind: 'end', sequence, atMs: endMs })
  }

  #endSequences(told: Happening[]): void {
    while (this.#size > 0 && this.#firstToEnd().ends === this.#step) {
      const sequence = this.#firstToEnd()
      this.#leave(sequence, sequence.input + sequence.output)
      sequence.state = 'over'
      told.push({ kind: 'end', sequence, atMs: this.#atMs })
    }
  }

  #leave({ input, output }: Sequence, contextTokens: number): void {
    this.#size--
    this.#contextTokens -= contextTokens
    this.#reserved -= input + output
  }

  #goOn(steps: number): void {
    this.#atMs = this.#after(steps)
    this.#contextTokens += this.#size * steps
    this.#step += steps
  }

  #after(steps: number): number {
    return this.#atMs + decodeMs(this.#model, this.#size, this.#contextTokens, steps)
  }

  /** Decode steps until the first that ends at `atMs` or later. */
  #stepsUntil(atMs: number): number {
    return stepsTaking(this.#model, this.#size, this.#contextTokens, atMs - this.#atMs)
  }

  #firstInLine(): Sequence | undefined {
    while (this.#line[this.#first]?.state === 'over') this.#first++
    return this.#line[this.#first]
  }

  #firstToEnd(): Sequence {
    for (let first = this.#decoding.peek(); first !== undefined; first = this.#decoding.peek()) {
      if (first.state !== 'over') return first
      this.#decoding.pop()
    }
    throw new RangeError('an engine that decodes has nobody that does')
  }
}

/** So many who are through are kept at the head of the line before it is made anew. */
const lineMax = 256

import type { Entry } from '../store/history.ts'
import { changesBetween } from './changes.ts'
import type { LogLevel } from './twin.ts'

/** What happened in a run on virtual time. Numbers begin at 1; whoever plays the same again sees the same under each. */
export type TwinEvent = { number: number; atMs: number } & Happened

type Happened =
  /** `by`: the process that wrote it; undefined for somebody at a keyboard. */
  | { kind: 'write'; entry: Entry; by: string | undefined }
  | { kind: 'log'; level: LogLevel; process: string; message: string; fields: Record<string, unknown> }
  /** Something strikes, is mended, or is done by people. */
  | { kind: 'act'; message: string }

export interface EventOptions {
  /** Hears each as it happens. */
  hear?(event: TwinEvent): void
  /** The last one: nothing is taken down after it. */
  until?: number | undefined
}

/** Keeps the last of what happened. Nothing is written out before somebody wants to read it. */
export class EventLog {
  count = 0
  isOver = false
  readonly #kept: TwinEvent[] = []
  readonly #options: EventOptions
  readonly #nowMs: () => number
  readonly #onEnd: () => void

  /** `onEnd`: just after the last one, before anything else happens. */
  constructor(options: EventOptions, nowMs: () => number, onEnd: () => void) {
    this.#options = options
    this.#nowMs = nowMs
    this.#onEnd = onEnd
  }

  add(happened: Happened): void {
    if (this.isOver) return
    const event = { number: ++this.count, atMs: this.#nowMs(), ...happened }
    this.#kept[(event.number - 1) % eventsKept] = event
    this.#options.hear?.(event)
    if (event.number === this.#options.until) this.end()
  }

  /** What still comes in this moment is not taken down. */
  end(): void {
    if (this.isOver) return
    this.isOver = true
    this.#onEnd()
  }

  /** The last ones, in order. */
  get last(): readonly TwinEvent[] {
    return this.#kept.toSorted((a, b) => a.number - b.number)
  }
}

const eventsKept = 50

/** One line. */
export function eventSaid(event: TwinEvent, startMs: number): string {
  return `${event.number} ${formatElapsed(event.atMs - startMs)} ${said(event)}`
}

/** The same without its number and its time. */
export function said(event: TwinEvent): string {
  if (event.kind === 'act') return event.message
  if (event.kind === 'log') {
    const fields = Object.keys(event.fields).length === 0 ? '' : ` ${JSON.stringify(event.fields)}`
    return `${event.process} ${event.level}: ${event.message}${fields}`
  }
  const { entry, by = 'somebody' } = event
  const what = `${by} ${verbs[entry.type]} ${entry.kind} ${entry.key.replace(/^\//, '')}`
  return entry.type === 'MODIFIED' ? `${what}: ${changesBetween(entry.previous, entry.object).join(', ')}` : what
}

const verbs = { ADDED: 'creates', MODIFIED: 'changes', DELETED: 'removes' } as const

/** To the millisecond: `1h12m03.250s`. */
function formatElapsed(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  const seconds = `${((ms % 60_000) / 1000).toFixed(3)}s`
  if (minutes === 0) return seconds
  const hours = Math.floor(minutes / 60)
  return `${hours === 0 ? '' : `${hours}h`}${minutes % 60}m${seconds.padStart(7, '0')}`
}

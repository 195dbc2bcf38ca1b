import { formatErrors } from '../../compile/documents.ts'
import { formatDuration } from '../../model/duration.ts'
import { counted } from '../../scheduler/why/counted.ts'
import { type EventOptions, eventSaid, said, type TwinEvent } from '../../twin/events.ts'
import { play } from '../../twin/hunt/play.ts'
import { readKeptHistory } from '../../twin/hunt/read-history.ts'
import type { Moment } from '../../twin/moment.ts'
import { playScenario } from '../../twin/play/play.ts'
import { oneOf, wholeNumber } from '../arguments.ts'
import { Exit, exit } from '../exit.ts'
import { type Explained, explained, explainedLines, explainedValue } from '../explained.ts'
import { plain } from '../output.ts'
import { setupFrom } from '../read-scenario.ts'
import { readText } from '../read-text.ts'

export interface TwinReplayOptions {
  until?: string
  why?: string
  tail?: string
  seed?: string
  output?: string
}

/** How a run went that was played once more. */
interface Replayed {
  violations: readonly { invariant: string; message: string }[]
  startMs: number
  events: number
  moment: Moment
}

/** The history that a hunt draws from a seed. */
export function replaySeed(seed: number, options: TwinReplayOptions): Promise<void> {
  return replayed(seed, options, (events) => play(seed, { events }))
}

/** One that a hunt has kept. */
export function replayHistory(file: string, options: TwinReplayOptions): Promise<void> {
  const read = readKeptHistory({ name: file, text: readText(file) })
  if ('errors' in read) throw new Exit(exit.usage, plain(`this is no history of a hunt\n${formatErrors(read.errors)}`))
  const { seed, history } = read
  return replayed(seed, options, (events) => play(seed, { history, events }))
}

/** What `millwright twin run` played. */
export async function replayScenario(file: string, options: TwinReplayOptions): Promise<void> {
  const seed = wholeNumber('--seed', options.seed ?? '1', 0, 2 ** 31 - 1)
  const setup = await setupFrom(file)
  return await replayed(seed, options, async (events) => {
    const played = await playScenario(setup, seed, { events })
    return { violations: played.kind === 'broken' ? played.violations : [], ...played.ending }
  })
}

async function replayed(
  seed: number,
  options: TwinReplayOptions,
  playWith: (events: EventOptions) => Promise<Replayed>,
): Promise<void> {
  const output = oneOf('--output', options.output, ['text', 'json'], 'text')
  const until = options.until === undefined ? undefined : wholeNumber('--until', options.until, 1, 1e9)
  const tail = options.tail === undefined ? undefined : wholeNumber('--tail', options.tail, 0, 1e9)
  const log = new Tail(output === 'json' ? Number.POSITIVE_INFINITY : (tail ?? 0))
  let startMs: number | undefined
  const hear = (event: TwinEvent) => {
    startMs ??= event.atMs
    if (output === 'text' && tail === undefined) console.log(plain(eventSaid(event, startMs)))
    else log.add(event)
  }
  const run = await playWith({ until, hear })
  const events = tail === undefined ? log.events : log.last(tail)
  const why = options.why === undefined ? undefined : await whyOf(options.why, run.moment)
  if (output === 'json') console.log(JSON.stringify(replayedValue(seed, run, events, why), null, 2))
  else {
    for (const event of events) console.log(plain(eventSaid(event, run.startMs)))
    for (const line of ended(seed, run, until)) console.log(plain(line))
    for (const line of why === undefined ? [] : explainedLines(why, run.moment.atMs)) console.log(plain(line))
  }
  if (run.violations.length > 0) throw new Exit(exit.failed, '')
}

/** The last so many events. */
class Tail {
  readonly #max: number
  #events: TwinEvent[] = []

  constructor(max: number) {
    this.#max = max
  }

  add(event: TwinEvent): void {
    this.#events.push(event)
    if (this.#events.length > 2 * this.#max + 1) this.#events = this.last(this.#max)
  }

  get events(): readonly TwinEvent[] {
    return this.last(this.#max)
  }

  last(count: number): TwinEvent[] {
    return count === 0 ? [] : this.#events.slice(-Math.min(count, this.#events.length))
  }
}

async function whyOf(word: string, moment: Moment): Promise<Explained> {
  const [namespace, name] = word.includes('/') ? word.split('/', 2) : ['default', word]
  const found = await explained(moment, namespace ?? '', name ?? '', moment.atMs)
  if (found === undefined)
    throw new Exit(exit.notFound, plain(`there was no job, service or gang "${name}" in namespace ${namespace} then.`))
  return found
}

function ended(seed: number, { violations, startMs, events, moment }: Replayed, until: number | undefined): string[] {
  const at = `event ${events}, ${formatDuration(moment.atMs - startMs)} after the start`
  if (violations.length > 0)
    return [
      `seed ${seed} breaks a rule at ${at}`,
      ...violations.map(({ invariant, message }) => `  ${invariant}: ${message}`),
      ...moment.lines(),
    ]
  if (events === until) return [`seed ${seed}, ${at}`, ...moment.lines()]
  const beyond = until === undefined ? '' : `; there is no event ${until}`
  return [
    `seed ${seed}: no rule was broken in ${counted(events, 'event')}, ${formatDuration(moment.atMs - startMs)}${beyond}`,
  ]
}

function replayedValue(
  seed: number,
  { violations, startMs, events: count, moment }: Replayed,
  events: readonly TwinEvent[],
  why: Explained | undefined,
): unknown {
  return {
    seed,
    events: events.map((event) => ({
      number: event.number,
      atMs: event.atMs - startMs,
      kind: event.kind,
      message: said(event),
    })),
    ended: { event: count, atMs: moment.atMs - startMs },
    violations: violations.map(({ invariant, message }) => ({ rule: invariant, message })),
    state: moment.lines(),
    ...(why === undefined ? {} : { why: explainedValue(why) }),
  }
}

import { keyOf } from '../../model/refs.ts'
import { titleOf } from '../../scheduler/why/reasons.ts'
import type { Course, Fate, Waiting } from './course.ts'
import type { Side } from './figures.ts'
import type { Basis } from './lengths.ts'
import { type Spread, type Spreads, spreadsIn } from './spread.ts'

/** How one gang of a job fares. */
export interface GangForecast {
  gang: string
  title: string
  queue: string
  basis: Basis | undefined
  without?: GangCourses
  with?: GangCourses
  /** Of each seed, the one less the other. */
  difference?: GangFigures
}

interface GangCourses extends GangFigures {
  /** The part of the seeds in which it did within the horizon. */
  startsWithin: number
  endsWithin: number
  /** What the scheduler says at the end of the horizon in most seeds in which it does not start. */
  waits?: Waiting
}

export type GangFigure = keyof typeof figures
export type GangFigures = { [K in Exclude<GangFigure, 'ettr'>]: Spread } & { ettr?: Spread }

/** Starts and ends are in seconds from now; who has not within the horizon counts as at its end. */
const figures = {
  starts: ({ startedMs }: Fate, horizonMs: number) => (startedMs ?? horizonMs) / 1000,
  ends: ({ endedMs }: Fate, horizonMs: number) => (endedMs ?? horizonMs) / 1000,
  evictions: ({ evictions }: Fate) => evictions,
  /** Accelerator-hours. */
  hoursLost: ({ lostSeconds }: Fate) => lostSeconds / 3600,
  /** USD for what it holds. */
  spend: ({ heldUsd }: Fate) => heldUsd,
  /** The part of its time that is of use in the long run, in percent; undefined where it never sits or writes no checkpoints. */
  ettr: ({ ettr }: Fate) => (ettr === undefined ? undefined : 100 * ettr),
} satisfies Record<string, (fate: Fate, horizonMs: number) => number | undefined>

/** @param sides Without the change, and with it where there is one. */
export function gangsOf(sides: readonly Side[], horizonMs: number): GangForecast[] {
  const known = new Map(sides.flatMap(({ gangs }) => gangs.map((gang) => [keyOf(gang), gang] as const)))
  const [a, b] = sides.map(({ courses }) => byGang(courses))
  return [...known].flatMap(([key, gang]): GangForecast[] => {
    const [mine, other] = [a?.get(key), b?.get(key)]
    const first = mine?.[0] ?? other?.[0]
    if (first === undefined || first.isReplica || gang.spec.suspend) return []
    const spreads = spreadsOf(mine ?? [], other ?? [], horizonMs)
    return [
      {
        gang: key,
        title: titleOf(key, gang),
        queue: gang.spec.queue,
        basis: first.basis === 'coming' ? undefined : first.basis,
        ...(mine === undefined ? {} : { without: coursesIn(mine, figuresIn(spreads, 'without')) }),
        ...(other === undefined ? {} : { with: coursesIn(other, figuresIn(spreads, 'with')) }),
        ...(mine === undefined || other === undefined ? {} : { difference: figuresIn(spreads, 'difference') }),
      },
    ]
  })
}

/** Who is there at first is there in each course: its fates are in the order of the seeds. */
function byGang(courses: readonly Course[]): Map<string, Fate[]> {
  const fates = new Map<string, Fate[]>()
  for (const course of courses) {
    for (const fate of course.fates) {
      const known = fates.get(fate.gang)
      if (known === undefined) fates.set(fate.gang, [fate])
      else known.push(fate)
    }
  }
  return fates
}

type GangSpreads = Record<GangFigure, Spreads>

function spreadsOf(mine: readonly Fate[], other: readonly Fate[], horizonMs: number): GangSpreads {
  const of = (figure: GangFigure) => {
    const valuesIn = (fates: readonly Fate[]) => fates.map((fate) => figures[figure](fate, horizonMs))
    return spreadsIn(valuesIn(mine), valuesIn(other))
  }
  return {
    starts: of('starts'),
    ends: of('ends'),
    evictions: of('evictions'),
    hoursLost: of('hoursLost'),
    spend: of('spend'),
    ettr: of('ettr'),
  }
}

function figuresIn(spreads: GangSpreads, side: keyof Spreads): GangFigures {
  const nothing = { mean: 0, median: 0, low: 0, high: 0 }
  const of = (figure: GangFigure) => spreads[figure][side] ?? nothing
  const ettr = spreads.ettr[side]
  return {
    starts: of('starts'),
    ends: of('ends'),
    evictions: of('evictions'),
    hoursLost: of('hoursLost'),
    spend: of('spend'),
    ...(ettr === undefined ? {} : { ettr }),
  }
}

function coursesIn(fates: readonly Fate[], own: GangFigures): GangCourses {
  const part = (of: (fate: Fate) => number | undefined) =>
    fates.filter((fate) => of(fate) !== undefined).length / fates.length
  const waits = commonest(fates.flatMap(({ waits }) => waits ?? []))
  return {
    ...own,
    startsWithin: part(({ startedMs }) => startedMs),
    endsWithin: part(({ endedMs }) => endedMs),
    ...(waits === undefined ? {} : { waits }),
  }
}

function commonest(said: readonly Waiting[]): Waiting | undefined {
  const counts = new Map<string, number>()
  for (const { message } of said) counts.set(message, (counts.get(message) ?? 0) + 1)
  const countOf = ({ message }: Waiting) => counts.get(message) ?? 0
  return said.toSorted((a, b) => countOf(b) - countOf(a))[0]
}

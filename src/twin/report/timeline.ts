import type { Level, Recording } from '../play/recording.ts'

/** The means of equal stretches of a run, one after the other. */
export interface Timeline {
  /** How long each stretch is, in seconds. */
  stretchSeconds: number
  /** Accelerators under seats, of all. */
  inUse: number[]
  /** Gangs that wait for seats, and the accelerators that they ask for. */
  waiting: number[]
  asked: number[]
  /** Nodes that take no work. */
  nodesOut: number[]
}

/** As many as a page shows side by side. */
export const stretches = 96

export function timelineOf({ levels, horizonMs }: Pick<Recording, 'levels' | 'horizonMs'>): Timeline {
  const lengthMs = horizonMs / stretches
  const timeline: Timeline = { stretchSeconds: lengthMs / 1000, inUse: [], waiting: [], asked: [], nodesOut: [] }
  let next = 0
  let level: Level = { atMs: 0, inUse: 0, waiting: 0, asked: 0, nodesOut: 0 }
  for (let index = 0; index < stretches; index++) {
    const sums = { inUse: 0, waiting: 0, asked: 0, nodesOut: 0 }
    const toMs = (index + 1) * lengthMs
    for (let atMs = index * lengthMs; atMs < toMs; ) {
      for (let due = levels[next]; due !== undefined && due.atMs <= atMs; due = levels[next]) {
        level = due
        next++
      }
      const untilMs = Math.min(toMs, levels[next]?.atMs ?? toMs)
      for (const what of quantities) sums[what] += level[what] * (untilMs - atMs)
      atMs = untilMs
    }
    for (const what of quantities) timeline[what].push(sums[what] / lengthMs)
  }
  return timeline
}

const quantities = ['inUse', 'waiting', 'asked', 'nodesOut'] as const

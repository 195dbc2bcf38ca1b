import { expect, test } from 'vitest'
import type { Seat } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { ReportStatus } from '../gangs.ts'
import { Ends } from './ends.ts'

const seat = (rank: number): Seat => ({
  pod: `j-${rank}`,
  group: 'worker',
  rank,
  localRank: 0,
  node: `n${rank}`,
  devices: [],
  ports: [],
})
const told = { checkpoints: [], step: 3 }
const exit = (atMs: number, exitCode = 1) => ({
  checkpoints: [],
  ended: { atMs, exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', message: '', byAgent: false },
})

function ends(...reports: (Partial<ReportStatus> | undefined)[]) {
  const all = new Ends(reports.length)
  const see = (rank: number, report?: Partial<ReportStatus>, isTaken = false, tellsItself = false, since?: number) => {
    const look = { seat: seat(rank), pod: undefined, report: report && { checkpoints: [], ...report } }
    const overSinceMs = report?.ended === undefined ? undefined : overMs
    all.see({ ...look, isTaken, tellsItself, stillSinceMs: since, overSinceMs }, 10_000)
  }
  for (const [rank, report] of reports.entries()) see(rank, report)
  return { all, see, blamed: (nowMs = 10_000) => [all.cause(nowMs)?.kind, all.cause(nowMs)?.rank] }
}

const nothing = [undefined, undefined]
/** Whenever that was by its node's clock, that one has ended is known since then. */
const overMs = 5_000

test('the first end is the cause, and one that is taken back is none', () => {
  const { see, blamed } = ends({ ...told, hungSinceMs: 1000 }, told, exit(5000), exit(4000))
  expect(blamed()).toEqual(['exit', 3])
  see(3, told)
  expect(blamed()).toEqual(['exit', 2])
  see(2, told)
  expect(blamed()).toEqual(['hung', 0])
  see(0, told)
  expect(blamed()).toEqual(nothing)
})

test('a rank hangs that others leave behind; where all who tell stand still none can be blamed', () => {
  const { see, blamed } = ends({ ...told, hungSinceMs: 2000 }, told, {})
  expect(blamed()).toEqual(['hung', 0])
  see(1, { ...told, hungSinceMs: 1000 })
  expect(blamed()).toEqual(['stalled', 1])
})

test('of a rank that never told a step nothing is said while another told one', () => {
  const { see, blamed } = ends(told, { hungSinceMs: 1000 }, { hungSinceMs: 1000 })
  expect(blamed()).toEqual(nothing)
  see(0, { ...told, ...exit(9000, 0) })
  expect(blamed()).toEqual(nothing)
})

test('where nobody told one the gang stands still once each member that has not ended had its time', () => {
  const { see, blamed } = ends({ hungSinceMs: 3000 }, {}, { hungSinceMs: 2000 }, undefined)
  expect(blamed()).toEqual(nothing)
  see(1, { hungSinceMs: 4000 })
  expect(blamed()).toEqual(nothing)
  see(3, exit(5000, 0))
  expect(blamed()).toEqual(['stalled', 2])
})

test('who never told a step has his time again once all who told one have ended well', () => {
  const silent = { hungSinceMs: 1000, at: new Date(7000).toISOString() }
  const { all, see, blamed } = ends({ ...told, ...exit(3_600_000, 0) }, silent)
  expect(all.stallsAtMs).toBe(11_000)
  expect(blamed(10_999)).toEqual(nothing)
  expect(blamed(11_000)).toEqual(['stalled', 1])
  see(1, told)
  expect([all.stallsAtMs, ...blamed(20_000)]).toEqual([undefined, ...nothing])
})

test('where each tells his own steps, who tells none in his time hangs once another has told one', () => {
  const { all, see, blamed } = ends({}, {})
  const one = (report: Partial<ReportStatus>) => see(1, report, false, true)
  one({ hungSinceMs: 1000 })
  expect([all.stallsAtMs, ...blamed()]).toEqual([undefined, ...nothing])
  see(0, told, false, true)
  expect(blamed()).toEqual(['hung', 1])
  see(0, { ...told, ...exit(5000, 0) }, false, true)
  expect(blamed()).toEqual(['hung', 1])
  one(told)
  expect(blamed()).toEqual(nothing)
  see(0, { ...told, hungSinceMs: 2000 }, false, true)
  one({ ...told, hungSinceMs: 3000 })
  expect(blamed()).toEqual(['stalled', 0])
})

test('those have failed that ended, but for who ended well', () => {
  const { all } = ends(told, exit(5000), { ...told, hungSinceMs: 1000 }, exit(6000, 0), { ...told, ...exit(7000) })
  expect(all.failed).toEqual(['j-1', 'j-4'])
})

test('where members come and go each that stands still has its own time, and all of them that of the last', () => {
  const { all, see, blamed } = ends()
  const still = (rank: number, report: Partial<ReportStatus>, since?: number) => see(rank, report, false, true, since)
  still(0, { ...told, hungSinceMs: 1000 }, 600)
  still(1, { ...told, hungSinceMs: 2000 }, 500)
  still(2, { hungSinceMs: 1000 }, 700)
  still(3, told)
  expect([...blamed(), all.cause(0)?.seenMs]).toEqual(['hung', 1, 500])
  expect([499, 500, 600, 700].map((ms) => all.stillSince(ms))).toEqual([
    [],
    ['j-1'],
    ['j-0', 'j-1'],
    ['j-0', 'j-1', 'j-2'],
  ])
  still(3, { ...told, hungSinceMs: 3000 }, 800)
  expect([...blamed(), all.cause(0)?.seenMs]).toEqual(['stalled', 0, 800])
  still(2, { hungSinceMs: 1000 }, 900)
  expect([...blamed(), all.cause(0)?.seenMs], 'who never told a step has nothing to do with that').toEqual([
    'stalled',
    0,
    800,
  ])
  still(3, { ...told, ...exit(5000, 0) })
  expect([...blamed(), ...all.done]).toEqual(['hung', 1, 'j-3'])
})

test('who has no pod once others have done a step or ended was there, and is gone', () => {
  const all = new Ends(2)
  const pod = { metadata: { name: 'j-0' }, spec: {}, status: { phase: 'Running' } } as Pod
  const see = (rank: number, at?: Pod, report?: ReportStatus, isTaken = false, overSinceMs?: number) =>
    all.see({ seat: seat(rank), pod: at, report, isTaken, tellsItself: false, overSinceMs }, 10_000)
  see(0, pod, { checkpoints: [] })
  see(1)
  expect(all.vanished).toEqual([])
  see(0, pod, told)
  expect(all.vanished).toEqual(['j-1'])
  see(0, pod, exit(5000, 0), false, overMs)
  expect(all.vanished).toEqual(['j-1'])
  see(1, undefined, undefined, true)
  expect([all.vanished, all.cause(10_000)?.kind]).toEqual([[], 'taken'])
})

import { describe } from 'vitest'
import { judgeTable } from './judge.ts'
import { type Judge, judgeCycle, judgeOrder, judgeShares, judgeVictims } from './kueue-accounts.ts'
import { judgeDecision, judgePreempt } from './kueue-scheduler.ts'
import { casesOf } from './tables.ts'

/** Where we decide otherwise, on purpose; docs/scheduling-dialects.md gives each its reason. */
const dialects: Readonly<Record<string, readonly string[]>> = {
  kueue_scheduler_fs: ['prefer flavor with most local capacity'],
}

/** Where the scheduler asks more than the accounts: its order, its own units, and room on nodes. */
const dialectsOfTheScheduler: Readonly<Record<string, readonly string[]>> = {
  kueue_scheduler_fs: [
    'with fair sharing: schedule workload with lowest share first',
    'prefer flavor with most local capacity',
    'fair sharing two queues with weight 0 schedules workload which borrows less',
  ],
}

const tables: readonly [table: string, judge: Judge][] = [
  ['kueue_candidates_ordering', judgeOrder],
  ['kueue_fair_sharing', judgeShares],
  ['kueue_preemption', judgeVictims(false)],
  ['kueue_preemption_hierarchical', judgeVictims(false)],
  ['kueue_preemption_fair', judgeVictims(true)],
  ['kueue_scheduler_fs', judgeCycle],
]

/** The same questions, put to the scheduler itself. */
const decisions: readonly [table: string, judge: Judge][] = [
  ['kueue_preemption', judgePreempt(false)],
  ['kueue_preemption_hierarchical', judgePreempt(false)],
  ['kueue_preemption_fair', judgePreempt(true)],
  ['kueue_scheduler_fs', judgeDecision],
]

describe.each([
  ...tables.map(([table, judge]) => ['accounts', table, judge, dialects] as const),
  ...decisions.map(([table, judge]) => ['scheduler', table, judge, dialectsOfTheScheduler] as const),
])('%s: %s', (_by, table, judge, dialects) => {
  judgeTable(table, casesOf(table), ({ name }) => dialects[table]?.includes(name) === true, judge)
})

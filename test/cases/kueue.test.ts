import { describe, expect, it } from 'vitest'
import { type Judge, judgeCycle, judgeOrder, judgeShares, judgeVictims } from './kueue-accounts.ts'
import { casesDir, casesOf } from './tables.ts'

/** Where we decide otherwise, on purpose; docs/scheduling-dialects.md gives each its reason. */
const dialects: Readonly<Record<string, readonly string[]>> = {
  kueue_scheduler_fs: ['prefer flavor with most local capacity'],
}

const tables: readonly [table: string, judge: Judge][] = [
  ['kueue_candidates_ordering', judgeOrder],
  ['kueue_fair_sharing', judgeShares],
  ['kueue_preemption', judgeVictims(false)],
  ['kueue_preemption_hierarchical', judgeVictims(false)],
  ['kueue_preemption_fair', judgeVictims(true)],
  ['kueue_scheduler_fs', judgeCycle],
]

describe.each(tables)('%s', (table, judge) => {
  const cases = casesOf(table)
  if (cases === undefined) it.skip(`not run: there is no ${table}.json in ${casesDir} (MILLWRIGHT_CASES names another)`)
  for (const one of cases ?? []) {
    const isDialect = dialects[table]?.includes(one.name) === true
    it(isDialect ? `${one.name}: decided otherwise` : one.name, () => {
      const { expected, found } = judge(one)
      if (isDialect) expect(found).not.toEqual(expected)
      else expect(found).toEqual(expected)
    })
  }
})

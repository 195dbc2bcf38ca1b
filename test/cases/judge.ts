import { expect, it } from 'vitest'
import { casesDir } from './tables.ts'

export interface Judgement {
  expected: unknown
  found: unknown
}

/**
 * One test for each case of a peer's table. Those that we decide otherwise are listed; each must really be decided
 * otherwise, so that the lists stay true. Where the table is not there it is said that it was not run.
 */
export function judgeTable<C extends { name: string }>(
  table: string,
  cases: readonly C[] | undefined,
  isDialect: (one: C) => boolean,
  judge: (one: C) => Judgement,
): void {
  if (cases === undefined) it.skip(`not run: there is no ${table}.json in ${casesDir} (MILLWRIGHT_CASES names another)`)
  for (const one of cases ?? []) {
    const otherwise = isDialect(one)
    it(otherwise ? `${one.name}: decided otherwise` : one.name, () => {
      const { expected, found } = judge(one)
      if (otherwise) expect(found).not.toEqual(expected)
      else expect(found).toEqual(expected)
    })
  }
}

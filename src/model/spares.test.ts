import { expect, test } from 'vitest'
import { type Pool, pool } from './kinds/pool.ts'
import { millwrightVersion } from './metadata.ts'
import { sparesWanted, wantsOthers } from './spares.ts'

function poolOf(spares: number | 'auto', wanted?: number): Pool {
  const status = wanted === undefined ? undefined : { conditions: [], spares: { wanted, nodes: [] } }
  return pool.parse({ apiVersion: millwrightVersion, kind: 'Pool', metadata: { name: 'p' }, spec: { spares }, status })
}

test('auto is what was found of the pool, before that what large fleets would need; never more than a fifth', () => {
  expect([sparesWanted(poolOf('auto'), 128), sparesWanted(poolOf('auto', 9), 128)]).toEqual([4, 9])
  expect(sparesWanted(poolOf('auto', 9), 20)).toBe(4)
  expect(sparesWanted(poolOf(9, 2), 20)).toBe(9)
})

test('it is another number when the spec says so, or of auto when another was found', () => {
  expect(wantsOthers(undefined, poolOf(0))).toBe(false)
  expect(wantsOthers(poolOf(1), poolOf(2))).toBe(true)
  expect(wantsOthers(poolOf('auto', 1), poolOf('auto', 1))).toBe(false)
  expect(wantsOthers(poolOf('auto', 1), poolOf('auto', 2))).toBe(true)
  expect(wantsOthers(poolOf(3, 1), poolOf(3, 2))).toBe(false)
})

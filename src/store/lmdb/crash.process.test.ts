import { expect, test } from 'vitest'
import { runCrashHarness } from './crash/harness.ts'

test('200 processes killed in mid-write lose nothing that was acknowledged', { timeout: 180_000 }, async () => {
  const seed = Date.now() % 1_000_000
  const result = await runCrashHarness({ kills: 200, seed })
  console.log(
    `store: ${result.kills} kills, ${result.acknowledged} acknowledged writes, seed ${seed}, ${JSON.stringify(result.moments)}`,
  )
  expect(result.problems).toEqual([])
  expect(result.kills).toBeGreaterThanOrEqual(200)
  expect(result.acknowledged).toBeGreaterThan(1_000)
})

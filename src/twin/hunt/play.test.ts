import { expect, test } from 'vitest'
import { play } from './play.ts'

test('one history', async () => {
  const from = Number(process.env['SEED'] ?? 1)
  for (let seed = from; seed < from + Number(process.env['SEEDS'] ?? 5); seed++) {
    const t = performance.now()
    const played = await play(seed)
    console.log(
      seed,
      played.writes,
      played.faults,
      played.leaders,
      played.virtualMs,
      played.hash,
      Math.round(performance.now() - t),
      JSON.stringify(played.violations),
    )
  }
  expect(1).toBe(1)
}, 600_000)

import { expect, it } from 'vitest'
import { seededRandom } from '../../base/random.ts'
import { crashBlobs } from './crash-fixture.ts'

it('a shipper killed at random moments loses nothing that was acknowledged, and shows nothing in part', async () => {
  const result = await crashBlobs(30, seededRandom(11))
  console.log(
    `${result.kills} kills, ${result.verified} acknowledged checkpoints verified, ${result.unacknowledged} more were whole`,
  )
  expect(result.kills).toBe(30)
  expect(result.verified).toBeGreaterThan(0)
})

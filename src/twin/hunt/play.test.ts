import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import type { History } from './history.ts'
import { play } from './play.ts'

const folder = resolve(import.meta.dirname, '../../../test/seeds')

/** Every bug that a history found, and that is mended since. */
for (const name of readdirSync(folder).filter((file) => file.endsWith('.json'))) {
  const { what, seed, history }: { what: string; seed: number; history: History } = JSON.parse(
    readFileSync(resolve(folder, name), 'utf8'),
  )
  test(`${name} breaks nothing any more`, async () => {
    const played = await play(seed, { history })
    expect(played.violations, what).toEqual([])
  }, 60_000)
}

test('a history is a function of its seed, write for write', async () => {
  const traced = { isTraced: true }
  const [first, second, other] = [await play(3, traced), await play(3, traced), await play(4, traced)]
  expect(first.violations).toEqual([])
  expect(first.hash).toBe(second.hash)
  expect(first.hash).not.toBe(other.hash)
}, 60_000)

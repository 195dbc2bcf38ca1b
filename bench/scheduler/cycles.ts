import { Broken, playGame } from '../../src/scheduler/game.fixture.ts'
import type { Row } from '../row.ts'

/** So many are told in full. */
const toldMax = 5

/**
 * Random histories on nearly full fleets of tens of nodes, seed after seed, until so many decisions were made. A game
 * in which a rule is broken ends there, and its seed is told: `src/scheduler/game.property.test.ts` is where it belongs.
 */
export function cycleRows(stepsWanted: number, firstSeed = 1): Row[] {
  const all = { steps: 0, games: 0, evictions: 0, inUse: 0, rests: 0, otherwise: 0 }
  const broken: Broken[] = []
  const startedAt = performance.now()
  for (let seed = firstSeed; all.steps < stepsWanted; seed++) {
    try {
      const played = playGame(seed)
      all.games++
      all.steps += played.steps
      all.evictions += played.evictions
      all.inUse += played.inUse
      all.rests += played.rests
      all.otherwise += played.otherwise
    } catch (error) {
      const one = error instanceof Broken ? error : new Broken(seed, 0, String(error))
      broken.push(one)
      all.steps += one.steps
      if (broken.length <= toldMax) console.error(`bench: ${one.message}`)
    }
  }
  const seconds = (performance.now() - startedAt) / 1000
  const inUse = ((100 * all.inUse) / Math.max(1, all.games)).toFixed(1)
  return [
    {
      row: `preemption cycles in ${all.steps} fuzzed steps`,
      value: broken.length,
      unit: '',
      bar: '0',
      ok: broken.length === 0,
      peer: `fleets ${inUse} % in use, ${all.evictions} evictions, ${(all.steps / seconds).toFixed(0)} steps/s; ${all.rests} rests, of which ${all.otherwise} only because of who displaced whom before`,
    },
  ]
}

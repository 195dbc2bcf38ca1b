import { Broken, movesMax, playGame } from '../../src/scheduler/game.fixture.ts'
import type { Row } from '../row.ts'

/** So many are told in full. */
const toldMax = 5

/**
 * Random histories on nearly full fleets of tens of nodes, seed after seed, until so many decisions were made; a fifth of
 * that on fleets in pieces, where others may move so that one fits, and a fifth where the least served go first. A game in which a rule is broken ends there, and its
 * seed is told: `src/scheduler/game.property.test.ts` is where it belongs.
 */
export function cycleRows(stepsWanted: number, firstSeed = 1): Row[] {
  return [
    played(stepsWanted, firstSeed),
    played(stepsWanted / 5, firstSeed, 'moves'),
    played(stepsWanted / 5, firstSeed, 'served'),
  ]
}

function played(stepsWanted: number, firstSeed: number, kind?: 'moves' | 'served'): Row {
  const all = { steps: 0, games: 0, evictions: 0, moves: 0, inUse: 0, rests: 0, otherwise: 0 }
  const broken: Broken[] = []
  const startedAt = performance.now()
  for (let seed = firstSeed; all.steps < stepsWanted; seed++) {
    try {
      const game = playGame(seed, movesMax, { hasMoves: kind === 'moves', areServed: kind === 'served' })
      all.games++
      all.steps += game.steps
      all.evictions += game.evictions
      all.moves += game.moves
      all.inUse += game.inUse
      all.rests += game.rests
      all.otherwise += game.otherwise
    } catch (error) {
      const one = error instanceof Broken ? error : new Broken(seed, 0, String(error))
      broken.push(one)
      all.steps += one.steps
      if (broken.length <= toldMax) console.error(`bench: ${one.message}`)
    }
  }
  const seconds = (performance.now() - startedAt) / 1000
  const inUse = ((100 * all.inUse) / Math.max(1, all.games)).toFixed(1)
  const moved = kind === 'moves' ? `, of which ${all.moves} moved elsewhere` : ''
  return {
    row: `preemption cycles in ${all.steps} fuzzed steps${kind === undefined ? '' : kind === 'moves' ? ', with moves' : ', least served first'}`,
    value: broken.length,
    unit: '',
    bar: '0',
    ok: broken.length === 0,
    peer: `fleets ${inUse} % in use, ${all.evictions} evictions${moved}, ${(all.steps / seconds).toFixed(0)} steps/s; ${all.rests} rests, of which ${all.otherwise} only because of who displaced whom before`,
  }
}

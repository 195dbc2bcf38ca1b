import { expect, test } from 'vitest'
import { unscrambled } from '../base/random.fixture.ts'
import type { Scheduler, Why } from './contract.ts'
import { playGame } from './game.fixture.ts'
import type { Rehearsal } from './rehearsal/rehearsal.ts'
import { createScheduler } from './scheduler.ts'

/** Small and short, to be played whenever anything is changed; `game.property.test.ts` plays longer ones. */
const games: readonly [seed: number, hasSpares: boolean][] = [
  [15, false],
  [20, false],
  [22, true],
]

test.each(games)(
  'game %i: who has followed a history knows what one knows who is told how things are',
  (seed, hasSpares) => {
    const { world } = playGame(unscrambled(seed), 12, { hasSpares })
    world.slow.clear()
    world.play()
    const stranger = strangerTo(world)
    const isOther = stranger.decide(world.nowMs).some(({ kind }) => kind !== 'wait')
    if (isOther) return // it does not know who displaced whom
    for (const key of someOf(world)) {
      const [why, told] = [world.scheduler, stranger].map((one) => known(one.why(key, world.nowMs)))
      expect(why, key).toEqual(told)
    }
  },
)

/** Told in another order than things came to be. */
function strangerTo({ queues, nodes, pools, gangs, pods }: Rehearsal): Scheduler {
  const stranger = createScheduler()
  for (const object of pools.values()) stranger.apply({ kind: 'Pool', object })
  for (const object of gangs.values()) stranger.apply({ kind: 'Gang', object })
  for (const object of pods.values()) stranger.apply({ kind: 'Pod', object })
  for (const object of nodes.values()) stranger.apply({ kind: 'Node', object })
  for (const object of queues.values()) stranger.apply({ kind: 'Queue', object })
  return stranger
}

/** One that sits and two that wait. */
function someOf({ gangs }: Rehearsal): string[] {
  const keys = [...gangs].filter(([, { spec }]) => !spec.suspend).map(([key]) => key)
  const sits = (key: string) => gangs.get(key)?.status?.seats !== undefined
  return [...keys.filter(sits).slice(0, 1), ...keys.filter((key) => !sits(key)).slice(0, 2)]
}

/** Whom it may displace depends on who displaced whom, and why it waits may have been found out when others waited. */
function known({ fixes: _, message: __, reason: ___, ...why }: Why) {
  return why
}

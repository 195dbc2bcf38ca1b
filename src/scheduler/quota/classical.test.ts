import { describe, expect, it } from 'vitest'
import type { Candidate } from './candidates.ts'
import { Classical } from './classical.ts'
import { contestsOf } from './pool.ts'
import { queueNamed, type Spec } from './quota.fixture.ts'
import { QuotaTree } from './tree.ts'
import { Trial } from './trial.ts'
import { many, World } from './world.fixture.ts'

type Policy = NonNullable<Spec['preemption']>

const policy = (more: Partial<Policy> = {}): Policy => {
  return { withinQueue: 'LowerPriority', reclaimWithinCohort: 'Any', minRunSeconds: 0, ...more }
}
const overs = { borrowWithinCohort: { policy: 'LowerPriority' as const } }

/** A tree that goes by priority. */
function byPriority(a: Partial<Spec> = {}, b: Partial<Spec> = {}): Record<string, Spec> {
  return {
    all: { nominalQuota: { H100: 4 }, fairSharing: false },
    a: { parent: 'all', nominalQuota: { H100: 4 }, preemption: policy(), ...a },
    b: { parent: 'all', nominalQuota: { H100: 0 }, ...b },
  }
}

describe('in which order it is tried with and without borrowing', () => {
  function attempts(queues: Record<string, Spec>, held: readonly { queue: string; gpus: number }[], gpus: number) {
    const tree = new QuotaTree()
    tree.setCapacity('H100', 8000)
    for (const [name, spec] of Object.entries(queues)) tree.set(queueNamed(name, spec))
    const candidates = held.map(({ queue, gpus }, at): Candidate => {
      const [key, holds] = [`g${at}`, new Map([['H100', 1000 * gpus]])]
      tree.add(queue, 'H100', 1000 * gpus)
      const plain = { uid: key, priority: -1, createdAt: '', sinceMs: 0, leaving: false, preemptible: true, price: 0 }
      return { key, queue, holds, ...plain }
    })
    const wants = new Map([['H100', 1000 * gpus]])
    const request = { gang: 'new', queue: 'a', priority: 0, createdAt: '', wants }
    const [contest] = contestsOf(tree, request)
    if (contest === undefined) throw new Error('nothing is contested')
    const stage = { lift() {}, putBack() {}, fits: () => true, isSpare: () => false, roomStays: () => false }
    const trial = new Trial(tree, request, { ...stage, helps: () => true }, true)
    return new Classical(trial, contest, (queue) => candidates.filter((one) => one.queue === queue)).attempts()
  }
  const own = { queue: 'a', gpus: 1 }
  const borrowed = { queue: 'b', gpus: 7 }

  it('with it alone where only its own queue could give, or it owns no more and may not borrow over others', () => {
    expect(attempts(byPriority(), [own, own], 8)).toEqual([true])
    expect(
      attempts(
        byPriority(),
        [
          { queue: 'a', gpus: 4 },
          { queue: 'b', gpus: 4 },
        ],
        1,
      ),
    ).toEqual([true])
  })

  it('without it first where nobody has an advantage and it may not borrow over others', () => {
    expect(attempts(byPriority(), [own, borrowed], 4)).toEqual([false, true])
  })

  it('with it first where others borrowed what is its own, or it may borrow over others', () => {
    expect(attempts(byPriority(), [own, borrowed], 2)).toEqual([true, false])
    const may = byPriority({ preemption: policy(overs) })
    expect(attempts(may, [own, borrowed], 4)).toEqual([true, false])
    expect(
      attempts(
        may,
        [
          { queue: 'a', gpus: 4 },
          { queue: 'b', gpus: 4 },
        ],
        1,
      ),
    ).toEqual([true, false])
  })
})

describe('whom a queue that goes by priority takes from', () => {
  it('those who borrowed what is its own before those of its own queue', () => {
    const world = new World(8, byPriority(), [{ key: 'own', queue: 'a', gpus: 2, priority: -9 }, ...many(6, 'b')])
    expect(world.victims('a', 2)).toEqual(['b5 InCohortReclamation', 'b4 InCohortReclamation'])
  })

  it('its own, where it would have to borrow and others are not lower', () => {
    const world = new World(8, byPriority(), [{ key: 'own', queue: 'a', gpus: 4, priority: -9 }, ...many(4, 'b')])
    expect(world.victims('a', 1)).toEqual(['own InQueue'])
  })

  it('lower ones while it borrows, where it may, up to the priority that is named', () => {
    const held = [
      { key: 'firm', queue: 'a', gpus: 4, preemptible: false },
      ...many(4, 'b').map((one, at) => ({ ...one, priority: at })),
    ]
    const taken = (preemption: Policy, priority: number) =>
      new World(8, byPriority({ preemption }), held).victims('a', 1, { priority })
    expect(taken(policy(), 9)).toBeUndefined()
    expect(taken(policy(overs), 9)).toEqual(['b0 InCohortReclaimWhileBorrowing'])
    expect(taken(policy(overs), 0), 'none is lower').toBeUndefined()
    const upTo = (maxPriorityThreshold: number) =>
      policy({ borrowWithinCohort: { policy: 'LowerPriority', maxPriorityThreshold } })
    expect(taken(upTo(0), 9)).toEqual(['b0 InCohortReclaimWhileBorrowing'])
    expect(taken(upTo(-1), 9)).toBeUndefined()
  })

  it('those whom an ancestor’s own was lent to before others, whatever their priority; who leaves already before them', () => {
    const queues: Record<string, Spec> = {
      all: { nominalQuota: { H100: 0 }, fairSharing: false },
      left: { parent: 'all', nominalQuota: { H100: 4 } },
      a: { parent: 'left', preemption: policy(overs) },
      sister: { parent: 'left' },
      b: { parent: 'all' },
      lends: { parent: 'all', nominalQuota: { H100: 4 } },
    }
    const held = [
      { key: 'near', queue: 'sister', gpus: 2, priority: -5 },
      { key: 'far', queue: 'b', gpus: 5, priority: 5 },
    ]
    const goes = { key: 'goes', queue: 'b', gpus: 1, priority: 7 }
    expect(new World(8, queues, [...held, goes]).victims('a', 1)).toEqual(['far InCohortReclamation'])
    expect(new World(8, queues, [...held, { ...goes, leaving: true }]).victims('a', 1)).toEqual([
      'goes InCohortReclamation',
    ])
  })

  it('nobody, where its policy says so', () => {
    const never = byPriority({ preemption: policy({ reclaimWithinCohort: 'Never', withinQueue: 'Never' }) })
    const world = new World(8, never, [{ key: 'own', queue: 'a', gpus: 2, priority: -9 }, ...many(6, 'b')])
    expect(world.victims('a', 2)).toBeUndefined()
  })
})

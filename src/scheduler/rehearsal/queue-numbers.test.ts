import { describe, expect, test } from 'vitest'
import type { Claim } from '../fleet/nodes.ts'
import { queueNamed } from '../quota/quota.fixture.ts'
import { type QueueScene, queueNumbers } from './queue-numbers.ts'

function claimOf(queue: string | undefined, model: string, gpus: number): Claim {
  const devices = gpus === 0 ? [] : [{ id: 'x', milli: 1000 * gpus }]
  return { node: 'n', model, devices, cpuMilli: 0, memoryBytes: 0, ports: [], queue }
}

const asks = (min: number, model: string, count = 1) => [{ min, accelerators: [{ model, count }] }]
const scene = (more: Partial<QueueScene>): QueueScene => ({
  queues: [],
  capacity: new Map([['H100', 16_000]]),
  held: [],
  heldAfter: more.held ?? [],
  gangs: [],
  ...more,
})

describe('the numbers of a queue', () => {
  test('are what it owns, holds, waits for and may hold, by model, of all queues by name', () => {
    const queues = [
      queueNamed('b', { parent: 'all', nominalQuota: { H100: 4, A100: 0 }, weight: 2 }),
      queueNamed('all', { nominalQuota: { H100: 0 } }),
      queueNamed('a', { parent: 'all', nominalQuota: { H100: 4 } }),
    ]
    const held = [
      claimOf('a', 'H100', 4),
      claimOf('a', 'H100', 2),
      claimOf(undefined, 'H100', 1),
      claimOf('b', 'T4', 0),
    ]
    const gangs = [
      { queue: 'a', asks: asks(2, 'H100', 2), verdict: { kind: 'wait' } },
      { queue: 'a', asks: asks(8, 'H100'), verdict: { kind: 'bind' } },
      { queue: 'b', asks: asks(1, 'H100', 0.5), verdict: { kind: 'none' } },
      { queue: 'b', asks: asks(1, 'H100'), verdict: { kind: 'sits' } },
      { queue: 'b', asks: asks(1, 'H100'), verdict: { kind: 'sits', leaves: { by: 'x' } } },
    ]
    const heldAfter = [claimOf('a', 'H100', 3), claimOf('b', 'H100', 1)]
    expect(queueNumbers(scene({ queues, held, heldAfter, gangs }))).toEqual([
      {
        queue: 'a',
        parent: 'all',
        weight: 1,
        share: 250,
        shareAfter: 0,
        models: [{ model: 'H100', nominal: 4, used: 6, usedAfter: 3, waiting: 4, mayHold: 7, fairShare: 5.5 }],
      },
      {
        queue: 'all',
        weight: 1,
        share: 0,
        shareAfter: 0,
        models: [{ ...idle, model: 'H100', nominal: 0, mayHold: 4 }],
      },
      {
        queue: 'b',
        parent: 'all',
        weight: 2,
        share: 0,
        shareAfter: 0,
        models: [
          { ...idle, model: 'A100', nominal: 0 },
          { model: 'H100', nominal: 4, used: 0, usedAfter: 1, waiting: 1.5, mayHold: 5, fairShare: 2.5 },
        ],
      },
    ])
  })

  test('have no limit where only nodes are one, no share at weight 0, and say what is wrong', () => {
    const queues = [
      queueNamed('open', { weight: 0 }),
      queueNamed('lost', { parent: 'nobody' }),
      queueNamed('still', { weight: 0 }),
    ]
    const [lost, open, still] = queueNumbers(
      scene({ queues, held: [claimOf('open', 'H100', 1), claimOf('lost', 'H100', 3)] }),
    )
    expect(open).toEqual({
      queue: 'open',
      weight: 0,
      share: null,
      shareAfter: null,
      models: [{ model: 'H100', used: 1, usedAfter: 1, waiting: 0, fairShare: 1 }],
    })
    expect(lost).toMatchObject({
      parent: 'nobody',
      problem: expect.stringContaining('its parent nobody does not exist'),
    })
    expect(lost?.share).toBe(187.5)
    expect(still).toEqual({ queue: 'still', weight: 0, share: 0, shareAfter: 0, models: [] })
  })

  test('are of quotas alone where there are no nodes, and without fair shares where there are very many queues', () => {
    const gangs = [{ queue: 'q', asks: asks(9, 'H100'), verdict: { kind: 'none' } }]
    const own = queueNamed('q', { nominalQuota: { H100: 4 } })
    const alone = (queues: QueueScene['queues'], capacity: QueueScene['capacity']) =>
      queueNumbers(scene({ queues, capacity, gangs })).find(({ queue }) => queue === 'q')?.models
    const row = { model: 'H100', nominal: 4, used: 0, usedAfter: 0, waiting: 9, mayHold: 4 }
    expect(alone([own], new Map())).toEqual([{ ...row, fairShare: 4 }])
    const { nominal: _, mayHold: __, ...open } = row
    expect(alone([queueNamed('q')], new Map([['H100', 2000]]))).toEqual([{ ...open, fairShare: 2 }])
    expect(alone([queueNamed('q')], new Map([['A100', 2000]]))).toEqual([{ ...open, fairShare: 0 }])
    expect(alone([queueNamed('q')], new Map())).toEqual([{ ...open, fairShare: 9 }])
    const many = Array.from({ length: 1000 }, (_, at) => queueNamed(`n${at}`))
    expect(alone([own, ...many.slice(1)], new Map())).toEqual([{ ...row, fairShare: 4 }])
    expect(alone([own, ...many], new Map())).toEqual([row])
  })
})

const idle = { used: 0, usedAfter: 0, waiting: 0, fairShare: 0 }

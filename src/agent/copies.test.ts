import { beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../base/log.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import type { Blobs } from '../blob/contract.ts'
import { createSimulatedBlobs } from '../blob/simulated/blobs.ts'
import { type Gang, gang } from '../model/kinds/gang.ts'
import { millwrightVersion } from '../model/metadata.ts'
import type { PodWork } from '../model/work.ts'
import type { Copies, Notice, PodPlace } from './contract.ts'
import { copiedAs, createCopier, createCopyKeeper, holdersOfPart, reached } from './copies.ts'
import { placeWith } from './place.fixture.ts'

let clock: ManualClock
let nodes: Map<string, Blobs>
let copies: Copies
beforeEach(() => {
  clock = createManualClock()
  nodes = new Map(['n0', 'n1'].map((node) => [node, createSimulatedBlobs()]))
  copies = { of: (node) => nodes.get(node), isEmpty: (node) => !nodes.has(node) }
})

const placed = (work: Partial<PodWork>, peer: string | undefined = 'n1') => placeWith(work, { node: 'n0', peer })

describe('copying a step', () => {
  let notices: Notice[]
  let puts: string[]
  beforeEach(() => {
    notices = []
    puts = []
  })
  const copierOf = (place: PodPlace) =>
    createCopier(
      place,
      { copies, log: silentLog },
      { notice: (notice) => void notices.push(notice) },
      async (node, step) => {
        puts.push(`${node} ${step}`)
        await reached(copies, node).put(`step-${step}`, new Uint8Array())
        return 'digest'
      },
    )

  test.each([
    [{ copies: 2 }, 'n1', ['n0', 'n1']],
    [{ copies: 2 }, undefined, ['n0']],
    [{ copies: 1 }, 'n1', ['n0']],
  ])('%o with peer %s goes to %o', async (work, peer, holders) => {
    expect([...((await copierOf({ ...placed(work), peer })?.(5)) ?? [])].map(([node]) => node)).toEqual(holders)
  })

  test('of a job that asks for none there is nobody to copy to', () => {
    expect(copierOf(placed({}))).toBeUndefined()
  })

  test('a node that cannot be reached costs its copy alone, is told once, and is tried with the step that is shipped again', async () => {
    const copy = copierOf(placed({ copies: 2 }))
    const peer = nodes.get('n1')
    nodes.delete('n1')
    for (const step of [5, 5, 6]) expect([...((await copy?.(step)) ?? new Map()).keys()]).toEqual(['n0'])
    expect(puts).toEqual(['n0 5', 'n1 5', 'n1 5', 'n0 6', 'n1 6'])
    expect(notices.map(({ reason }) => reason)).toEqual(['CheckpointNotCopied'])
    expect(notices[0]?.message).toBe(
      'the checkpoint of step 5 could not be copied to node n1: node n1 cannot be reached',
    )
    nodes.set('n1', peer ?? createSimulatedBlobs())
    expect([...((await copy?.(6)) ?? new Map()).keys()].sort()).toEqual(['n0', 'n1'])
  })

  test('what is another than was shipped is not reported', () => {
    const done = new Map([
      ['n1', 'a'],
      ['n0', 'a'],
      ['n2', 'b'],
    ])
    expect(copiedAs('a', done)).toEqual({ copies: ['n0', 'n1'] })
    expect(copiedAs('c', done)).toEqual({})
  })
})

test('a node looks in its own memory first', () => {
  const checkpoint = { step: 1, attempt: 1, manifests: ['a', 'b'], copies: ['n0,n1', ''] }
  expect(holdersOfPart(checkpoint, 0, 'n1')).toEqual(['n1', 'n0'])
  expect(holdersOfPart(checkpoint, 0, 'n7')).toEqual(['n0', 'n1'])
  expect(holdersOfPart(checkpoint, 1, 'n1')).toEqual([])
})

describe('what a node keeps', () => {
  const keyOf = (attempt: number, step: number, job = 'job') =>
    `checkpoints/default/${job}/attempt-${attempt}/step-${step}/rank-0/manifest.json`
  const gangAt = (attempt: number, committed: [number, number] | undefined, suspend = false): Gang => {
    const [by = 0, step = 0] = committed ?? []
    const checkpoint = { step, attempt: by, at: '', digest: 'd', manifests: [keyOf(by, step)] }
    return gang.parse({
      apiVersion: millwrightVersion,
      kind: 'Gang',
      metadata: {
        name: 'j',
        namespace: 'default',
        ownerReferences: [{ apiVersion: millwrightVersion, kind: 'TrainingJob', name: 'j', uid: 'job' }],
      },
      spec: {
        attempt,
        queue: 'default',
        priority: 0,
        suspend,
        groups: [{ name: 'w', min: 1, max: 1, accelerators: [{ model: 'cpu', count: 1 }] }],
      },
      ...(committed === undefined ? {} : { status: { checkpoint } }),
    })
  }
  const keptAfter = async (gangs: readonly Gang[], ...keys: string[]): Promise<string[]> => {
    for (const key of keys) await nodes.get('n0')?.put(key, new TextEncoder().encode('{}'))
    const keeper = createCopyKeeper({ node: 'n0', copies, gangs: () => gangs, clock, log: silentLog })
    keeper.changed()
    await clock.advance(2_000)
    keeper.close()
    return (await nodes.get('n0')?.list(''))?.map(({ key }) => key) ?? []
  }

  test('is the newest committed checkpoint, and what may be committed after it', async () => {
    const [old, now, next] = [keyOf(2, 5), keyOf(2, 10), keyOf(2, 15)]
    expect(await keptAfter([gangAt(2, [2, 10])], keyOf(1, 99), old, now, next)).toEqual([now, next])
  })

  test('is what a new attempt starts from until it has committed one of its own', async () => {
    const [from, next] = [keyOf(2, 10), keyOf(3, 5)]
    expect(await keptAfter([gangAt(3, [2, 10])], keyOf(2, 15), from, next)).toEqual([from, next])
  })

  test('is what comes of an attempt that it has not heard of', async () => {
    expect(await keptAfter([gangAt(1, undefined)], keyOf(1, 5), keyOf(2, 5))).toEqual([keyOf(1, 5), keyOf(2, 5)])
  })

  test('goes when the job gives its seats back, or is no more', async () => {
    expect(await keptAfter([gangAt(2, [2, 10], true)], keyOf(2, 10))).toEqual([])
    expect(await keptAfter([], keyOf(2, 10))).toEqual([])
    expect(await keptAfter([gangAt(2, [2, 10])], keyOf(2, 10, 'another'))).toEqual([])
  })

  test('is looked at once where there is nothing yet, for what comes behind the last word of its gang', async () => {
    nodes.delete('n0')
    const keeper = createCopyKeeper({ node: 'n0', copies, gangs: () => [], clock, log: silentLog })
    keeper.changed()
    await clock.advance(600_000)
    expect([nodes.has('n0'), clock.pending]).toEqual([false, 0])
    keeper.changed()
    const late = createSimulatedBlobs()
    nodes.set('n0', late)
    await late.put('checkpoints/default/uid/attempt-1/step-1/rank-0/manifest.json', new Uint8Array())
    await clock.advance(600_000)
    expect(await late.list('')).toEqual([])
    keeper.close()
  })
})

import { describe, expect, test } from 'vitest'
import { recordingOf, setupOfText } from './play.fixture.ts'
import type { Recording } from './recording.ts'

interface Play {
  copies: number
  ranks?: 'first' | 'all'
  fault: string
  nodesPerRack?: number
}

/** Six nodes, of which a job takes four; its checkpoints take 13 minutes to be read in storage, and one in memory. */
async function played({ copies, ranks = 'all', fault, nodesPerRack = 2 }: Play, seed = 1): Promise<Recording> {
  const scenario = `apiVersion: millwright.dev/v1alpha1
kind: Scenario
metadata: {name: copies}
spec:
  horizon: 6h
  fleet: [{name: n, count: 6, accelerators: H100:8, nodesPerRack: ${nodesPerRack}}]
  resources: [work.yaml]
  performance: {prepare: 30s, restore: 13m, init: 30s, stall: 5s, persist: 2m, stepTime: 5s, peerLost: 1m}
  faults: {mix: {it: ${fault}}}
`
  const job = `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: {name: big}
spec:
  command: train
  workers: 4
  resources: {accelerators: H100:8}
  checkpoint: {interval: 10m, ranks: ${ranks}, copies: ${copies}}
  maxRestarts: 100
  progressDeadlineSeconds: 3600
  expectedSeconds: 36000
`
  return await recordingOf(setupOfText(scenario, job), seed)
}

const outMs = ({ failures }: Recording) => (failures[0]?.backMs ?? Number.NaN) - (failures[0]?.decidedMs ?? 0)
const restoreMs = 13 * 60_000
const copyMs = 60_000

describe('a process that crashes', () => {
  const fault = '{kind: process-crash, count: 1}'

  test('starts again from the memory of its own node, as much sooner as that is nearer than storage', async () => {
    const none = await played({ copies: 0, fault })
    expect(none.restores).toEqual({ storage: 4 })
    for (const copies of [1, 2]) {
      const some = await played({ copies, fault })
      expect(some.restores).toEqual({ node: 4 })
      expect(outMs(none) - outMs(some)).toBeCloseTo(restoreMs - copyMs, -4)
    }
  })

  test('of a job whose first rank alone writes, the others read what its node and one more have', async () => {
    expect((await played({ copies: 2, ranks: 'first', fault })).restores).toEqual({ node: 2, peer: 2 })
  })
})

test('a node that is lost takes its copies along: who sits elsewhere reads those of the peer', async () => {
  const fault = '{kind: node-loss, count: 1, lasts: 5h}'
  const [without, with_] = [await played({ copies: 0, fault }), await played({ copies: 2, fault })]
  expect(with_.failures.map(({ reason }) => reason)).toEqual(['NodeLost'])
  expect(with_.restores.storage).toBeUndefined()
  expect(with_.restores.peer).toBeGreaterThanOrEqual(1)
  expect(outMs(without) - outMs(with_)).toBeCloseTo(restoreMs - copyMs, -4)
  expect((await played({ copies: 1, fault })).restores).toMatchObject({ storage: 1 })
})

describe('a rack that is lost', () => {
  const fault = '{kind: node-loss, count: 1, reach: rack, lasts: 1h}'

  test('leaves a copy of everything in another one', async () => {
    const { failures, restores } = await played({ copies: 2, fault })
    expect(failures.map(({ reason }) => reason)).toEqual(['NodeLost'])
    expect(restores.storage).toBeUndefined()
    expect((restores.peer ?? 0) + (restores.node ?? 0)).toBe(4)
  })

  test('takes both copies along where all nodes are in it: storage has them', async () => {
    const { restores } = await played({ copies: 2, fault, nodesPerRack: 6 })
    expect(restores).toEqual({ storage: 4 })
  })
})

test('what is in memory is restored while storage does not answer; what is not waits for it', async () => {
  const crash = '{kind: process-crash, perNodeDay: 4}, out: {kind: storage-outage, count: 5, lasts: 40m}'
  const waits = async (copies: number) => {
    const { failures } = await played({ copies, fault: crash }, 4)
    return Math.max(...failures.map(({ backMs = 0, decidedMs }) => backMs - decidedMs))
  }
  const [without, with_] = [await waits(0), await waits(2)]
  expect(without).toBeGreaterThan(restoreMs + 10 * 60_000)
  expect(with_).toBeLessThan(3 * 60_000)
})

test('a run with copies is a function of its seed', async () => {
  const fault = '{kind: node-loss, perNodeDay: 2, lasts: 30m}'
  const [first, second] = [await played({ copies: 2, fault }), await played({ copies: 2, fault })]
  expect(JSON.stringify(second)).toBe(JSON.stringify(first))
})

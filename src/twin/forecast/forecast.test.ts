import { describe, expect, test } from 'vitest'
import { readState } from '../../compile/state.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { label } from '../../model/names.ts'
import { leavingBy } from '../../model/nodes.ts'
import { effectiveRatioWithLag, optimalInterval } from '../../model/reliability.ts'
import type { Rehearsal } from '../../scheduler/rehearsal/rehearsal.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import { Story } from '../../scheduler/story.fixture.ts'
import { pastJob } from '../import/past-job.fixture.ts'
import type { PastJob } from '../import/past-job.ts'
import { cadencesOf } from './cadence.ts'
import type { Scene } from './course.ts'
import { drawsOf, type Risks } from './draws.ts'
import { hourMs, nowMs, story } from './forecast.fixture.ts'
import { type Forecast, type ForecastOptions, forecastOf } from './forecast.ts'
import { anotherLike, likeMost } from './more-nodes.ts'

/** What a story has come to. */
function sceneOf({ world }: { world: Rehearsal }): Scene {
  const { nodes, queues, gangs, pods } = world
  return {
    nodes: [...nodes.values()],
    queues: [...queues.values()],
    gangs: [...gangs.values()],
    pods: [...pods.values()],
  }
}

const noRisks = { nodeFailures: 0, repairMs: hourMs, spotReclaims: 0, spotAwayMs: hourMs, spotNoticeMs: 120_000 }

function foretold(
  before: Scene,
  after?: Scene,
  { risks, ...options }: Partial<Omit<ForecastOptions, 'risks'>> & { risks?: Partial<Risks> } = {},
): Forecast {
  const usual = { nowMs, horizonMs: 24 * hourMs, seeds: 3 }
  return forecastOf(before, after, { ...usual, ...options, risks: { ...noRisks, ...risks } })
}

const training7200 = {
  steps: 7200,
  stepMs: 1000,
  ranks: 4,
  initMs: 0,
  stallMs: 0,
  persistMs: 0,
  checkpointBytes: 1,
  progress: 'all',
  peerLostMs: 1000,
} as const
const performance = { prepareMs: 0, restoreMs: 0, replica: { loadMs: 0, drainMs: 0 } }

const figureOf = ({ rows }: Forecast, figure: string) => rows.find((row) => row.of === 'fleet' && row.figure === figure)
const exactly = (figure: number) => {
  const value = Math.round(1e6 * figure) / 1e6
  return { mean: value, low: value, median: value, high: value }
}

describe('what is known for sure is foretold for sure', () => {
  /** One node: `a` is done in an hour, `b` waits for it. */
  function ahead(): Story {
    const told = story(1)
    told.nowMs = nowMs - hourMs
    told.gang('a', '1xH100:8', { expectedSeconds: 7200 })
    told.decide()
    told.nowMs = nowMs
    told.gang('b', '1xH100:8', { expectedSeconds: 3600 })
    told.decide()
    return told
  }

  test('who waits starts when the one before it ends, and works as long as was declared', () => {
    const { gangs } = foretold(sceneOf(ahead()))
    expect(gangs).toMatchObject([
      { title: 'job/a', without: { starts: exactly(0), ends: exactly(3600) } },
      { title: 'job/b', basis: 'declared', without: { starts: exactly(3600), ends: exactly(7200), endsWithin: 1 } },
    ])
  })

  test('with fewer members it works as much longer, as it does when it is played, and with more of them less', () => {
    const elastic = (nodes: number) => {
      const told = story(nodes)
      told.gang('a', '4xH100:8', { expectedSeconds: 7200 }, { min: 1 })
      return told
    }
    const [waits, sits] = [elastic(1), elastic(1)]
    sits.decide()
    const endsOf = (told: Story, scaling?: number, stepSpread = 0) => {
      const training = { ...training7200, ...(scaling === undefined ? {} : { scaling }), stepSpread }
      const performances = new Map([['default/a', { ...performance, training }]])
      return foretold(sceneOf(told), undefined, { requests: { traffic: [], performances } }).gangs[0]?.without?.ends
    }
    for (const told of [waits, sits]) {
      expect(foretold(sceneOf(told)).gangs[0]?.without?.ends).toEqual(exactly(4 * 7200))
      expect(endsOf(told)).toEqual(exactly(4 * 7200))
      expect(endsOf(told, 0.5)).toEqual(exactly(2.5 * 7200))
      expect(endsOf(told, 0)).toEqual(exactly(7200))
    }
    expect(endsOf(elastic(4), 0.5)).toEqual(exactly(7200))
    // The slowest of four is 1.03 deviations slower than the mean, and one alone waits for nobody.
    expect(endsOf(elastic(4), 1, 0.1)?.median).toBeCloseTo(7200 * 1.102938, 0)
    expect(endsOf(waits, 1, 0.1)?.median).toBeCloseTo(4 * 7200, 0)
  })

  test('with a node more it starts now, and nothing else changes', () => {
    const changed = ahead()
    changed.node('more', 'H100:8')
    const found = foretold(sceneOf(ahead()), sceneOf(changed))
    expect(found.gangs[0]).toMatchObject({ with: { ends: exactly(3600) } })
    expect(found.gangs[1]).toMatchObject({ with: { starts: exactly(0), ends: exactly(3600) } })
    expect(figureOf(found, 'wait, median')).toMatchObject({ difference: exactly(-3600) })
    expect(figureOf(found, 'evictions')).toBeUndefined()
  })

  test('who is displaced does again what it had not saved, and starts again', () => {
    const changed = ahead()
    changed.gang('urgent', '1xH100:8', { priority: 9, expectedSeconds: 1800 })
    const found = foretold(sceneOf(ahead()), sceneOf(changed))
    expect(figureOf(found, 'evictions')).toMatchObject({ without: exactly(0), with: exactly(1) })
    // An hour of eight accelerators, and half a minute until they work again.
    expect(figureOf(found, 'hours lost')).toMatchObject({ difference: exactly(8 + 8 * (30 / 3600)) })
    expect(found.gangs.find(({ title }) => title === 'job/a')).toMatchObject({
      without: { evictions: exactly(0), hoursLost: exactly(0) },
      with: { ends: exactly(1800 + 30 + 7200), evictions: exactly(1), hoursLost: exactly(8 + 8 * (30 / 3600)) },
      difference: { ends: exactly(1800 + 30 + 3600), evictions: exactly(1) },
    })
  })

  test('work of a queue is complete so long after it came, or after now', () => {
    const { rows } = foretold(sceneOf(ahead()))
    const of = (figure: string) => rows.find((row) => row.of === 'queue/default' && row.figure === figure)?.without
    expect(of('completion, median')?.median).toBe((3600 + 7200) / 2)
    expect(of('completion, 90 %')?.median).toBe(3600 + 0.9 * 3600)
  })
})

describe('a queue is utilised', () => {
  const utilisationIn = ({ rows }: Forecast, of: string) =>
    rows.find((row) => row.of === of && row.figure === 'utilisation')

  function owns(nominalQuota: Record<string, number> | undefined): Scene {
    const told = story(2)
    told.node('other', 'A100:8')
    told.queue('root')
    told.queue('lab', { parent: 'root', ...(nominalQuota === undefined ? {} : { nominalQuota }) })
    told.queue('shop', { parent: 'root', nominalQuota: { H100: 8 } })
    const expectedSeconds = 48 * 3600
    told.gang('a', '1xH100:8', { queue: 'lab', expectedSeconds })
    told.gang('b', '1xH100:4', { queue: 'shop', expectedSeconds })
    told.gang('c', '1xA100:8', { expectedSeconds })
    told.decide()
    return sceneOf(told)
  }

  test('as far as it holds what it owns, and its parent as far as all below it do', () => {
    const found = foretold(owns({ H100: 8 }), owns({ H100: 16 }))
    expect(utilisationIn(found, 'queue/lab')).toMatchObject({ without: exactly(100), with: exactly(50) })
    expect(utilisationIn(found, 'queue/shop')).toMatchObject({ without: exactly(50), difference: exactly(0) })
    expect(utilisationIn(found, 'queue/root')).toMatchObject({ without: exactly(75), with: exactly(50) })
  })

  test('beyond that by what it borrows, and where it owns nothing not at all', () => {
    const found = foretold(owns(undefined), owns({ H100: 4 }))
    expect(utilisationIn(found, 'queue/lab')).toMatchObject({ without: undefined, with: exactly(200) })
    expect(utilisationIn(found, 'queue/default')).toBeUndefined()
  })
})

test('what is held on a cordoned node is offered, and the rest of that node is not', () => {
  const told = story(2)
  told.gang('a', '2xH100:4', { expectedSeconds: 48 * 3600 })
  told.gang('b', '1xH100:8', { expectedSeconds: 48 * 3600 })
  told.decide()
  for (const node of told.world.nodes.values()) told.world.put({ ...node, spec: { unschedulable: true } })
  expect(figureOf(foretold(sceneOf(told)), 'utilisation')?.without).toEqual(exactly(100))
})

test('one more is like most nodes, and takes work although that one does not', () => {
  const told = story(0)
  told.node('odd', 'A100:4')
  for (const name of ['n0', 'n1']) told.node(name, 'H100:8')
  const [, n0] = [...told.world.nodes.values()]
  const taints = [leavingBy('drain'), { key: 'gpu', effect: 'NoSchedule' as const }]
  if (n0 !== undefined) told.world.put({ ...n0, spec: { unschedulable: true, taints } })
  const like = likeMost([...told.world.nodes.values()])
  if (like === undefined) throw new Error('no node')
  expect(like.metadata.name).toBe('n0')
  const { spec, metadata } = anotherLike(like, 'more')
  expect({ spec, metadata }).toMatchObject({ spec: { taints: [{ key: 'gpu' }] }, metadata: { name: 'more' } })
  expect(spec?.unschedulable).toBeUndefined()
})

describe('nodes fail', () => {
  function running(checkpoints: string[]): Scene {
    const told = story(4)
    told.gang('a', '2xH100:8', { expectedSeconds: 100 * 3600 })
    told.decide()
    const at = checkpoints.map((one) => ({ step: 1, attempt: 1, at: one, digest: 'd', bytes: 1, manifests: [] }))
    const [checkpoint, ...older] = at
    if (checkpoint !== undefined) told.world.edit('default/a', {}, { checkpoint, checkpoints: older })
    return sceneOf(told)
  }
  const often = { risks: { nodeFailures: 5000 }, seeds: 5 }

  test('who sat on one starts again on others, and loses less the more often it saves', () => {
    const minutes = (count: number) => new Date(nowMs - count * 60_000).toISOString()
    const [never, seldom, mostly] = [[], [minutes(0), minutes(60)], [minutes(0), minutes(10)]].map((times) =>
      foretold(running(times), undefined, often),
    )
    const lost = [never, seldom, mostly].map((found) => found && figureOf(found, 'hours lost')?.without?.median)
    expect(lost.toSorted((a = 0, b = 0) => b - a)).toEqual(lost)
    expect(lost[2]).toBeGreaterThan(0)
    expect(never && figureOf(never, 'restarts for nodes')?.without?.low).toBeGreaterThan(0)
  })

  test('what was worked before now is lost, and takes nothing off what is worked from now on', () => {
    const told = story(1)
    told.nowMs = nowMs - 240 * hourMs
    told.gang('a', '1xH100:8', { expectedSeconds: 1000 * 3600 })
    told.decide()
    told.nowMs = nowMs
    const found = foretold(sceneOf(told), undefined, { risks: { nodeFailures: 2000, repairMs: hourMs }, seeds: 9 })
    expect(figureOf(found, 'hours lost')?.without?.median).toBeGreaterThan(8 * 240)
    expect(figureOf(found, 'hours worked')?.without?.low).toBeGreaterThanOrEqual(0)
    expect(figureOf(found, 'ETTR')?.without?.low).toBeGreaterThanOrEqual(0)
  })

  test('whoever loses nothing works all the time', () => {
    const told = story(2)
    told.gang('a', '1xH100:8', { expectedSeconds: 100 * 3600 })
    told.decide()
    const rare = foretold(sceneOf(told), undefined, { risks: { nodeFailures: 300 }, seeds: 9 })
    expect(figureOf(rare, 'ETTR')?.without?.low).toBeLessThan(100)
    expect(figureOf(rare, 'ETTR')?.without?.high).toBe(100)
  })

  test('what nobody has is no part of what it is on average, nor of a difference', () => {
    const empty = story(1)
    const filled = story(1)
    filled.gang('a', '1xH100:8', { expectedSeconds: 3600 })
    const found = foretold(sceneOf(empty), sceneOf(filled))
    for (const figure of ['ETTR', 'spend for an hour worked'])
      expect(figureOf(found, figure)).toMatchObject({ without: undefined, difference: undefined })
    expect(figureOf(found, 'ETTR')?.with).toEqual(exactly(100))
    expect(figureOf(found, 'hours worked')?.difference).toEqual(exactly(8))
  })

  test('the same ones with a change and without it', () => {
    const scene = running([])
    const { rows } = foretold(scene, scene, often)
    for (const { difference } of rows) expect(difference).toEqual(exactly(0))
  })
})

test('the difference of the means is the mean of the differences, as that of medians is not', () => {
  const told = story(6)
  for (let at = 0; at < 9; at++) told.gang(`g${at}`, '3xH100:8', { expectedSeconds: 5 * 3600 })
  const [before, after] = [sceneOf(told), sceneOf(told)]
  const { rows } = foretold(
    before,
    { ...after, nodes: after.nodes.slice(1) },
    { risks: { nodeFailures: 300 }, seeds: 10 },
  )
  const some = rows.filter(
    ({ difference, unit }) => unit !== 's' && difference !== undefined && difference.high !== difference.low,
  )
  expect(some.length).toBeGreaterThan(4)
  for (const row of some) {
    expect((row.with?.mean ?? 0) - (row.without?.mean ?? 0)).toBeCloseTo(row.difference?.mean ?? 0)
  }
  expect(
    some.some(
      (row) => Math.abs((row.with?.median ?? 0) - (row.without?.median ?? 0) - (row.difference?.median ?? 0)) > 0.1,
    ),
  ).toBe(true)
})

test('of ten courses a tenth of others lies below about the lowest', () => {
  const told = story(1)
  told.gang('a', '1xH100:8')
  const at = (hours: number) => new Date(nowMs + hours * hourMs).toISOString()
  told.decide()
  told.world.edit('default/a', {}, { expectedEnd: at(4), expectedEndRange: { earliest: at(3), latest: at(6) } })
  const { low = 0, high = 0 } = foretold(sceneOf(told), undefined, { seeds: 10 }).gangs[0]?.without?.ends ?? {}
  expect(low / 3600).toBeGreaterThan(2.6)
  expect(low / 3600).toBeLessThan(3.1)
  expect(high / 3600).toBeGreaterThan(5.8)
})

/** One job on so many nodes of a pool, for a hundred hours. */
function trains(
  interval: string | undefined,
  {
    nodes = 1,
    capacityType = 'reserved',
    status = {},
  }: { nodes?: number; capacityType?: string; status?: object } = {},
): Scene {
  const lines = Array.from(
    { length: nodes },
    (_, index) => `apiVersion: v1
kind: Node
metadata: { name: n${index}, labels: { millwright.dev/accelerator: H100, millwright.dev/pool: p } }
status: { allocatable: { nvidia.com/gpu: 8 } }
---
`,
  )
  const checkpoint = interval === undefined ? '{}' : `{ interval: ${interval} }`
  const text = `${lines.join('')}apiVersion: millwright.dev/v1alpha1
kind: Pool
metadata: { name: p }
spec: { accelerator: H100, maxNodes: ${nodes}, capacityType: ${capacityType} }
---
apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: { name: t }
spec: { command: [x], expectedSeconds: 36000000, workers: ${nodes}, resources: { accelerators: "H100:8" }, checkpoint: ${checkpoint} }
`
  const read = readState([{ name: 'state.yaml', text }], { nowMs })
  if ('errors' in read) throw new Error(JSON.stringify(read.errors))
  const gangs = read.state.gangs.map((gang) => ({
    ...gang,
    status: { conditions: [], checkpoints: [], ...gang.status, ...status },
  }))
  return { ...read.state, gangs }
}

describe('how often a job writes checkpoints', () => {
  test('keeps it from working, and it keeps what it has saved', () => {
    const found = foretold(trains('99s'), trains('999s'), { horizonMs: 10 * hourMs })
    // A checkpoint that nobody has measured is taken for one that stalls for a second.
    expect(figureOf(found, 'hours in checkpoints')?.without?.median).toBeCloseTo(80 / 100)
    expect(figureOf(found, 'hours in checkpoints')?.with?.median).toBeCloseTo(80 / 1000)
    expect(figureOf(found, 'ETTR')?.without?.median).toBeCloseTo(99)
    const often = { risks: { nodeFailures: 20_000, repairMs: 60_000 }, horizonMs: 100 * hourMs }
    const failing = foretold(trains('99s'), trains('999s'), often)
    expect(figureOf(failing, 'hours lost')?.difference?.low).toBeGreaterThan(0)
    expect(figureOf(failing, 'hours in checkpoints')?.difference?.high).toBeLessThan(0)
  })

  test('what was measured at one interval takes less time at a longer one', () => {
    const [before, after] = [trains('9s'), trains('99s')]
    const ends = (scene: Scene) =>
      scene.gangs.map((gang) => ({ ...gang, spec: { ...gang.spec, expectedSeconds: 3600 } }))
    const found = foretold({ ...before, gangs: ends(before) }, { ...after, gangs: ends(after) })
    expect(found.gangs[0]?.without?.ends.median).toBeCloseTo(3600, 0)
    expect(found.gangs[0]?.with?.ends.median).toBeCloseTo((3600 * 0.9) / 0.99, 0)
  })

  test('auto is the optimum for what it has measured', () => {
    const status = {
      checkpoint: { step: 1, attempt: 1, at: '2026-01-01T00:00:00Z', digest: '', bytes: 1, manifests: [], seconds: 10 },
    }
    const scene = trains('auto', { nodes: 400, status })
    const { interval = 0, stall } = cadencesOf(scene, nowMs).get('default/t') ?? {}
    expect(stall).toBe(10)
    expect(interval).toBeCloseTo(optimalInterval(10, ((1000 / 6.5) * 86_400) / 400), 0)
  })

  test.each([300, 1200])('every %d s, it keeps of its time what the formula says', (interval) => {
    // Eight failures a day; a node is back at once, so that nobody waits.
    const risks = { nodeFailures: 8000, repairMs: 1 }
    const status = { restartSeconds: 120 }
    const found = foretold(trains(`${interval}s`, { status }), undefined, {
      risks,
      seeds: 16,
      horizonMs: 500 * hourMs,
    })
    const formula = 100 * effectiveRatioWithLag(interval, 1, 120, 0, 86_400 / 8)
    expect(found.gangs[0]?.without?.ettr?.median).toBeCloseTo(formula, 6)
    expect(Math.abs((figureOf(found, 'ETTR')?.without?.median ?? 0) - formula)).toBeLessThan(0.2)
  })
})

describe('spot instead of reserved', () => {
  const risks = { spotReclaims: 4000, spotAwayMs: hourMs }
  const status = { restartSeconds: 60 }

  test('costs less and is taken away; whoever saves in time loses little', () => {
    const [before, after] = [trains('1h', { nodes: 2 }), trains('1h', { nodes: 2, capacityType: 'spot', status })]
    const found = foretold(before, after, { risks, horizonMs: 48 * hourMs, seeds: 10 })
    expect(figureOf(found, 'moves off spot')?.without).toEqual(exactly(0))
    expect(figureOf(found, 'moves off spot')?.with?.median).toBeGreaterThan(3)
    const spend = figureOf(found, 'spend')
    expect(spend?.without?.median).toBeCloseTo(48 * 16 * 6.88)
    // What is away for an hour at a time costs nothing meanwhile.
    expect(spend?.with?.high).toBeLessThan(48 * 2 * 21.62)
    expect(spend?.with?.median).toBeGreaterThan(0.6 * 48 * 2 * 21.62)
    // Of each move a second for the checkpoint, and a minute until it works again.
    const moves = figureOf(found, 'moves off spot')?.with?.high ?? 0
    expect(figureOf(found, 'hours lost')?.with?.high).toBeLessThan(moves * 16 * (61 / 3600) + 0.01)
    const late = foretold(before, after, { risks: { ...risks, spotNoticeMs: 0 }, horizonMs: 48 * hourMs, seeds: 10 })
    expect(figureOf(late, 'hours lost')?.with?.median).toBeGreaterThan(
      5 * (figureOf(found, 'hours lost')?.with?.median ?? 0),
    )
    expect(found.gangs[0]?.with?.ettr?.median).toBeLessThan(found.gangs[0]?.without?.ettr?.median ?? 0)
    expect(late.gangs[0]?.with?.ettr?.median).toBeLessThan(found.gangs[0]?.with?.ettr?.median ?? 0)
  })

  test('the same nodes are taken away at the same times, whatever else changes', () => {
    const spot = trains('1h', { nodes: 3, capacityType: 'spot' })
    const { rows } = foretold(spot, spot, { risks })
    expect(rows.some(({ figure }) => figure === 'moves off spot')).toBe(true)
    for (const { difference } of rows) expect(difference).toEqual(exactly(0))
  })
})

describe('with a history', () => {
  const past = (submitSeconds: number, durationSeconds: number, more: Partial<PastJob> = {}) =>
    pastJob({ submitSeconds, durationSeconds, gpus: 8, nodes: 1, ...more })
  const hourly = Array.from({ length: 240 }, (_, index) => past(3600 * index, 60, { nodes: undefined }))

  test('jobs come as they came', () => {
    const told = story(2)
    told.gang('a', '1xH100:8', { expectedSeconds: 3600 })
    const found = foretold(sceneOf(told), undefined, { history: hourly })
    expect(found.arrivals).toBeGreaterThan(22)
    expect(found.arrivals).toBeLessThan(26)
    expect(figureOf(found, 'jobs that end')?.without?.median).toBeGreaterThan(22)
    expect(found.gangs.map(({ title }) => title)).toEqual(['job/a'])
  })

  test('... also of a history that was cut out of a longer one', () => {
    const later = hourly.map((job) => ({ ...job, submitSeconds: job.submitSeconds + 1e8 }))
    expect(foretold(sceneOf(story(2)), undefined, { history: later }).arrivals).toBeGreaterThan(22)
  })

  test('... with members that fit the nodes that are there', () => {
    const told = new Story(createScheduler())
    told.nowMs = nowMs
    told.queue('default')
    for (const name of ['a', 'b']) told.node(name, 'H100:4')
    told.gang('a', '1xH100:4', { expectedSeconds: 60 })
    const found = foretold(sceneOf(told), undefined, { history: hourly })
    expect(figureOf(found, 'jobs that wait at the end')).toBeUndefined()
  })

  test('jobs of one family prove long together, and others on their own', () => {
    const draws = drawsOf(1, 200, {
      horizonMs: 0,
      nowMs,
      risks: noRisks,
      history: [],
      queues: [],
      model: 'H100',
      perNode: 8,
    })
    const of = (gang: string, family: string) =>
      Array.from({ length: 200 }, (_, index) => draws(index).quantileOf(gang, family))
    const [one, two, other] = [of('a-1', 'a'), of('a-2', 'a'), of('b-1', 'b')]
    const gap = (a: number[], b: number[]) =>
      a.reduce((sum, value, at) => sum + Math.abs(value - (b[at] ?? 0)), 0) / 200
    // Of two that have nothing to do with each other it is a third.
    expect(gap(one, other)).toBeGreaterThan(0.28)
    expect(gap(one, two)).toBeLessThan(0.25)
    for (const all of [one, two, other])
      for (let tenth = 0; tenth < 10; tenth++)
        expect(Math.abs(all.filter((value) => Math.floor(10 * value) === tenth).length - 20)).toBeLessThan(13)
  })
})

test('of nothing known, one of two jobs alike is not as long as the other', () => {
  const told = story(2)
  told.gang('job-1', '1xH100:8')
  told.gang('job-2', '1xH100:8')
  const { gangs } = foretold(sceneOf(told), undefined, { horizonMs: 240 * hourMs, seeds: 9 })
  expect(gangs.map(({ basis }) => basis)).toEqual(['nothing', 'nothing'])
  expect(gangs[0]?.without?.ends).not.toEqual(gangs[1]?.without?.ends)
})

test('the same seeds say the same', () => {
  const told = story(3)
  for (let index = 0; index < 12; index++) told.gang(`g${index}`, `${1 + (index % 3)}xH100:8`)
  told.decide()
  const options = { risks: { nodeFailures: 1000 } }
  expect(foretold(sceneOf(told), undefined, options)).toEqual(foretold(sceneOf(told), undefined, options))
})

describe('what it costs', () => {
  const withPool = (scene: Scene, pricePerSlotHour: number): Scene => ({
    ...scene,
    nodes: scene.nodes.map((node) => ({
      ...node,
      metadata: { ...node.metadata, labels: { ...node.metadata.labels, [label.pool]: 'p' } },
    })),
    pools: [
      {
        apiVersion: 'millwright.dev/v1alpha1',
        kind: 'Pool',
        metadata: { name: 'p' },
        spec: {
          accelerator: 'h100',
          minNodes: 0,
          maxNodes: 9,
          capacityType: 'reserved',
          pricePerSlotHour,
          provisioningSeconds: 0,
          allowEnv: [],
          hostPaths: [],
        },
      },
    ],
  })

  test('a fleet costs what its nodes do, in use or not, a queue what its work holds', () => {
    const told = story(2)
    told.gang('a', '1xH100:4', { expectedSeconds: 7200 })
    told.decide()
    const found = foretold(withPool(sceneOf(told), 2))
    expect(figureOf(found, 'spend')?.without).toEqual(exactly(24 * 16 * 2))
    expect(figureOf(found, 'spend for an hour worked')?.without?.median).toBeCloseTo((24 * 16 * 2) / 8)
    const ofQueue = found.rows.find(({ of, figure }) => of === 'queue/default' && figure === 'spend')
    expect(ofQueue?.without?.median).toBeCloseTo(2 * 4 * 2)
  })

  test('by the price book where a pool says nothing, and by nothing where nobody knows', () => {
    const spent = (accelerator: string) => {
      const told = new Story(createScheduler())
      told.nowMs = nowMs
      told.queue('default')
      told.node('n', `${accelerator}:1`)
      return figureOf(foretold(sceneOf(told)), 'spend')?.without?.median
    }
    expect(spent('H100')).toBeGreaterThan(24)
    expect(spent('X9')).toBeUndefined()
  })

  test('replicas are available for the part of the time that they sit', () => {
    const told = story(1)
    told.gang('a', '1xH100:8', { expectedSeconds: 6 * 3600 })
    told.decide()
    told.gang('chat-0', '1xH100:1')
    told.decide()
    const scene = sceneOf(told)
    const labelled = (gang: Gang): Gang =>
      gang.metadata.name === 'a'
        ? gang
        : { ...gang, metadata: { ...gang.metadata, labels: { [label.service]: 'chat' } } }
    const found = foretold({ ...scene, gangs: scene.gangs.map(labelled) })
    expect(figureOf(found, 'replicas available')?.without?.median).toBeCloseTo(75)
    expect(figureOf(found, 'replica-hours missing')?.without?.median).toBeCloseTo(6)
    const ofService = (figure: string) =>
      found.rows.find((row) => row.of === 'service/chat' && row.figure === figure)?.without
    expect(ofService('replicas')).toEqual(exactly(1))
    expect(ofService('replica-hours missing')?.median).toBeCloseTo(6)
    expect(ofService('spend')?.median).toBeCloseTo(18 * 6.88)
    expect(ofService('jobs that end')).toBeUndefined()
  })

  test('a service says what urgent work takes from it', () => {
    const serving = (isUrgent: boolean): Scene => {
      const told = story(1)
      told.gang('chat-0', '1xH100:8')
      told.decide()
      if (isUrgent) told.gang('urgent', '1xH100:8', { priority: 900, expectedSeconds: 3600 })
      const scene = sceneOf(told)
      const labelled = (gang: Gang): Gang =>
        gang.metadata.name === 'urgent'
          ? gang
          : { ...gang, metadata: { ...gang.metadata, labels: { [label.service]: 'chat' } } }
      return { ...scene, gangs: scene.gangs.map(labelled) }
    }
    const { rows } = foretold(serving(false), serving(true))
    const of = (figure: string) => rows.find((row) => row.of === 'service/chat' && row.figure === figure)?.difference
    expect(of('evictions')).toEqual(exactly(1))
    expect(of('hours lost')?.median).toBeGreaterThan(0)
    expect(of('replica-hours missing')?.median).toBeCloseTo(1)
    expect(of('spend')?.median).toBeCloseTo(-8 * 6.88)
  })
})

import { expect, test } from 'vitest'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { closedBecause } from '../../model/nodes.ts'
import { summarise } from '../../observe/ledger.ts'
import type { TwinEvent } from '../events.ts'
import { job, recordingOf, setupOfTest } from './play.fixture.ts'
import { playScenario } from './play.ts'

const calm = await recordingOf(setupOfTest(), 1)

test('without faults a job works from its first step to its end, and every slot-millisecond is accounted for', () => {
  const { jobs, failures, pages, sittings } = calm
  // 60 s to prepare, 30 s until its first step, an hour of work, five checkpoints of 5 s.
  expect(jobs).toMatchObject([{ submittedMs: 0, startedMs: 0, outcome: 'Succeeded' }])
  expect(jobs[0]?.endedMs).toBeCloseTo((90 + 3600 + 5 * 5) * 1000, -5)
  expect(failures).toEqual([])
  expect(sittings.map(({ node, accelerators, fromMs }) => [node, accelerators, fromMs])).toEqual([
    ['n-0', 8, 0],
    ['n-1', 8, 0],
  ])
  const ledger = summarise(pages)
  expect(ledger.capacitySlotMs).toBe(16 * 2 * 3_600_000)
  expect(ledger.rows.map(({ key }) => key[0])).not.toContain('unobserved')
  const productive = ledger.rows.find(({ key }) => key[0] === 'productive')
  expect((productive?.slotMs ?? 0) / 16 / 1000).toBeCloseTo(3600, -2)
})

test('a lost node stops its job until it is repaired, and the time is told by its cause', async () => {
  const faults = '  faults: {mix: {"bad PSU": {kind: node-loss, count: 1, lasts: 20m}}}\n'
  const { failures, strikes } = await recordingOf(setupOfTest(faults), 9)
  const [strike] = strikes
  expect(strike?.pods).toHaveLength(1)
  // The survivors hang; no attempt begins on the node that nobody has missed yet.
  expect(failures.map(({ cause, reason }) => [cause, reason])).toEqual([['bad PSU', 'NodeLost']])
  const backMs = failures[0]?.backMs ?? 0
  expect(backMs - (strike?.atMs ?? 0)).toBeGreaterThan(1_200_000)
  expect(backMs - (strike?.atMs ?? 0)).toBeLessThan(1_200_000 + 300_000)
})

test('a node that says that it will be lost loses little work: its job writes a checkpoint, and goes on elsewhere', async () => {
  const one = job
    .replace('workers: 2', 'workers: 1')
    .replace('checkpoint: {interval: 10m}', 'checkpoint: {interval: 1h}')
  const lossOf = async (notice: string) => {
    const fault = `{kind: node-loss, count: 1, lasts: 20m${notice}}`
    return await recordingOf(setupOfTest(`  faults: {mix: {reclaim: ${fault}}}\n`, one), 15)
  }
  const [silent, told] = [await lossOf(''), await lossOf(', notice: 3m')]
  expect(silent.failures.map(({ cause, reason }) => [cause, reason])).toEqual([['reclaim', 'NodeLost']])
  expect(silent.strikes[0]?.pods).toHaveLength(1)
  expect(told.failures).toEqual([])
  expect(told.strikes[0]?.pods).toHaveLength(0)
  expect(told.jobs[0]?.outcome).toBe('Succeeded')
  const lost = ({ pages }: typeof told) => summarise(pages).rows.find(({ key }) => key[0] === 'lost')?.slotMs ?? 0
  expect(lost(silent)).toBeGreaterThan(8 * 60_000)
  expect(lost(told)).toBeLessThan(lost(silent) / 10)
  expect(new Set(told.sittings.map(({ node }) => node))).toEqual(new Set(['n-0', 'n-1']))
})

test('of a job whose first rank alone tells its steps no attempt is taken for hung that goes on', async () => {
  const withDeadline = job.replace('  expectedSeconds', '  progressDeadlineSeconds: 300\n  expectedSeconds')
  const performance = 'progress: first, prepare: 60s, init: 30s, stall: 5s, persist: 60s, stepTime: 5s'
  const setup = setupOfTest('  faults: {mix: {it: {kind: hang, count: 1}}}\n', withDeadline, { performance })
  const { jobs, failures, strikes } = await recordingOf(setup, 2)
  expect(strikes[0]?.pods).toHaveLength(1)
  expect(failures.map(({ attempt, reason }) => [attempt, reason])).toEqual([[1, 'Hung']])
  expect(jobs[0]?.outcome).toBe('Succeeded')
})

test('a job that takes long to start is given as long when it starts again', async () => {
  const performance = 'prepare: 0s, init: 11m, stall: 5s, persist: 60s, stepTime: 5s'
  const setup = setupOfTest('  faults: {mix: {it: {kind: process-crash, count: 1}}}\n', job, { performance })
  const { jobs, failures } = await recordingOf(setup, 2)
  expect(failures.map(({ attempt, reason }) => [attempt, reason])).toEqual([[1, 'Killed']])
  expect(jobs[0]?.outcome).toBe('Succeeded')
})

test('a rack that is lost takes its nodes along, and no others', async () => {
  const setup = setupOfTest('  faults: {mix: {power: {kind: node-loss, count: 1, lasts: 20m}}}\n')
  const rack = (index: number) => ({ 'millwright.dev/rack': index < 2 ? 'r0' : 'r1' })
  const [node] = setup.nodes
  const nodes = [0, 1, 2, 3].flatMap((index) =>
    node === undefined ? [] : [{ ...node, name: `n-${index}`, labels: rack(index) }],
  )
  const causes = setup.causes.map((cause) => ({ ...cause, reach: 'rack' as const }))
  const { strikes, levels } = await recordingOf({ ...setup, nodes, causes }, 9)
  expect([['n-0', 'n-1'].join(), ['n-2', 'n-3'].join()]).toContain(strikes[0]?.nodes.join())
  expect(Math.max(...levels.map(({ nodesOut }) => nodesOut))).toBe(2)
})

test.each([
  ['process-crash', ''],
  ['hang', ''],
  ['straggler', ', lasts: 20m, slowness: 2'],
  ['storage-outage', ', lasts: 20m'],
  ['control-plane-crash', ''],
  ['control-plane-pause', ''],
])('a job lives through a %s', async (kind, more) => {
  const faults = `  faults: {mix: {it: {kind: ${kind}, count: 2${more}}}}\n  controlPlane: {replicas: 2}\n`
  const stormy = await recordingOf(setupOfTest(faults), 2)
  expect(stormy.strikes).toHaveLength(2)
  expect(stormy.jobs[0]?.outcome).toBe('Succeeded')
  const isFelt = !kind.startsWith('control-plane') && kind !== 'storage-outage'
  expect((stormy.jobs[0]?.endedMs ?? 0) > (calm.jobs[0]?.endedMs ?? 0) + 60_000).toBe(isFelt)
  const interrupts = kind === 'process-crash' || kind === 'hang'
  expect(stormy.failures.length > 0).toBe(interrupts)
  expect(stormy.leaders > calm.leaders).toBe(kind.startsWith('control-plane'))
})

test('a lemon that is lost again and again, repaired each time, is closed', async () => {
  const jobs = Array.from({ length: 24 }, (_, index) =>
    job.replace('name: big', `name: j${index}`).replace('workers: 2', 'workers: 1'),
  )
  const lemon = '{kind: node-loss, lasts: 10m, count: 12, lemons: {share: 0.25, times: 10000}}'
  const setup = setupOfTest(`  faults: {openAfter: 24h, mix: {bad: ${lemon}}}\n`, jobs.join('---\n'), {
    horizon: '12h',
    nodes: 4,
  })
  const closed = new Map<string, string | undefined>()
  const hear = (event: TwinEvent) => {
    if (event.kind !== 'write' || event.entry.kind !== 'Node') return
    const node = event.entry.object as Node
    if (node.spec?.unschedulable === true) closed.set(node.metadata.name, closedBecause(node))
  }
  const played = await playScenario(setup, 3, { events: { hear } })
  if (played.kind !== 'played') throw new Error(JSON.stringify(played))
  const struck = new Set(played.recording.strikes.flatMap(({ nodes }) => nodes))
  expect(struck.size).toBe(1)
  expect([...closed]).toEqual([
    [[...struck][0], expect.stringMatching(/^it fails one gang after another; last: node n-\d was lost/)],
  ])
})

test.each([43, 45])(
  'XID %i, from which nothing else follows, ends what computes there, and closes no node',
  async (xid) => {
    const faults = `  faults: {mix: {it: {kind: gpu-error, xid: ${xid}, count: 1}}}\n`
    const { jobs, failures, strikes, sittings } = await recordingOf(setupOfTest(faults, job, { nodes: 3 }), 2)
    expect(strikes[0]?.pods).toHaveLength(1)
    expect(failures).toMatchObject([{ attempt: 1, cause: 'it' }])
    expect(new Set(sittings.map(({ node }) => node)).size).toBe(2)
    expect(jobs[0]?.outcome).toBe('Succeeded')
  },
)

test('a GPU that tells an XID where nothing is lost by it costs its job nothing, and its node takes no new work', async () => {
  const faults = '  faults: {mix: {remap: {kind: gpu-error, xid: 63, count: 1}}}\n'
  const { jobs, strikes, failures, sittings } = await recordingOf(setupOfTest(faults, job, { nodes: 3 }), 2)
  expect(strikes).toMatchObject([{ kind: 'gpu-error', pods: [] }])
  expect(failures).toEqual([])
  expect(sittings).toHaveLength(2)
  expect(jobs[0]?.endedMs).toBeCloseTo(calm.jobs[0]?.endedMs ?? 0, -5)
})

test('a straggler is slow from when it is struck until its time is over', async () => {
  const faults = '  faults: {mix: {slow: {kind: straggler, count: 1, lasts: 4m, slowness: 2}}}\n'
  const { jobs, strikes } = await recordingOf(setupOfTest(faults), 9)
  expect(strikes[0]?.pods).toHaveLength(1)
  // Of four minutes at half the pace two are lost, and of two steps what was done of them.
  const laterMs = (jobs[0]?.endedMs ?? 0) - (calm.jobs[0]?.endedMs ?? 0)
  expect(laterMs).toBeGreaterThan(110_000)
  expect(laterMs).toBeLessThan(140_000)
})

test('a broken rule ends the run, and is told with what came before it', async () => {
  const setup = setupOfTest()
  // A job that no admission would let through: the control plane stumbles over it.
  const arrivals = structuredClone(setup.arrivals)
  for (const { object } of arrivals)
    if (object.kind === 'TrainingJob') Reflect.deleteProperty(object.spec, 'checkpoint')
  const played = await playScenario({ ...setup, arrivals }, 5)
  expect(played).toMatchObject({ kind: 'broken', seed: 5 })
  expect(played.kind === 'broken' && played.violations[0]?.invariant).toBe('assertions')
  if (played.kind !== 'broken') return
  const { events, last } = played.ending
  expect(last.at(-1)).toMatchObject({ number: events, kind: 'log', level: 'error', message: 'failed' })
})

test('whoever says so stops it', async () => {
  let toldMs = 0
  const played = await playScenario(setupOfTest(), 1, {
    goesOn: (atMs) => {
      toldMs = atMs
      return atMs < 1_000_000
    },
  })
  expect(played).toMatchObject({ kind: 'stopped' })
  expect(toldMs).toBeLessThan(1_100_000)
})

test('while a worker is away the others sit where they sat, and it sits again once its node is back', async () => {
  const worker = job
    .replace('workers: 2', 'workers: 3\n  minWorkers: 1\n  failurePolicy: {restart: worker}')
    .replace('3600', '36000')
  const setup = setupOfTest('  faults: {mix: {it: {kind: node-loss, count: 1, lasts: 10m}}}\n', worker, { nodes: 3 })
  const { sittings, failures, strikes } = await recordingOf(setup, 1)
  const struckMs = strikes[0]?.atMs ?? Number.NaN
  const sitAt = (ms: number) => sittings.filter(({ fromMs, toMs }) => fromMs <= ms && ms < toMs).length
  expect(failures).toEqual([])
  expect([-60_000, 300_000, 900_000].map((ms) => sitAt(struckMs + ms))).toEqual([3, 2, 3])
  expect(new Set(sittings.map(({ attempt }) => attempt))).toEqual(new Set([1]))
})

test.each([
  [4, '', 1],
  [1, '', 4],
  [2, ', scaling: 0.5', 1.5],
  [1, ', scaling: 0', 1],
])('an elastic job of four workers on %i nodes%s takes %d times as long', async (nodes, scaling, times) => {
  const elastic = job.replace('workers: 2', 'workers: 4\n  minWorkers: 1').replace('3600', '7200')
  const performance = `prepare: 60s, restore: 30s, init: 30s, stall: 0s, persist: 60s, stepTime: 5s${scaling}`
  const { jobs } = await recordingOf(setupOfTest('', elastic, { horizon: '10h', performance, nodes }), 1)
  expect(jobs[0]?.endedMs).toBeCloseTo((90 + times * 7200) * 1000, -4)
})

test('where steps vary, seeds end at different times, about as late as all wait for the slowest; no node is slow for it', async () => {
  const endsOf = async (performance: string) => {
    const ends: number[] = []
    for (const seed of [1, 2, 3]) {
      const { jobs } = await recordingOf(setupOfTest('', job, { performance }), seed)
      ends.push((jobs[0]?.endedMs ?? Number.NaN) / 1000)
    }
    return ends
  }
  const times = 'prepare: 60s, restore: 30s, init: 30s, stall: 5s, persist: 60s, stepTime: 5s'
  const [even, uneven] = [await endsOf(times), await endsOf(`${times}, stepSpread: 0.1`)]
  expect(await endsOf(`${times}, stepSpread: 0`)).toEqual(even)
  expect(new Set(uneven.map((end) => Math.round(end))).size).toBe(3)
  for (const [at, end] of uneven.entries()) expect(Math.abs(end - (even[at] ?? 0) - 3600 * 0.05642)).toBeLessThan(60)
})

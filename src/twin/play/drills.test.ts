import { expect, test } from 'vitest'
import type { Drill } from '../../model/kinds/drill.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { TwinEvent } from '../events.ts'
import { seedReportOf } from '../report/seed-report.ts'
import { job, recordingOf, setupOfTest } from './play.fixture.ts'
import { playScenario } from './play.ts'
import type { Recording } from './recording.ts'

const longJob = job.replace('3600', '7000')

/** One drill an hour after the start, by itself. */
async function playedWith(spec: string, scenario = '', nodes = 2): Promise<{ recording: Recording; drill: Drill }> {
  const text = `---\napiVersion: millwright.dev/v1alpha1\nkind: Drill\nmetadata: {name: d}\nspec: {after: 1h, deadline: 119m, ${spec}}\n`
  const recording = await recordingOf(setupOfTest(scenario, longJob + text, { horizon: '3h', nodes }), 5)
  const [drill] = recording.drills
  if (drill === undefined) throw new Error('no drill')
  return { recording, drill }
}

test.each<[string, string, string]>([
  ['process-crash', 'target: {job: big, rank: 1}', 'Killed'],
  ['hang', 'target: {job: big}', 'Hung'],
  ['node-loss, lasts: 20m', 'target: {node: n-1}', 'NodeLost'],
])('a %s costs its job an attempt, and the work since its last checkpoint', async (fault, target, reason) => {
  const { recording, drill } = await playedWith(`fault: {kind: ${fault}}, ${target}`)
  expect(drill.status).toMatchObject({ phase: 'Passed', outcome: { reason, unmet: [] } })
  const { outcome } = drill.status ?? {}
  expect(outcome?.attempts).toBeGreaterThan(0)
  expect(outcome?.recoveredSeconds).toBeGreaterThan(outcome?.detectedSeconds ?? Number.POSITIVE_INFINITY)
  // Ten minutes of two nodes of eight at most, and what was being stored.
  expect(outcome?.lostSeconds).toBeGreaterThan(0)
  expect(outcome?.lostSeconds).toBeLessThan(11 * 60 * 16)
  expect(recording.strikes).toMatchObject([{ cause: 'drill d' }])
  expect(new Set(recording.failures.map(({ cause }) => cause))).toEqual(new Set(['drill d']))
  expect(recording.jobs[0]?.outcome).toBe('Succeeded')
})

test.each([
  [79, false],
  [95, false],
  [31, true],
])('after XID %i the job goes on where it was: %s', async (xid, stays) => {
  const { recording, drill } = await playedWith(`fault: {kind: gpu-error, xid: ${xid}}, target: {job: big}`, '', 3)
  expect(drill.status).toMatchObject({ phase: 'Passed', outcome: { reason: `XID${xid}`, attempts: 1 } })
  const [bad = ''] = drill.status?.target?.nodes ?? []
  const sitsOn = recording.sittings.filter(({ attempt }) => attempt === 2).map(({ node }) => node)
  expect(sitsOn).toHaveLength(2)
  expect(sitsOn.includes(bad)).toBe(stays)
  expect(recording.jobs[0]?.outcome).toBe('Succeeded')
})

test('an XID that is told when its job starts again has it leave all the same', async () => {
  const late = 'fault: {kind: gpu-error, xid: 79, toldAfter: 20s}, target: {job: big}'
  const { recording, drill } = await playedWith(late, '', 3)
  const [bad = ''] = drill.status?.target?.nodes ?? []
  const last = Math.max(...recording.sittings.map(({ attempt }) => attempt))
  const sitsOn = recording.sittings.filter(({ attempt }) => attempt === last).map(({ node }) => node)
  expect(drill.status?.phase).toBe('Passed')
  expect(sitsOn).not.toContain(bad)
  expect(recording.jobs[0]?.outcome).toBe('Succeeded')
})

test('a GPU that is lost ends its rank, and leaves its node with one less until it is back', async () => {
  const toldAt: [number, string][] = []
  const closedAt: [number, boolean, string][] = []
  const spec = 'after: 1h, deadline: 119m, fault: {kind: gpu-loss, lasts: 30m, toldAfter: 20s}, target: {job: big}'
  const text = `---\napiVersion: millwright.dev/v1alpha1\nkind: Drill\nmetadata: {name: d}\nspec: {${spec}}\n`
  const setup = setupOfTest('', longJob + text, { horizon: '3h', nodes: 3 })
  let struckMs = 0
  const hear = (event: TwinEvent) => {
    if (event.kind !== 'write') return
    const { kind, object } = event.entry
    if (kind === 'Drill') struckMs = Date.parse((object as Drill).status?.struckAt ?? '') || struckMs
    const { metadata, spec, status } = object as Node
    if (kind !== 'Node' || struckMs === 0 || metadata.name !== 'n-0') return
    const seconds = Math.round((event.atMs - struckMs) / 1000)
    const left = String(status?.allocatable?.['nvidia.com/gpu'])
    if (left !== (toldAt.at(-1)?.[1] ?? '8')) toldAt.push([seconds, left])
    const isClosed = spec?.unschedulable === true
    if (isClosed !== (closedAt.at(-1)?.[1] ?? false))
      closedAt.push([seconds, isClosed, metadata.annotations?.['millwright.dev/cordoned-because'] ?? ''])
  }
  const played = await playScenario(setup, 5, { events: { hear } })
  if (played.kind !== 'played') throw new Error(JSON.stringify(played))
  const { drills, jobs, sittings } = played.recording
  expect(drills[0]?.status).toMatchObject({ phase: 'Passed', target: { nodes: ['n-0'] } })
  expect(toldAt).toEqual([
    [20, '7'],
    [1800, '8'],
  ])
  // After a minute of each.
  expect(closedAt).toEqual([
    [
      80,
      true,
      expect.stringMatching(/^GPUsHealthy is False .*: reset the GPU, or start the node anew, or replace it$/),
    ],
    [1860, false, ''],
  ])
  // A rank wants all eight.
  expect(new Set(sittings.filter(({ attempt }) => attempt === 1).map(({ node }) => node))).toContain('n-0')
  const last = Math.max(...sittings.map(({ attempt }) => attempt))
  expect(new Set(sittings.filter(({ attempt }) => attempt === last).map(({ node }) => node))).not.toContain('n-0')
  expect(jobs[0]?.outcome).toBe('Succeeded')
})

test('what it did to the ledger is accelerators times the time between the two looks, in every millisecond', async () => {
  const { drill } = await playedWith('fault: {kind: process-crash}, target: {job: big}')
  const { ledger, lostSeconds } = drill.status?.outcome ?? {}
  if (ledger === undefined) throw new Error('no ledger')
  const { shares, fromMs, throughMs } = ledger
  const sum = (read: (share: (typeof shares)[number]) => number) =>
    shares.reduce((total, share) => total + read(share), 0)
  expect(sum(({ seconds }) => seconds)).toBeCloseTo((16 * (throughMs - fromMs)) / 1000, 3)
  // The job has the whole fleet.
  expect(sum(({ ofTarget }) => ofTarget)).toBeCloseTo(
    sum(({ seconds }) => seconds),
    3,
  )
  expect(shares.find(({ bucket }) => bucket === 'lost')?.seconds).toBeCloseTo(lostSeconds ?? 0, -2)
  const struckMs = Date.parse(drill.status?.struckAt ?? '')
  expect(struckMs - fromMs).toBeLessThan(2_000)
  expect(throughMs - Date.parse(drill.status?.recoveredAt ?? '')).toBeLessThan(3_000)
})

test('who stands still for less than anybody waits costs nothing but that time', async () => {
  const { recording, drill } = await playedWith('fault: {kind: hang, lasts: 6s}, target: {job: big, rank: 1}')
  expect(drill.status).toMatchObject({ phase: 'Passed', outcome: { attempts: 0, lostSeconds: 0, recoveredSeconds: 6 } })
  expect(recording.failures).toEqual([])
})

test('a straggler slows its job down while it lasts', async () => {
  const { recording, drill } = await playedWith('fault: {kind: straggler, lasts: 10m, slowness: 2}, target: {job: big}')
  const calm = await calmLong
  expect(drill.status?.phase).toBe('Passed')
  const laterMs = (recording.jobs[0]?.endedMs ?? 0) - (calm.jobs[0]?.endedMs ?? 0)
  expect(laterMs).toBeGreaterThan(290_000)
  expect(laterMs).toBeLessThan(340_000)
})

const unharmed = 'expect: {attemptsAtMost: 0, lostSecondsAtMost: 0}'
const calmLong = recordingOf(setupOfTest('', longJob, { horizon: '3h' }), 5)

test.each(['storage-slow, slowness: 20, lasts: 30m', 'storage-outage, lasts: 30m', 'storage-full, lasts: 30m'])(
  'a %s costs no job an attempt or a step',
  async (fault) => {
    const { recording, drill } = await playedWith(`fault: {kind: ${fault}}, ${unharmed}`)
    expect(drill.status).toMatchObject({
      phase: 'Passed',
      outcome: { attempts: 0, lostSeconds: 0, recoveredSeconds: 1800 },
    })
    expect(drill.status?.target?.gangs).toMatchObject([{ name: 'default/big' }])
    expect(recording.failures).toEqual([])
    const laterMs = (recording.jobs[0]?.endedMs ?? 0) - ((await calmLong).jobs[0]?.endedMs ?? 0)
    expect(Math.abs(laterMs)).toBeLessThan(30_000)
  },
)

test.each([
  ['network-flap', 0],
  ['network-partition', 0],
])('a %s that is shorter than anybody waits costs its job that time alone', async (kind, attempts) => {
  const { recording, drill } = await playedWith(`fault: {kind: ${kind}, lasts: 10s}, target: {job: big, rank: 1}`)
  expect(drill.status).toMatchObject({ phase: 'Passed', outcome: { attempts, lostSeconds: 0, recoveredSeconds: 10 } })
  const laterMs = (recording.jobs[0]?.endedMs ?? 0) - ((await calmLong).jobs[0]?.endedMs ?? 0)
  expect(laterMs).toBeGreaterThanOrEqual(10_000)
  expect(laterMs).toBeLessThanOrEqual(15_000)
})

test('a job steps on across nodes whose agents do not reach the control plane', async () => {
  const fault = 'fault: {kind: network-partition, from: control-plane, lasts: 30s}, target: {job: big, rank: 1}'
  const { recording, drill } = await playedWith(fault)
  expect(drill.status).toMatchObject({
    phase: 'Passed',
    outcome: { attempts: 0, lostSeconds: 0, recoveredSeconds: 30 },
  })
  expect(recording.failures).toEqual([])
  expect(recording.jobs[0]?.endedMs).toBe((await calmLong).jobs[0]?.endedMs)
})

test('a node that the control plane has not heard for long is lost, whatever it reaches', async () => {
  const fault = 'fault: {kind: network-partition, from: control-plane, lasts: 20m}, target: {job: big, rank: 1}'
  const { recording, drill } = await playedWith(fault, '', 3)
  expect(drill.status).toMatchObject({ phase: 'Passed', outcome: { reason: 'NodeLost', attempts: 1 } })
  expect(recording.failures).toMatchObject([{ cause: 'drill d', reason: 'NodeLost' }])
  expect(recording.jobs[0]?.outcome).toBe('Succeeded')
})

test('a NIC that is down for long stops its job, whose agents are all heard', async () => {
  const { drill } = await playedWith('fault: {kind: network-flap, lasts: 5m}, target: {job: big, rank: 1}')
  expect(drill.status).toMatchObject({ phase: 'Passed', outcome: { reason: 'Hung' } })
  // Three steps, and two minutes to start again; its first step comes when the NIC is up.
  expect(drill.status?.outcome?.detectedSeconds).toBeLessThan(20)
  expect(drill.status?.outcome?.recoveredSeconds).toBeGreaterThan(300)
})

test('what runs on nodes that are cut off runs on, and is not what its job goes on from', async () => {
  const one = longJob.replace('workers: 2', 'workers: 1').replace('7000', '6000')
  const spec = 'after: 1h, deadline: 119m, fault: {kind: network-partition, lasts: 20m}, target: {job: big}'
  const text = `---\napiVersion: millwright.dev/v1alpha1\nkind: Drill\nmetadata: {name: d}\nspec: {${spec}}\n`
  const { drills, jobs, failures, sittings } = await recordingOf(setupOfTest('', one + text, { horizon: '3h' }), 5)
  expect(drills[0]?.status).toMatchObject({ phase: 'Passed', outcome: { reason: 'NodeLost', attempts: 1 } })
  expect(failures).toMatchObject([{ cause: 'drill d', reason: 'NodeLost' }])
  expect(jobs[0]?.outcome).toBe('Succeeded')
  expect(new Set(sittings.map(({ node }) => node))).toEqual(new Set(['n-0', 'n-1']))
})

/** Half an hour of something an hour after the start, and a crash so long after the start. */
async function lostAfter(fault: string, crashAfter: string) {
  const drill = (name: string, spec: string) =>
    `---\napiVersion: millwright.dev/v1alpha1\nkind: Drill\nmetadata: {name: ${name}}\nspec: {deadline: 119m, ${spec}}\n`
  const [first, crash] = [
    drill('first', `after: 1h, fault: {kind: ${fault}, lasts: 30m}`),
    drill('crash', `after: ${crashAfter}, fault: {kind: process-crash}, target: {job: big}`),
  ]
  const recording = await recordingOf(setupOfTest('', longJob + first + crash, { horizon: '3h' }), 5)
  const [crashed] = recording.drills.filter(({ metadata }) => metadata.name === 'crash')
  const { lostSeconds = 0, recoveredSeconds = 0, attempts } = crashed?.status?.outcome ?? {}
  expect(recording.jobs[0]?.outcome).toBe('Succeeded')
  return { lostMinutes: lostSeconds / 60 / 16, recoveredSeconds, attempts }
}

test.each(['storage-outage', 'storage-full'])(
  'what was written while a %s lasted is durable soon after it, and what was durable before is still there',
  async (fault) => {
    const [within, after] = [await lostAfter(fault, '89m'), await lostAfter(fault, '92m')]
    expect(within.lostMinutes).toBeGreaterThan(20)
    expect(within.lostMinutes).toBeLessThan(42)
    expect(after.lostMinutes).toBeLessThan(13)
  },
)

test('who starts again while storage cannot be reached waits for it, and fails no second time', async () => {
  const { attempts, recoveredSeconds } = await lostAfter('storage-outage', '65m')
  expect(attempts).toBe(1)
  // Until storage is back, and its checkpoint.
  expect(recoveredSeconds).toBeGreaterThan(25 * 60)
  expect(recoveredSeconds).toBeLessThan(25 * 60 + 120)
})

test('another leader leads when its lease has run out', async () => {
  const { recording, drill } = await playedWith(
    'fault: {kind: control-plane-crash}, expect: {recoveredWithin: 20s, attemptsAtMost: 0}',
    '  controlPlane: {replicas: 2}\n',
  )
  expect(drill.status?.phase).toBe('Passed')
  expect(recording.leaders).toBe(2)
})

test('a leader that stood still finds another one when it wakes, and changes nothing', async () => {
  const { recording, drill } = await playedWith(
    'fault: {kind: control-plane-pause, lasts: 40s}, expect: {recoveredWithin: 20s, attemptsAtMost: 0}',
    '  controlPlane: {replicas: 2}\n',
  )
  expect(drill.status?.phase).toBe('Passed')
  expect(recording.leaders).toBe(2)
  expect(recording.jobs[0]?.endedMs).toBe((await calmLong).jobs[0]?.endedMs)
})

test('one that nobody stands by for goes on when it wakes', async () => {
  const { recording, drill } = await playedWith('fault: {kind: control-plane-pause, lasts: 5m}')
  expect(drill.status).toMatchObject({ phase: 'Passed', outcome: { attempts: 0, lostSeconds: 0 } })
  expect(drill.status?.outcome?.recoveredSeconds).toBeGreaterThan(290)
  expect(recording.jobs[0]?.outcome).toBe('Succeeded')
})

/** What informers said of lost watches from when a drill struck, by process. */
async function lostWatches(spec: string): Promise<{ said: Set<string>; recording: Recording }> {
  const text = `---\napiVersion: millwright.dev/v1alpha1\nkind: Drill\nmetadata: {name: d}\nspec: {after: 1h, deadline: 119m, ${spec}}\n`
  const said = new Set<string>()
  const hear = (event: TwinEvent) => {
    if (event.kind === 'log' && event.message.startsWith('an informer could not follow'))
      said.add(`${event.process}: ${event.fields['error']}`)
  }
  const played = await playScenario(setupOfTest('', longJob + text, { horizon: '3h' }), 5, { events: { hear } })
  if (played.kind !== 'played') throw new Error(JSON.stringify(played))
  return { said, recording: played.recording }
}

test.each([
  ['fault: {kind: watch-break, lasts: 20s}, target: {node: n-1}', ['n-1/0: the watch was closed']],
  [
    'fault: {kind: watch-break, lasts: 20s, behind: 200}, target: {node: n-1}',
    ['n-1/0: the watch was closed', 'n-1/0: it lists what was, and is behind'],
  ],
  [
    'fault: {kind: watch-break, lasts: 20s, behind: 200, kept: 100}, target: {node: n-1}',
    [
      'n-1/0: the watch was closed',
      'n-1/0: it lists what was, and is behind',
      'n-1/0: it lists what is no longer kept',
    ],
  ],
  [
    'fault: {kind: control-plane-watch-break, behind: 50}',
    ['control-0: the watch was closed', 'control-0: it lists what was, and is behind'],
  ],
])('with %s watches end, and cost the job nothing', async (spec, expected) => {
  const { said, recording } = await lostWatches(spec)
  expect(said).toEqual(new Set(expected))
  expect(recording.drills[0]?.status).toMatchObject({ phase: 'Passed', outcome: { attempts: 0, lostSeconds: 0 } })
  expect(recording.failures).toEqual([])
  expect(recording.jobs[0]?.outcome).toBe('Succeeded')
})

test.each(['store-slow', 'control-plane-store-slow'])('with a %s a rank that is killed is back later', async (kind) => {
  const target = kind === 'store-slow' ? ', target: {node: n-1}' : ''
  const drill = (name: string, spec: string) =>
    `---\napiVersion: millwright.dev/v1alpha1\nkind: Drill\nmetadata: {name: ${name}}\nspec: {deadline: 119m, ${spec}}\n`
  const recoveredIn = async (delay: string) => {
    const slow = drill('slow', `after: 1h, fault: {kind: ${kind}, lasts: 30m, delay: ${delay}}${target}`)
    const kill = drill('kill', 'after: 65m, fault: {kind: process-crash}, target: {job: big, rank: 1}')
    const { drills, failures } = await recordingOf(setupOfTest('', longJob + slow + kill, { horizon: '3h' }), 5)
    expect(failures.map(({ reason }) => reason)).toEqual(['Killed'])
    expect(drills.map(({ status }) => status?.phase)).toEqual(['Passed', 'Passed'])
    return drills.find(({ metadata }) => metadata.name === 'kill')?.status?.outcome?.recoveredSeconds ?? 0
  }
  const [fast, slow] = [await recoveredIn('0s'), await recoveredIn('3s')]
  expect(slow - fast).toBeGreaterThanOrEqual(5)
  expect(slow - fast).toBeLessThan(60)
})

test('what is not as it was expected is in the report, for each seed', async () => {
  const { recording } = await playedWith('fault: {kind: hang}, target: {job: big}, expect: {detectedWithin: 1s}')
  expect(seedReportOf(recording).drills).toMatchObject([
    { drill: 'd', phase: 'Failed', message: 'detected after 15s, expected within 1s', attempts: 1 },
  ])
})

test('a replica that failed before is served again when its node is lost', async () => {
  const service = `apiVersion: millwright.dev/v1alpha1
kind: InferenceService
metadata: {name: chat}
spec: {command: serve, resources: {accelerators: H100:8}, minReplicas: 1, maxReplicas: 1}
`
  const drill = (name: string, after: string, fault: string) =>
    `---\napiVersion: millwright.dev/v1alpha1\nkind: Drill\nmetadata: {name: ${name}}\nspec: {after: ${after}, deadline: 119m, fault: ${fault}, target: {service: chat}}\n`
  const documents =
    service + drill('a', '10m', '{kind: process-crash}') + drill('b', '30m', '{kind: node-loss, lasts: 1h}')
  const { drills } = await recordingOf(setupOfTest('', documents, { horizon: '2h' }), 5)
  expect(drills.map(({ metadata, status }) => [metadata.name, status?.phase])).toEqual([
    ['a', 'Passed'],
    ['b', 'Passed'],
  ])
  // Forty seconds until the node is missed; a minute to prepare, a minute to load.
  expect(drills[1]?.status?.outcome?.recoveredSeconds).toBeLessThan(180)
})

test('work leaves a straggler once that has cost what leaving does, with what it has saved', async () => {
  const { recording, drill } = await playedWith(
    'fault: {kind: straggler, lasts: 1h, slowness: 2}, target: {job: big, rank: 1}, expect: {lostSecondsAtMost: 0, attemptsAtMost: 1}',
    '',
    3,
  )
  expect(drill.status).toMatchObject({ phase: 'Passed', outcome: { attempts: 1, lostSeconds: 0, unmet: [] } })
  // A checkpoint takes 65 s and a restart two minutes and more; half of each second is lost until then.
  expect(drill.status?.outcome?.detectedSeconds).toBeGreaterThan(360)
  expect(drill.status?.outcome?.detectedSeconds).toBeLessThan(660)
  expect(recording.failures).toEqual([])
  const stayed = await playedWith('fault: {kind: straggler, lasts: 1h, slowness: 2}, target: {job: big, rank: 1}')
  expect(recording.jobs[0]?.endedMs).toBeLessThan((stayed.recording.jobs[0]?.endedMs ?? 0) - 10 * 60_000)
})

test.each(['clock-jump, lasts: 40m, by: 2h', 'clock-jump, lasts: 40m, by: -2h'])(
  'a %s of one of its nodes costs a job nothing',
  async (fault) => {
    const { recording, drill } = await playedWith(`fault: {kind: ${fault}}, target: {node: n-0}, ${unharmed}`)
    expect(drill.status).toMatchObject({ phase: 'Passed', outcome: { attempts: 0, recoveredSeconds: 2400 } })
    expect(recording.failures).toEqual([])
    const laterMs = (recording.jobs[0]?.endedMs ?? 0) - ((await calmLong).jobs[0]?.endedMs ?? 0)
    expect(Math.abs(laterMs)).toBeLessThan(30_000)
  },
)

test.each(['2h', '-2h'])('nor does the leader whose clock is set by %s', async (by) => {
  const fault = `fault: {kind: control-plane-clock-jump, lasts: 40m, by: ${by}}`
  const { recording, drill } = await playedWith(`${fault}, ${unharmed}`)
  expect(drill.status?.phase).toBe('Passed')
  expect(recording.failures).toEqual([])
  // As many checkpoints, each with its stall, as without.
  expect(recording.jobs[0]?.endedMs).toBe((await calmLong).jobs[0]?.endedMs)
})

test('a full disk ends the rank that writes a checkpoint, and lets none start until it has room', async () => {
  const { recording, drill } = await playedWith('fault: {kind: disk-full, lasts: 30m}, target: {job: big}')
  expect(drill.status).toMatchObject({ phase: 'Passed', outcome: { reason: 'Error', attempts: 1 } })
  expect(drill.status?.outcome?.recoveredSeconds).toBeGreaterThan(1800)
  expect(drill.status?.outcome?.recoveredSeconds).toBeLessThan(2000)
  expect(recording.jobs[0]?.outcome).toBe('Succeeded')
  const elsewhere = await playedWith('fault: {kind: disk-full, lasts: 30m}, target: {job: big, rank: 1}')
  expect(elsewhere.drill.status).toMatchObject({ phase: 'Passed', outcome: { attempts: 0, lostSeconds: 0 } })
})

/** A wrong result an hour after the start, of a job that watches its loss, or does not. */
async function playedWrong(watch: string): Promise<Recording> {
  const work = longJob.replace('expectedSeconds', `failurePolicy: {${watch}}\n  expectedSeconds`)
  const fault = 'fault: {kind: silent-data-corruption, latency: 30m}, target: {job: big, rank: 1}'
  const text = `---\napiVersion: millwright.dev/v1alpha1\nkind: Drill\nmetadata: {name: d}\nspec: {after: 1h, deadline: 119m, ${fault}}\n`
  return await recordingOf(setupOfTest('', work + text, { horizon: '5h' }), 5)
}

test('wrong results cost a job that watches its loss what it has done since; who does not goes on with them', async () => {
  const { drills, jobs } = await playedWrong('lossSpike: {latency: 40m}')
  expect(drills[0]?.status).toMatchObject({ phase: 'Passed', outcome: { reason: 'LossSpike', attempts: 1 } })
  const { detectedSeconds, lostSeconds } = drills[0]?.status?.outcome ?? {}
  // 30 minutes of training until it shows, with what its checkpoints stall.
  expect(detectedSeconds).toBeGreaterThan(1800)
  expect(detectedSeconds).toBeLessThan(1860)
  // From a checkpoint that is 40 to 50 minutes older than that, on two nodes of eight.
  expect(lostSeconds).toBeGreaterThan(40 * 60 * 16)
  expect(lostSeconds).toBeLessThan(55 * 60 * 16)
  expect(jobs[0]?.outcome).toBe('Succeeded')
  const blind = await playedWrong('')
  expect(blind.drills[0]?.status).toMatchObject({ phase: 'Failed' })
  expect(blind.failures).toEqual([])
})

test('who goes back less far than wrong results went unseen meets them again', async () => {
  const { failures, jobs } = await playedWrong('lossSpike: {latency: 5m}')
  expect(failures.map(({ reason, cause }) => [reason, cause])).toEqual([
    ['LossSpike', 'drill d'],
    ['LossSpike', 'LossSpike'],
    ['LossSpike', 'LossSpike'],
  ])
  expect(jobs[0]?.outcome).toBe('Failed')
})

import { describe, expect, test } from 'vitest'
import { label } from '../../model/names.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'
import { preemptingMessage } from './reasons.ts'

function story(nodes: Record<string, [devices: string, labels?: Record<string, string>]>): Story {
  const told = new Story(createScheduler())
  told.queue('default')
  for (const [name, [devices, labels = {}]] of Object.entries(nodes)) told.node(name, devices, { labels })
  return told
}

const why = (told: Story, gang: string) => told.scheduler.why(`default/${gang}`, told.nowMs)

describe('who holds what is missing', () => {
  test('is named, most first, as far as twenty; of the others it is said how many and how much', () => {
    const told = story({ a: ['H100:32'] })
    for (let at = 0; at < 24; at++)
      told.gang(`g${String(at).padStart(2, '0')}`, `1xH100:${at < 2 ? 3 : 1}`, {}, { ports: 0 })
    told.decide()
    told.gang('waits', '1xH100:8', {}, { ports: 0 })
    told.decide()
    const { holders, others, message } = why(told, 'waits')
    expect(holders.length).toBe(20)
    expect(holders.slice(0, 3).map(({ gang, accelerators, share }) => [gang, accelerators, share])).toEqual([
      ['default/g00', 3, 3 / 32],
      ['default/g01', 3, 3 / 32],
      ['default/g02', 1, 1 / 32],
    ])
    expect(others).toEqual({ gangs: 4, accelerators: 4 })
    expect(message).toBe(
      'needs 1 × H100:8, 4 free of 32; job/g00 (queue default, priority 0) holds 3; job/g01 (queue default, priority 0) holds 3; job/g02 (queue default, priority 0) holds 1; 21 others hold 21',
    )
  })

  test('may be a pod of nobody, or a gang that is no job', () => {
    const told = story({ a: ['H100:2'] })
    const annotations = { 'millwright.dev/devices': 'H100-0' }
    const spec = { nodeName: 'a', containers: [{ name: 'main' }] }
    const metadata = { name: 'stray', namespace: 'team', annotations }
    told.pod({ apiVersion: 'v1', kind: 'Pod', metadata, spec, status: { phase: 'Running' } })
    told.gang('bare', '1xH100:1', {}, { ports: 0 })
    const bare = told.gangs.get('default/bare')
    if (bare === undefined) throw new Error('no gang')
    told.world.put({ ...bare, metadata: { ...bare.metadata, labels: {} } })
    told.decide()
    told.gang('waits', '1xH100:1')
    told.decide()
    const { holders, message } = why(told, 'waits')
    expect(holders.map(({ gang, queue, priority }) => [gang, queue, priority])).toEqual([
      ['default/bare', 'default', 0],
      ['team/stray', '', 0],
    ])
    expect(message).toBe(
      'needs 1 × H100:1, 0 free of 2; gang/bare (queue default, priority 0) holds 1; gang/stray holds 1',
    )
  })

  test('holds cores or memory where those are missing, and no accelerators then', () => {
    const told = story({ a: ['H100:4'] })
    told.gang('big', '1xH100:1', {}, { cpuMilli: 7000 })
    told.decide()
    told.gang('waits', '1xH100:1', {}, { cpuMilli: 2000 })
    told.decide()
    expect(why(told, 'waits')).toMatchObject({
      reason: 'InsufficientCpu',
      holders: [{ gang: 'default/big', accelerators: 0, share: 0 }],
      asked: { members: 1, accelerators: [{ model: 'H100', count: 1 }] },
      free: [{ model: 'H100', count: 3, total: 4 }],
    })
  })
})

describe('what a gang asks for', () => {
  test('is all of its fewest members, and free is said of each model once', () => {
    const told = story({ a: ['H100:4'], b: ['A100:2'] })
    const either = [
      { model: 'H100', count: 8 },
      { model: 'A100', count: 4 },
    ]
    told.gang('waits', '2x', {}, { accelerators: either, max: 5 })
    told.decide()
    expect(why(told, 'waits')).toMatchObject({
      asked: { members: 2, accelerators: [{ model: 'H100', count: 16 }] },
      free: [
        { model: 'H100', count: 4, total: 4 },
        { model: 'A100', count: 2, total: 2 },
      ],
      placeInLine: 1,
    })
  })

  test('in slices is said with where each of them is to be', () => {
    const rack = (name: string) => ({ [label.rack]: name, [label.block]: 'b' })
    const told = story({ a: ['H100:3', rack('r0')], b: ['H100:3', rack('r1')] })
    told.gang('x', '2xH100:1', { preemptible: false }, { ports: 0, nodeSelector: rack('r0') })
    told.decide()
    const slices = [{ size: 2, required: 'rack' }]
    told.gang('sliced', '4xH100:1', { topology: { slices } }, { ports: 0 })
    expect(told.decide()).toEqual([
      'sliced waits: TopologyTooNarrow: needs 4 × H100:1 in slices of 2, each in one rack; fewer such slices are free',
    ])
    expect(why(told, 'sliced').message).toMatch(
      /^needs 4 × H100:1 in slices of 2, each in one rack; there is room for 2; job\/x/,
    )
    told.change('sliced', { suspend: true })
    told.gang('within', '4xH100:1', { topology: { slices, required: label.block } }, { ports: 0 })
    expect(told.decide()).toEqual([
      'within waits: TopologyTooNarrow: needs 4 × H100:1 in slices of 2, each in one rack, all in one block; no block has so many free',
    ])
  })

  test('is a place where it asks for no accelerator', () => {
    const told = story({ a: ['cpu:1'] })
    const none = { accelerators: [{ model: 'cpu', count: 0 }], cpuMilli: 9000 }
    told.gang('one', '1x', {}, none)
    told.gang('two', '2x', {}, none)
    expect(told.decide()).toEqual([
      'one waits: NeverFits: needs a place for 1 member; no nodes are large enough for that with 9 CPU and 0 memory each',
      'two waits: NeverFits: needs a place for 2 members; no nodes are large enough for that with 9 CPU and 0 memory each',
    ])
  })

  test('of slots may be more than one machine has', () => {
    const told = story({ a: ['cpu:2'], b: ['cpu:2'] })
    told.gang('wide', '1xcpu:3')
    expect(told.decide()).toEqual([
      'wide waits: NeverFits: needs 1 × cpu:3; the 4 there are unhealthy or spread over nodes that each have fewer slots',
    ])
  })

  test('and is not preemptible does not borrow', () => {
    const told = story({ a: ['H100:8'] })
    told.queue('all', { nominalQuota: { H100: 0 } })
    told.queue('poor', { parent: 'all' })
    told.queue('own', { parent: 'all', nominalQuota: { H100: 2 } })
    told.gang('none', '1xH100:1', { queue: 'poor', preemptible: false })
    told.gang('some', '1xH100:4', { queue: 'own', preemptible: false })
    told.gang('exact', '2xH100:1', { queue: 'own', preemptible: false, priority: 1 }, { ports: 0 })
    told.queue('rich', { parent: 'all', nominalQuota: { H100: 6 } })
    expect(told.decide().toSorted()).toEqual([
      'exact#1 sits 0@a/H100-0: 1@a/H100-1:',
      'none waits: OverQuota: needs 1 × H100:1; queue poor owns no H100, and what is not preemptible borrows nothing',
      'some waits: OverQuota: needs 1 × H100:4; queue own owns 2 × H100, and what is not preemptible borrows nothing',
    ])
    expect(why(told, 'some').message).toBe(
      'queue own owns 2 × H100, and what is not preemptible borrows nothing; 0 are left for such work, and it needs 4; job/exact (queue own, priority 1) holds 2',
    )
  })
})

describe('where it stands', () => {
  test('seated, on which nodes; being seated; suspended; unknown', () => {
    const told = story({ a: ['H100:1'], b: ['H100:1'], c: ['H100:1'] })
    told.gang('one', '1xH100:1')
    told.gang('two', '2xH100:1')
    told.decide()
    expect(why(told, 'one')).toMatchObject({ state: 'seated', reason: 'Scheduled', message: '1 member sits on a' })
    expect(why(told, 'two').message).toBe('2 members sit on b, c')
    told.change('one', { suspend: true })
    told.decide()
    expect(why(told, 'one')).toMatchObject({ state: 'suspended', reason: 'Suspended', fixes: [], holders: [] })
    expect(why(told, 'no')).toMatchObject({ state: 'unknown', message: 'there is no gang default/no' })
    told.gang('next', '1xH100:1')
    const [verdict] = told.scheduler.decide(0)
    expect(why(told, 'next').message).toBe('there is room: it is being seated now')
    if (verdict !== undefined) told.commit(verdict)
    expect(why(told, 'next').message).toBe('1 member sits on a')
  })

  test('one that starts again is asked about with what its own pods still hold', () => {
    const told = story({ a: ['H100:2'], b: ['H100:2'] })
    told.gang('g', '4xH100:1', {}, { ports: 0 })
    told.decide()
    told.run('g')
    told.node('b', 'H100:2', { unschedulable: true })
    told.change('g', { attempt: 2 })
    told.nowMs += 5000
    told.decide()
    told.nowMs += 5000
    told.decide()
    const before = why(told, 'g')
    expect([before.reason, before.placeInLine]).toEqual(['Ending', 1])
    for (const rank of [0, 1, 2, 3]) told.end(`g-worker-${rank}-1`)
    told.decide()
    expect(why(told, 'g').fixes).toEqual(['ask for 2 workers instead of 4', 'uncordon node b'])
  })
})

describe('edits that would start it', () => {
  test('ease what is required of one group', () => {
    const rack = (name: string) => ({ [label.rack]: name })
    const told = story({ a: ['H100:2', rack('r0')], b: ['H100:2', rack('r1')] })
    told.gang('g', '4xH100:1', {}, { ports: 0, topology: { required: 'rack' } })
    told.decide()
    expect(why(told, 'g').fixes).toContain('prefer rack instead of requiring it (topology of group worker)')
  })

  test('lift quota by what is lacking, and only where the queue has one for the model', () => {
    const told = story({ a: ['H100:8'] })
    told.queue('q', { nominalQuota: { H100: 2, A100: 1 } })
    told.gang('holds', '1xH100:1', { queue: 'q', preemptible: false })
    told.decide()
    told.gang('g', '2xH100:1', { queue: 'q' }, { ports: 0 })
    told.decide()
    expect(why(told, 'g').fixes[1]).toBe('raise spec.nominalQuota of queue q to 3 × H100')
  })
})

test('who is to leave for another is told so before it is asked to, and the other whom it waits for', () => {
  const told = story({ a: ['H100:4'] })
  for (const name of ['g0', 'g1', 'g2', 'g3']) told.gang(name, '1xH100:1')
  told.decide()
  told.gang('high', '1xH100:4', { priority: 1 }, { ports: 0 })
  told.decide()
  expect(why(told, 'g0')).toMatchObject({
    reason: 'Leaving',
    message: '1 member sits on a; its seats are kept for another that it is to leave for',
  })
  expect(why(told, 'high').message).toMatch(
    /^it sits when default\/g., default\/g., default\/g., 1 more have left, which lose 120 accelerator-seconds of work$/,
  )
})

test('who waits for others to leave or to move is told for how many, what they lose and what it gains', () => {
  const victim = (name: string, lostSeconds: number, moves = false) => ({
    gang: `default/${name}`,
    uid: name,
    attempt: 1,
    reason: 'InQueue' as const,
    lostSeconds,
    ...(moves ? { movesTo: [] } : {}),
  })
  expect(preemptingMessage([victim('a', 1)])).toBe(
    'it sits when default/a has left, which loses 1 accelerator-second of work',
  )
  expect(preemptingMessage([victim('a', 20), victim('b', 10.4), victim('c', 0)])).toBe(
    'it sits when default/a, default/b, default/c have left, which lose 30 accelerator-seconds of work',
  )
  expect(preemptingMessage([victim('a', 20), victim('b', 10, true)], 7200.4)).toBe(
    'it sits when default/a, default/b have moved, which lose 30 accelerator-seconds of work, and it gains 7200 by starting sooner',
  )
})

import { describe, expect, test } from 'vitest'
import type { Gang } from '../model/kinds/gang.ts'
import { createScheduler } from './scheduler.ts'
import { Story } from './story.fixture.ts'

type Seat = NonNullable<NonNullable<Gang['status']>['seats']>['members'][number]

function fleet(devices: string, options: Parameters<Story['node']>[2] = {}): Story {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('a', devices, options)
  return told
}

const cores = (cpuMilli: number) => ({ accelerators: [{ model: 'H100', count: 0 }], cpuMilli })

describe('what is kept for a gang takes only once what others give back', () => {
  /** Of eight cores `low` has six, which `urgent` will need. */
  function kept(): Story {
    const told = fleet('H100:2', { cpu: '8' })
    told.gang('low', '2xH100:1', {}, { cpuMilli: 3000 })
    told.decide()
    told.run('low')
    told.gang('urgent', '2xH100:1', { priority: 5 }, { cpuMilli: 3000 })
    expect(told.decide().length).toBe(1)
    return told
  }
  const sits = expect.stringMatching(/^cores#1 sits/)
  const waits = expect.stringMatching(/^cores waits: InsufficientCpu/)

  test('the cores that are left are free for others, and no more', () => {
    const told = kept()
    told.gang('cores', '1x', {}, cores(2000))
    expect(told.decide()).toEqual([sits])
    const other = kept()
    other.gang('cores', '1x', {}, cores(2001))
    expect(other.decide()).toEqual([waits])
  })

  test('also while only their pods are there, and of these whatever each still holds', () => {
    const told = kept()
    told.change('low', { suspend: true })
    expect(told.decide()).toEqual(['low gives its seats back'])
    told.gang('cores', '1x', {}, cores(2001))
    expect(told.decide()).toEqual([waits])
    told.change('cores', {
      groups: (told.gangs.get('default/cores')?.spec.groups ?? []).map((one) => ({ ...one, cpuMilli: 2000 })),
    })
    expect(told.decide()).toEqual([sits])
    told.end('low-worker-0-1')
    told.gang('more', '1x', {}, cores(1))
    expect(told.decide(), 'what has been given back is kept').toEqual([expect.stringMatching(/^more waits/)])
    told.end('low-worker-1-1')
    expect(told.decide()).toEqual([expect.stringMatching(/^urgent#1 sits/)])
  })
})

test('what another attempt of a victim holds by now does not come back', () => {
  for (const runs of [false, true]) {
    const told = fleet('H100:3', { cpu: '9' })
    for (const name of ['low1', 'low2']) told.gang(name, '1xH100:1', {}, { cpuMilli: 3000 })
    told.gang('firm', '1xH100:1', { preemptible: false }, { cpuMilli: 3000 })
    told.decide()
    told.gang('urgent', '2xH100:1', { priority: 5 }, { cpuMilli: 3000 })
    told.decide()
    for (const name of ['low1', 'firm']) told.change(name, { suspend: true })
    told.decide()
    told.change('low1', { suspend: false, attempt: 2 })
    expect(told.decide()).toEqual([expect.stringMatching(/^low1#2 sits 0@a\/H100-2/)])
    if (runs) told.run('low1')
    told.world.edit('default/low2', {}, { restartSeconds: 3 })
    told.gang('cores', '1x', {}, cores(1))
    expect(told.decide()).toEqual([expect.stringMatching(/^cores waits: InsufficientCpu/)])
  }
})

test('seats are counted anew when they are told with other devices or ports, on the same node', () => {
  const told = fleet('H100:4')
  told.gang('g', '1xH100:2')
  told.decide()
  const { status } = told.gangs.get('default/g') ?? {}
  const [seat] = status?.seats?.members ?? []
  if (status?.seats === undefined || seat === undefined) throw new Error('it sits')
  const seats = status.seats
  const next = (change: Partial<Seat>) => {
    told.world.edit('default/g', {}, { seats: { ...seats, members: [{ ...seat, ...change }] } })
    told.gang('next', '1xH100:1', {}, { ports: 9 })
    const [line] = told.decide()
    told.apply({ kind: 'Gang', deleted: 'default/next' })
    return line?.replace(/:.*/, '')
  }
  const devices = (...ids: number[]) => ids.map((at) => ({ id: `H100-${at}`, milli: 1000 }))
  expect(next({})).toBe('next#1 sits 0@a/H100-2')
  expect(next({ devices: devices(2, 3) })).toBe('next#1 sits 0@a/H100-0')
  expect(next({ devices: devices(2, 0) })).toBe('next#1 sits 0@a/H100-1')
  expect(next({ devices: devices(2) })).toBe('next#1 sits 0@a/H100-0')
  expect(next({ devices: [{ id: 'H100-0', milli: 500 }, ...devices(2)] })).toBe('next#1 sits 0@a/H100-1')
  expect(next({ ports: [20001, 20002] })).toBe('next waits')
  expect(next({ ports: [20001] })).toBe('next#1 sits 0@a/H100-2')
  expect(next({ ports: [] })).toBe('next#1 sits 0@a/H100-2')
  for (const port of [20003, 20007]) {
    told.world.edit('default/g', {}, { seats: { ...seats, members: [{ ...seat, ports: [port] }] } })
    told.gang('rest', '1xH100:1', {}, { ports: 9 })
    const [line] = told.decide()
    expect(line).toMatch(/^rest#1 sits/)
    expect(line).not.toContain(String(port))
    told.apply({ kind: 'Gang', deleted: 'default/rest' })
  }
})

test('a share is counted anew when it is told as another', () => {
  const told = fleet('H100:2')
  told.gang('g', '1xH100:0.5')
  told.decide()
  const { seats } = told.gangs.get('default/g')?.status ?? {}
  const [seat] = seats?.members ?? []
  if (seats === undefined || seat === undefined) throw new Error('it sits')
  told.world.edit(
    'default/g',
    {},
    { seats: { ...seats, members: [{ ...seat, devices: [{ id: 'H100-0', milli: 750 }] }] } },
  )
  told.gang('half', '1xH100:0.5')
  expect(told.decide()).toEqual([expect.stringMatching(/^half#1 sits 0@a\/H100-1/)])
  told.gang('quarter', '1xH100:0.25')
  expect(told.decide()).toEqual([expect.stringMatching(/^quarter#1 sits 0@a\/H100-0/)])
})

test('what a victim still holds by its pods is charged to its queue no more', () => {
  const told = fleet('cpu:2', { labels: { at: 'here' } })
  told.queue('q', { nominalQuota: { cpu: 4 } })
  told.gang('low', '2x', { queue: 'q' })
  told.decide()
  told.run('low')
  told.gang('urgent', '2x', { queue: 'q', priority: 5 }, { nodeSelector: { at: 'here' } })
  expect(told.decide().length).toBe(1)
  told.change('low', { suspend: true })
  expect(told.decide()).toEqual(['low gives its seats back'])
  told.node('b', 'cpu:4')
  told.gang('more', '3x', { queue: 'q' })
  expect(told.decide()).toEqual([expect.stringMatching(/^more waits: OverQuota/)])
  told.gang('less', '2x', { queue: 'q' })
  expect(told.decide()).toEqual([expect.stringMatching(/^less#1 sits 0@b/)])
  for (const rank of [0, 1]) told.end(`low-worker-${rank}-1`)
  told.gang('one', '1x', { queue: 'q' })
  expect(told.decide(), 'nor does it free anything for its queue when they end').toEqual([
    expect.stringMatching(/^urgent#1 sits 0@a/),
    expect.stringMatching(/^one waits: OverQuota/),
  ])
})

test('an attempt whose pods live without seats is not seated a second time', () => {
  const told = fleet('cpu:2')
  told.gang('g', '1x')
  told.decide()
  told.run('g')
  told.change('g', { suspend: true })
  told.decide()
  told.change('g', { suspend: false })
  expect(told.decide()).toEqual([])
  told.nowMs += 1000
  expect(told.decide()).toEqual(['g waits: Ending: pods of an earlier attempt of gang g have not ended yet'])
  told.end('g-worker-0-1')
  expect(told.decide()).toEqual([expect.stringMatching(/^g#1 sits/)])
})

test('a gang that restarts has its seats back, or others, though one ahead in line waits for these nodes', () => {
  const told = fleet('cpu:4')
  told.gang('half', '2x', { preemptible: false })
  told.decide()
  told.node('b', 'cpu:2')
  told.gang('firm', '2x', { preemptible: false }, { nodeSelector: {} })
  told.decide()
  const node = told.gangs.get('default/firm')?.status?.seats?.members[0]?.node
  told.gang('wide', '4x', { priority: 5 })
  expect(told.decide()).toEqual([expect.stringMatching(/^wide waits/)])
  told.change('firm', { attempt: 2 })
  expect(told.decide()).toEqual([expect.stringMatching(`^firm#2 sits 0@${node}`)])
  told.gang('small', '1x')
  expect(told.decide()).toEqual([expect.stringMatching(/^small waits: BehindOthers/)])
  told.node(node ?? '', node === 'a' ? 'cpu:4' : 'cpu:2', { unschedulable: true })
  told.change('firm', { attempt: 3 })
  expect(told.decide()).toContainEqual(expect.stringMatching(/^firm#3 sits/))
})

test('when they wait for something else, all who are alike are told, at once as many as twenty', () => {
  const told = fleet('cpu:1')
  told.gang('sits', '1x', { preemptible: false })
  told.decide()
  for (let at = 0; at < 25; at++) told.gang(`w${String(at).padStart(2, '0')}`, '1x')
  const reasons = () => told.decide().map((line) => line.replace(/^(\S+) waits: (\w+):.*$/, '$1 $2'))
  const all = (count: number, reason: string) =>
    Array.from({ length: count }, (_, at) => `w${String(at).padStart(2, '0')} ${reason}`)
  expect(reasons()).toEqual(all(25, 'InsufficientAccelerators'))
  told.node('a', 'cpu:1', { unschedulable: true })
  expect(reasons()).toEqual(all(20, 'NodesUnavailable'))
  told.node('a', 'cpu:1', { unschedulable: true, labels: { x: 'y' } })
  expect(reasons(), 'for the same reason as before').toEqual([])
  told.node('a', 'cpu:1')
  expect(reasons()).toEqual(all(20, 'InsufficientAccelerators'))
})

test('whoever is moved to another queue is displaced there, not where it was', () => {
  const told = fleet('H100:2')
  told.queue('other')
  told.gang('low', '1xH100:2')
  told.decide()
  told.change('low', { queue: 'other' })
  told.gang('here', '1xH100:2', { priority: 1, preemptible: false })
  expect(told.decide()).toEqual([expect.stringMatching(/^here waits: /)])
  told.gang('there', '1xH100:2', { priority: 1, queue: 'other' })
  expect(told.decide()).toEqual([expect.stringMatching(/^there#1 will sit .* when these have left: low \(InQueue\)$/)])
})

test('who waits for others to leave is not displaced itself before it sits', () => {
  const told = fleet('H100:2')
  told.gang('low', '1xH100:2')
  told.decide()
  told.gang('urgent', '1xH100:2', { priority: 5 })
  told.decide()
  told.gang('most', '1xH100:2', { priority: 9 })
  expect(told.decide()).toEqual([expect.stringMatching(/^most waits: /)])
  told.change('low', { suspend: true })
  expect(told.decide()).toEqual([
    'low gives its seats back',
    expect.stringMatching(/^urgent#1 sits/),
    expect.stringMatching(/^most#1 will sit .* when these have left: urgent \(InQueue\)$/),
  ])
})

test('nor is whoever sat before, and waits now for others to leave', () => {
  const told = fleet('H100:2')
  told.node('b', 'H100:2')
  told.gang('low', '1xH100:2')
  told.gang('urgent', '1xH100:2', { priority: 5 }, { nodeSelector: {} })
  told.decide()
  told.apply({ kind: 'Node', deleted: told.gangs.get('default/urgent')?.status?.seats?.members[0]?.node ?? '' })
  told.change('urgent', { attempt: 2 })
  expect(told.decide()).toContainEqual(expect.stringMatching(/^urgent#2 will sit .* when these have left: low/))
  told.gang('most', '1xH100:2', { priority: 9 })
  expect(told.decide()).toEqual([expect.stringMatching(/^most waits: /)])
})

test('it does not come back smaller for being quicker than its own pods', () => {
  const told = fleet('H100:6')
  told.gang('e', '4xH100:1', {}, { min: 2 })
  told.decide()
  told.run('e')
  told.change('e', { attempt: 2 })
  expect(told.decide()).toEqual([])
  for (const rank of [0, 1, 2]) told.end(`e-worker-${rank}-1`)
  expect(told.decide(), 'there is room for four by now').toEqual([expect.stringMatching(/^e#2 sits 0@.* 3@/)])
})

test('a gang that restarts in a queue that was stopped keeps its place; one that was asked to leave gives it up', () => {
  const told = fleet('H100:2')
  told.queue('q')
  told.gang('g', '1xH100:2', { queue: 'q' })
  told.decide()
  told.queue('q', { stopPolicy: 'Hold' })
  told.change('g', { attempt: 2 })
  told.gang('next', '1xH100:2')
  expect(told.decide()).toEqual([
    expect.stringMatching(/^next waits: InsufficientAccelerators/),
    expect.stringMatching(/^g waits: QueueStopped/),
  ])
  const at = new Date(0).toISOString()
  const eviction = { attempt: 1, by: 'default/x', reason: 'InQueue', message: '', at, shrinks: true } as const
  told.world.edit('default/g', {}, { eviction })
  expect(told.decide()).toEqual([
    'g gives its seats back',
    expect.stringMatching(/^g waits: QueueStopped/),
    expect.stringMatching(/^next#1 sits/),
  ])
})

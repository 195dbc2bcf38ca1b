import { describe, expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { label } from '../../model/names.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'

type Group = Gang['spec']['groups'][number]
type Spec = Gang['spec']

/** Nodes by name: how many H100 they have, and labels. */
function story(nodes: Record<string, [gpus: number, labels?: Record<string, string>]>): Story {
  const told = new Story(createScheduler())
  told.queue('default')
  for (const [name, [gpus, labels = {}]] of Object.entries(nodes)) told.node(name, `H100:${gpus}`, { labels })
  return told
}

/** How many members sit where, by group and in the order of ranks: `a:2 b:1`. */
function seats(told: Story, gang = 'g', group?: string): string {
  const taken = new Map<string, number>()
  for (const { node, group: of } of told.gangs.get(`default/${gang}`)?.status?.seats?.members ?? []) {
    if (group === undefined || of === group) taken.set(node, (taken.get(node) ?? 0) + 1)
  }
  return [...taken].map(([node, count]) => `${node}:${count}`).join(' ')
}

const likes = (key: string, value: string, weight = 10) => ({
  nodeAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [
      { weight, preference: { matchExpressions: [{ key, operator: 'In', values: [value] }] } },
    ],
  },
})

function sits(told: Story, members: number, spec: Partial<Spec>, group: Partial<Group> = {}): string {
  told.gang('g', `${members}xH100:1`, spec, { ports: 0, ...group })
  told.decide()
  return seats(told)
}

describe('among nodes that share a label which is no level of the fabric', () => {
  const rows = (): Story =>
    story({
      a: [2, { row: 'x' }],
      b: [2, { row: 'x', disk: 'nvme' }],
      c: [2, { row: 'y', disk: 'nvme' }],
      d: [1, { row: 'y', disk: 'nvme' }],
      e: [9, {}],
    })

  test('those are taken that hold all most tightly, and never nodes without it', () => {
    expect(sits(rows(), 3, { topology: { required: 'row' } })).toBe('c:2 d:1')
    expect(sits(rows(), 4, { topology: { required: 'row' } })).toBe('a:2 b:2')
    expect(sits(rows(), 5, { topology: { required: 'row' } })).toBe('')
    expect(sits(rows(), 5, { topology: { preferred: 'row' } })).toBe('e:5')
    expect(sits(rows(), 3, { topology: { preferred: 'row' } })).toBe('c:2 d:1')
  })

  test('those that members would rather have, by the room that is there', () => {
    const liked = { affinity: likes('disk', 'nvme') }
    const told = rows()
    told.node('f', 'H100:1', { labels: { row: 'z', disk: 'nvme' } })
    told.node('g', 'H100:3', { labels: { row: 'z' } })
    expect(sits(told, 3, { topology: { required: 'row' } }, liked)).toBe('c:2 d:1')
    const other = rows()
    other.node('f', 'H100:1', { labels: { row: 'z', disk: 'nvme' } })
    other.node('g', 'H100:2', { labels: { row: 'z' } })
    expect(sits(other, 3, { topology: { required: 'row' } }, { affinity: likes('row', 'z') })).toBe('f:1 g:2')
    expect(sits(rows(), 3, { topology: { required: 'row' } }, { affinity: likes('disk', 'ssd') })).toBe('c:2 d:1')
    expect(sits(rows(), 2, { topology: { required: 'row' } }, { affinity: likes('row', 'x') })).toBe('a:2')
  })

  test('what does not fit is kept the roomiest of them that could', () => {
    const told = rows()
    told.gang('x', '1xH100:1', { preemptible: false }, { nodeSelector: { row: 'x' } })
    told.decide()
    told.gang('wide', '4xH100:1', { topology: { required: 'row' }, priority: 1 }, { ports: 0 })
    told.gang('small', '1xH100:1', {}, { nodeSelector: { row: 'x' } })
    told.gang('other', '1xH100:1', {}, { nodeSelector: { row: 'y' } })
    expect(told.decide().map((line) => line.split(':')[0])).toEqual([
      'wide waits',
      'small waits',
      'other#1 sits 0@d/H100-0',
    ])
    expect(told.why('wide')).toMatch(/^needs 4 × H100:1 in one row; the roomiest has room for 3;/)
  })
})

describe('domains of the fabric', () => {
  const racks = (gpus: Record<string, number>): Story =>
    story(
      Object.fromEntries(
        Object.entries(gpus).map(([name, count]) => [
          name,
          [count, { [label.rack]: name.slice(0, 2), at: name.slice(0, 2) }],
        ]),
      ),
    )

  test('of one that members would rather be in, and a tighter one, the first is taken', () => {
    const told = () => racks({ r0a: 4, r0b: 4, r1a: 4, r1b: 2 })
    expect(sits(told(), 6, { topology: { required: 'rack' } })).toBe('r1a:4 r1b:2')
    expect(sits(told(), 6, { topology: { required: 'rack' } }, { affinity: likes('at', 'r0') })).toBe('r0a:4 r0b:2')
  })

  test('one that takes more members of an elastic gang comes before a tighter one', () => {
    const told = () => racks({ r0a: 4, r0b: 4, r1a: 4, r1b: 2 })
    expect(sits(told(), 8, { topology: { required: 'rack' } }, { min: 2 })).toBe('r0a:4 r0b:4')
    expect(sits(told(), 6, { topology: { required: 'rack' } }, { min: 2 })).toBe('r1a:4 r1b:2')
  })

  test('the alternative with most room says which domain is best', () => {
    const told = racks({ r0a: 2, r0b: 2, r1a: 3 })
    told.node('r1z', 'A100:4', { labels: { [label.rack]: 'r1' } })
    const accelerators = [
      { model: 'H100', count: 1 },
      { model: 'A100', count: 1 },
    ]
    expect(sits(told, 4, { topology: { required: 'rack' } }, { accelerators, min: 4 })).toBe('r0a:2 r0b:2')
    const other = racks({ r0a: 2, r0b: 1, r1a: 3 })
    other.node('r1z', 'A100:4', { labels: { [label.rack]: 'r1' } })
    expect(sits(other, 4, { topology: { required: 'rack' } }, { accelerators })).toBe('r1z:4')
  })

  test('balanced ones are preferred: those where the fewest of a node are most', () => {
    const told = racks({ r0a: 4, r0b: 2, r1a: 3, r1b: 3 })
    expect(sits(told, 6, { topology: { required: 'rack', balanced: true } })).toBe('r1a:3 r1b:3')
    const even = racks({ r0a: 3, r0b: 3, r0c: 3, r1a: 2, r1b: 2, r1c: 2 })
    expect(sits(even, 4, { topology: { required: 'rack', balanced: true } })).toMatch(/^r1.:2 r1.:2$/)
  })
})

describe('groups of one gang', () => {
  const groupsOf = (told: Story, groups: readonly (Partial<Group> & { name: string })[], spec: Partial<Spec> = {}) => {
    told.gang('g', '1xH100:1', { suspend: true }, { ports: 0 })
    const [first] = told.gangs.get('default/g')?.spec.groups ?? []
    if (first === undefined) throw new Error('no group')
    const made = groups.map((group) => ({ ...first, ...group, max: group.max ?? group.min ?? 1 }))
    told.change('g', { suspend: false, groups: made, ...spec })
    return told.decide().at(-1)
  }

  test('share the quota of their queue', () => {
    const told = story({ a: [8] })
    told.queue('default', { nominalQuota: { H100: 4 } })
    groupsOf(told, [
      { name: 'learner', min: 1, max: 3 },
      { name: 'actor', min: 1, max: 3 },
    ])
    expect([seats(told, 'g', 'learner'), seats(told, 'g', 'actor')]).toEqual(['a:3', 'a:1'])
    const less = story({ a: [8] })
    less.queue('default', { nominalQuota: { H100: 3 } })
    const shares = [
      { name: 'learner', min: 2, max: 2 },
      { name: 'actor', min: 2, max: 2 },
    ]
    expect(groupsOf(less, shares)).toMatch(/^g waits: OverQuota/)
  })

  test('each require a domain of their own, or all of them one', () => {
    const nodes = {
      a: [2, { [label.rack]: 'r0' }],
      b: [2, { [label.rack]: 'r1' }],
      c: [2, { [label.rack]: 'r1' }],
    } as const
    const two = [
      { name: 'learner', min: 2, topology: { required: 'rack' } },
      { name: 'actor', min: 4, topology: { required: 'rack' } },
    ]
    const told = story(nodes as never)
    groupsOf(told, two)
    expect([seats(told, 'g', 'learner'), seats(told, 'g', 'actor')]).toEqual(['a:2', 'b:2 c:2'])
    const one = story(nodes as never)
    const plain = two.map(({ topology: _, ...group }) => group)
    expect(groupsOf(one, plain, { topology: { required: 'rack' } })).toBe(
      'g waits: TopologyTooNarrow: needs 2 × H100:1 in one rack; no rack has so many free',
    )
  })

  test('of one set are in one domain, the others anywhere', () => {
    const told = story({
      a: [3, { [label.rack]: 'r0' }],
      b: [2, { [label.rack]: 'r1' }],
      c: [2, { [label.rack]: 'r1' }],
    })
    const groups = [
      { name: 'server', min: 2 },
      { name: 'trainer', min: 2 },
      { name: 'eval', min: 3 },
    ]
    groupsOf(told, groups, { together: [{ groups: ['server', 'trainer'], topology: { required: 'rack' } }] })
    expect([seats(told, 'g', 'server'), seats(told, 'g', 'trainer'), seats(told, 'g', 'eval')]).toEqual([
      'b:2',
      'c:2',
      'a:3',
    ])
  })
})

test('one port that is short is said as one', () => {
  const told = story({ a: [4] })
  told.gang('all', '1xH100:1', { preemptible: false }, { ports: 10 })
  told.decide()
  told.gang('one', '1xH100:1')
  expect(told.decide()).toEqual([
    "one waits: InsufficientPorts: needs 1 × H100:1 with 1 port each; the nodes' port ranges are used up",
  ])
  expect(told.why('one')).toBe("needs 1 × H100:1 with 1 port each; the nodes' port ranges are used up")
})

test('ports that are used up are what is short', () => {
  const told = story({ a: [4] })
  told.gang('many', '1xH100:1', { preemptible: false }, { ports: 8 })
  told.decide()
  told.gang('more', '1xH100:1', {}, { ports: 3 })
  expect(told.decide()).toEqual([
    "more waits: InsufficientPorts: needs 1 × H100:1 with 3 ports each; the nodes' port ranges are used up",
  ])
  expect(told.why('more')).toBe("needs 1 × H100:1 with 3 ports each; the nodes' port ranges are used up")
  told.gang('both', '1xH100:1', {}, { ports: 3, cpuMilli: 9000 })
  expect(told.decide().at(-1)).toMatch(/^both waits: NeverFits/)
})

test('where nothing alone would do, cores are said to be short', () => {
  const told = story({ a: [4] })
  told.gang('all', '1xH100:1', { preemptible: false }, { ports: 10, cpuMilli: 8000, memoryBytes: 32 * 2 ** 30 })
  told.decide()
  told.gang('more', '1xH100:1', {}, { ports: 1, cpuMilli: 100, memoryBytes: 100 })
  expect(told.decide()[0]).toMatch(/^more waits: InsufficientCpu/)
})

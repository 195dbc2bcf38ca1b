import { describe, expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { label } from '../../model/names.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'

type Group = Gang['spec']['groups'][number]

/** Nodes named for where they are, `b0r1n2`; the room of each, in accelerators. */
function story(rooms: Record<string, number>): Story {
  const told = new Story(createScheduler())
  told.queue('default')
  for (const [name, count] of Object.entries(rooms)) {
    const [block = '', rack = ''] = [name.slice(0, 2), name.slice(2, 4)]
    told.node(name, `H100:${count}`, { labels: { [label.block]: block, [label.rack]: rack, [label.hostname]: name } })
  }
  return told
}

function groupsOf(...groups: (Partial<Group> & { name: string; members: number; each?: number })[]): Group[] {
  return groups.map(({ members, each = 1, ...group }) => ({
    min: members,
    max: members,
    accelerators: [{ model: 'H100', count: each }],
    cpuMilli: 0,
    memoryBytes: 0,
    ports: 0,
    nodeSelector: {},
    tolerations: [],
    ...group,
  }))
}

/** Members by node, in the order of ranks. */
function seats(told: Story, gang = 'g'): string {
  const nodes: [string, number][] = []
  for (const { node } of told.gangs.get(`default/${gang}`)?.status?.seats?.members ?? []) {
    const last = nodes.at(-1)
    if (last?.[0] === node) last[1]++
    else nodes.push([node, 1])
  }
  return nodes.map(([node, count]) => `${node}:${count}`).join(' ')
}

function seated(rooms: Record<string, number>, members: number, topology: Gang['spec']['topology']): string {
  const told = story(rooms)
  told.gang('g', `${members}xH100:1`, { topology }, { ports: 0 })
  told.decide()
  return seats(told)
}

describe('slices', () => {
  const rooms = { b0r0n0: 3, b0r0n1: 3, b0r1n0: 4, b0r1n1: 1 }
  test('each is inside one domain, and ranks of a slice are neighbours', () => {
    expect(seated(rooms, 8, { slices: [{ size: 4, required: 'rack' }] })).toBe('b0r0n0:3 b0r0n1:1 b0r1n0:4')
    expect(seated(rooms, 8, { slices: [{ size: 4, required: 'node' }] })).toBe('')
  })

  test('slices of slices are kept whole as well', () => {
    const slices = [
      { size: 4, required: 'rack' },
      { size: 2, required: 'node' },
    ]
    expect(seated(rooms, 8, { slices })).toBe('b0r0n0:2 b0r0n1:2 b0r1n0:4')
    expect(seated({ ...rooms, b0r0n1: 1 }, 8, { slices })).toBe('')
  })

  test('of domains that hold as many slices, the one that wastes least is taken', () => {
    expect(seated({ b0r0n0: 6, b0r0n1: 5, b0r0n2: 4 }, 10, { slices: [{ size: 2, required: 'node' }] })).toBe(
      'b0r0n0:6 b0r0n2:4',
    )
  })

  test('what is missing is said', () => {
    const told = story(rooms)
    told.gang('g', '12xH100:1', { topology: { required: 'block', slices: [{ size: 6, required: 'rack' }] } })
    told.gang('h', '10xH100:1', { topology: { slices: [{ size: 5, required: 'node' }] } })
    expect(told.decide()).toEqual([
      'g waits: NeverFits: needs 12 × H100:1; there are 11 in all',
      'h waits: TopologyTooNarrow: needs 10 × H100:1 in slices of 5, each in one node; fewer such slices are free',
    ])
    told.gang('i', '6xH100:1', { topology: { required: 'rack', slices: [{ size: 3, required: 'node' }] } })
    told.gang('j', '8xH100:1', { topology: { required: 'rack', slices: [{ size: 2, required: 'node' }] } })
    expect(told.decide()).toEqual([
      'i#1 sits 0@b0r0n0/H100-0:20000 1@b0r0n0/H100-1:20001 2@b0r0n0/H100-2:20002 3@b0r0n1/H100-0:20000 4@b0r0n1/H100-1:20001 5@b0r0n1/H100-2:20002',
      'j waits: InsufficientAccelerators: needs 8 × H100:1 at once; fewer are free',
      'h waits: InsufficientAccelerators: needs 10 × H100:1 at once; fewer are free',
    ])
    expect(told.why('h')).toBe('needs 10 × H100:1, 5 free of 11; job/i (queue default, priority 0) holds 6')
  })

  test('a gang that may shrink keeps whole slices', () => {
    const told = story({ b0r0n0: 7 })
    told.gang('g', '2xH100:1', { topology: { slices: [{ size: 2, required: 'node' }] } }, { min: 2, max: 8, ports: 0 })
    told.decide()
    expect(seats(told)).toBe('b0r0n0:6')
  })
})

test('balanced members are as many in each domain, on as few as hold them', () => {
  const rooms = { b0r0n0: 8, b0r1n0: 5, b0r2n0: 4 }
  expect(seated(rooms, 9, {})).toBe('b0r0n0:8 b0r2n0:1')
  expect(seated(rooms, 9, { balanced: true })).toBe('b0r1n0:5 b0r2n0:4')
  expect(seated(rooms, 12, { balanced: true })).toBe('b0r0n0:7 b0r1n0:5')
  expect(seated(rooms, 8, { balanced: true })).toBe('b0r0n0:8')
})

test('scattered members take what is left over, and leave whole nodes whole', () => {
  const rooms = { b0r0n0: 8, b0r1n0: 1, b1r0n0: 2, b1r0n1: 3 }
  expect(seated(rooms, 4, {})).toBe('b1r0n0:1 b1r0n1:3')
  expect(seated(rooms, 4, { scattered: true })).toBe('b0r1n0:1 b1r0n0:2 b1r0n1:1')
})

describe('groups', () => {
  test('each has a topology of its own, inside that of the gang', () => {
    const told = story({ b0r0n0: 2, b0r0n1: 2, b0r1n0: 4, b1r0n0: 4, b1r0n1: 1 })
    const groups = groupsOf(
      { name: 'prefill', members: 3, topology: { required: 'rack' } },
      { name: 'decode', members: 4, topology: { required: 'node' } },
    )
    told.gang('g', '1x', { groups, topology: { required: 'block' } })
    told.decide()
    expect(seats(told)).toBe('b0r0n0:2 b0r0n1:1 b0r1n0:4')
  })

  test('the domain of one group is tried again where it leaves none for the next', () => {
    const told = story({ b0r0n0: 2, b1r0n0: 3, b1r1n0: 2 })
    const groups = groupsOf({ name: 'a', members: 2 }, { name: 'b', members: 2 })
    const topology = { required: 'rack' }
    told.gang('g', '1x', { groups: groups.map((group) => ({ ...group, topology })), topology: { required: 'block' } })
    told.decide()
    expect(seats(told)).toBe('b1r1n0:2 b1r0n0:2')
  })

  test('what was tried inside a narrow domain is free again when a wider one is tried', () => {
    const told = story({ b0r0n0: 3, b0r1n0: 1 })
    const groups = groupsOf({ name: 'a', members: 2 }, { name: 'b', members: 2 })
    told.gang('g', '1x', { groups, topology: { preferred: 'rack', required: 'block' } })
    told.decide()
    expect(seats(told)).toBe('b0r0n0:3 b0r1n0:1')
  })

  test('sets of them sit together', () => {
    const told = story({ b0r0n0: 2, b0r1n0: 2, b0r2n0: 1, b1r0n0: 2, b1r1n0: 2 })
    const groups = groupsOf(
      { name: 'encode-0', members: 1 },
      { name: 'encode-1', members: 1 },
      { name: 'decode-0', members: 1 },
      { name: 'decode-1', members: 1 },
    )
    const together = [0, 1].map((index) => ({
      groups: [`encode-${index}`, `decode-${index}`],
      topology: { required: 'rack' },
    }))
    told.gang('g', '1x', { groups, together, topology: { required: 'block' } })
    told.decide()
    expect(seats(told)).toBe('b1r0n0:1 b1r1n0:1 b1r0n0:1 b1r1n0:1')
  })

  test('a leader goes where it costs its workers no place, and they begin next to it', () => {
    const told = story({ b0r0n0: 2, b0r0n1: 4, b0r0n2: 3 })
    const groups = groupsOf({ name: 'worker', members: 4, each: 2 }, { name: 'leader', members: 1 })
    told.gang('g', '1x', { groups, together: [{ groups: ['worker', 'leader'], topology: { required: 'rack' } }] })
    told.decide()
    expect(seats(told)).toBe('b0r0n0:1 b0r0n1:2 b0r0n2:2')
    const members = told.gangs.get('default/g')?.status?.seats?.members ?? []
    expect(members.find(({ group }) => group === 'leader')).toMatchObject({ rank: 4, node: 'b0r0n2' })
  })

  test('a leader that can be in one place only is not kept out of it by its workers', () => {
    const told = story({ b0r0n0: 2, b0r0n1: 2 })
    const groups = groupsOf(
      { name: 'worker', members: 2 },
      { name: 'leader', members: 1, nodeSelector: { [label.hostname]: 'b0r0n0' } },
    )
    told.gang('g', '1x', { groups, together: [{ groups: ['worker', 'leader'], topology: { required: 'rack' } }] })
    told.decide()
    expect(seats(told)).toBe('b0r0n0:1 b0r0n1:1 b0r0n0:1')
  })

  test('which of them no domain holds is said', () => {
    const told = story({ b0r0n0: 2, b0r1n0: 2 })
    const groups = groupsOf({ name: 'a', members: 1 }, { name: 'b', members: 3, topology: { required: 'rack' } })
    told.gang('g', '1x', { groups, topology: { required: 'block' } })
    expect(told.decide()).toEqual([
      'g waits: TopologyTooNarrow: needs 3 × H100:1 in one rack; no rack has so many free',
    ])
    expect(told.why('g')).toBe('needs 3 × H100:1 in one rack; the roomiest has room for 2')
  })
})

test('gangs alike but for their topology do not stand in each other’s way', () => {
  const told = story({ b0r0n0: 2, b0r1n0: 2 })
  told.gang('near', '3xH100:1', { topology: { required: 'rack' } }, { ports: 0 })
  told.gang('far', '3xH100:1', {}, { ports: 0, accelerators: [{ model: 'H100', count: 1 }] })
  told.decide()
  expect(seats(told, 'near')).toBe('')
  expect(seats(told, 'far')).toBe('b0r0n0:2 b0r1n0:1')
})

describe('nodes', () => {
  const prefers = (at: string) => ({
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 1, preference: { matchExpressions: [{ key: label.hostname, operator: 'In', values: [at] }] } },
      ],
    },
  })

  test('the one it would rather have is taken, but never at the price of more domains', () => {
    const told = story({ b0r0n0: 1, b0r0n1: 4, b0r1n0: 3 })
    told.gang('one', '1xH100:1', {}, { affinity: prefers('b0r0n1') })
    told.gang('three', '3xH100:1', {}, { affinity: prefers('b0r0n1') })
    told.gang('two', '2xH100:1', { topology: { required: 'node' } }, { affinity: prefers('b0r0n0') })
    told.decide()
    expect(['one', 'three', 'two'].map((gang) => seats(told, gang))).toEqual(['b0r0n1:1', 'b0r0n1:3', 'b0r1n0:2'])
  })

  test('a name is matched by its field', () => {
    const told = story({ a: 1, b: 1 })
    const nodeSelectorTerms = [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['b'] }] }]
    const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } }
    told.gang('g', '1xH100:1', {}, { affinity })
    told.decide()
    expect(seats(told)).toBe('b:1')
  })

  test('slices of accelerators are not shared', () => {
    const told = story({ a: 2 })
    const node = told.world.nodes.get('a')
    if (node === undefined) throw new Error('no node')
    told.world.put({ ...node, metadata: { ...node.metadata, labels: { 'nvidia.com/mig.strategy': 'single' } } })
    told.gang('share', '1xH100:0.5')
    told.gang('whole', '1xH100:1')
    told.decide()
    expect([seats(told, 'share'), seats(told, 'whole')]).toEqual(['', 'a:1'])
    expect(told.why('share')).toBe('needs 1 × H100:0.5; H100 is there in slices (MIG), which are not shared')
  })

  test('of those alike, the fullest is taken', () => {
    const told = story({ a: 2, b: 1 })
    told.gang('g', '1xH100:1')
    told.decide()
    expect(seats(told)).toBe('b:1')
  })

  test('each runs only so many pods, whoever they are of', () => {
    const told = story({ a: 4 })
    const node = told.world.nodes.get('a')
    if (node === undefined) throw new Error('no node')
    told.world.put({ ...node, status: { ...node.status, allocatable: { cpu: '8', memory: '8Gi', pods: '3' } } })
    told.pod({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'daemon', namespace: 'kube-system' },
      spec: { nodeName: 'a', containers: [{ name: 'main' }] },
      status: { phase: 'Running' },
    })
    told.gang('two', '2xH100:1')
    told.gang('one', '1xH100:1')
    expect(told.decide().at(-1)).toBe('one waits: InsufficientPods: needs 1 × H100:1; fewer nodes may run one more pod')
    expect(told.why('one')).toMatch(/status.allocatable.pods/)
    told.change('two', { suspend: true })
    told.decide()
    expect(seats(told, 'one')).toBe('a:1')
  })
})

describe('a new attempt', () => {
  const rooms = { b0r0n0: 2, b0r0n1: 2, b0r0n2: 2, b0r1n0: 2, b0r1n1: 2 }
  const cordon = (told: Story, name: string) => {
    const node = told.world.nodes.get(name)
    if (node !== undefined) told.world.put({ ...node, spec: { ...node.spec, unschedulable: true } })
  }

  test('stays where it was, and what lost its node goes next to the others', () => {
    const told = story(rooms)
    const holder = { topology: { required: 'rack' } }
    told.gang('other', '2xH100:1', {}, { ports: 0, nodeSelector: { [label.hostname]: 'b0r0n1' } })
    told.gang('g', '4xH100:1', holder, { ports: 0, nodeSelector: { [label.rack]: 'r0' } })
    told.decide()
    expect(seats(told)).toBe('b0r0n0:2 b0r0n2:2')
    told.change('other', { suspend: true })
    cordon(told, 'b0r0n0')
    told.change('g', { attempt: 2 })
    told.decide()
    expect(seats(told)).toBe('b0r0n1:2 b0r0n2:2')
  })

  test('a slice that lost a member is placed anew, the others stay', () => {
    const told = story({ b0r0n0: 2, b0r0n1: 2, b0r1n0: 4, b0r2n0: 5, b0r3n0: 4 })
    const slices = [{ size: 4, required: 'rack' }]
    for (const rack of ['r1', 'r3']) told.gang(rack, '4xH100:1', {}, { nodeSelector: { [label.rack]: rack } })
    told.gang('g', '8xH100:1', { topology: { slices } })
    told.decide()
    expect(seats(told)).toBe('b0r0n0:2 b0r0n1:2 b0r2n0:4')
    for (const rack of ['r1', 'r3']) told.change(rack, { suspend: true })
    cordon(told, 'b0r0n0')
    told.decide()
    told.change('g', { attempt: 2 })
    told.decide()
    expect(seats(told)).toBe('b0r1n0:4 b0r2n0:4')
  })

  test('moves as a whole where the domain that it must share has no place left', () => {
    const told = story(rooms)
    told.gang('g', '3xH100:1', { topology: { required: 'rack' } }, { ports: 0 })
    told.decide()
    expect(seats(told)).toBe('b0r1n0:2 b0r1n1:1')
    cordon(told, 'b0r1n0')
    told.change('g', { attempt: 2 })
    told.decide()
    expect(seats(told)).toBe('b0r0n0:2 b0r0n1:1')
  })

  test('moves where that brings it closer together', () => {
    const told = story({ b0r0n0: 2, b0r1n0: 2, b1r0n0: 3 })
    told.gang('other', '3xH100:1', {}, { ports: 0, nodeSelector: { [label.block]: 'b1' } })
    told.gang('g', '3xH100:1', {}, { ports: 0 })
    told.decide()
    expect(seats(told)).toBe('b0r0n0:2 b0r1n0:1')
    told.change('other', { suspend: true })
    told.decide()
    told.change('g', { attempt: 2 })
    told.decide()
    expect(seats(told)).toBe('b1r0n0:3')
  })
})

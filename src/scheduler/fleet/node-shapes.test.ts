import { describe, expect, test } from 'vitest'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import { annotation, label } from '../../model/names.ts'
import { Fleet } from './fleet.ts'
import type { NodeState } from './nodes.ts'
import { visibleDevices } from './read-node.ts'
import { claimFromPod } from './read-pod.ts'

function nodeWith({
  metadata,
  ...more
}: Partial<Omit<Node, 'metadata'>> & { metadata?: Partial<Node['metadata']> }): Node {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', ...metadata }, ...more }
}

function stateOf(node: Node): NodeState {
  const fleet = new Fleet()
  fleet.setNode(node)
  const state = fleet.nodes.get('n')
  if (state === undefined) throw new Error('no node')
  return state
}

const listing = (devices: unknown): Node =>
  nodeWith({ metadata: { annotations: { [annotation.nodeDevices]: JSON.stringify(devices) } } })
const idsOf = (node: Node) => [...stateOf(node).devices.keys()]

describe('accelerators of a node', () => {
  test('are those that its agent lists, each by what it is called there', () => {
    const node = listing([
      { id: 'g0', model: 'H100', healthy: true, uuid: 'GPU-1' },
      { id: 'g1', model: 'H100', healthy: false },
      { id: 's0', model: 'cpu', healthy: true },
    ])
    expect([...stateOf(node).devices.values()]).toEqual([
      { id: 'g0', model: 'H100', visible: 'GPU-1', healthy: true, usedMilli: 0 },
      { id: 'g1', model: 'H100', visible: 'g1', healthy: false, usedMilli: 0 },
      { id: 's0', model: 'cpu', visible: '', healthy: true, usedMilli: 0 },
    ])
    expect(visibleDevices(node, ['g1', 'g0'])).toBe('g1,GPU-1')
    expect(visibleDevices(node, ['s0'])).toBe('')
    expect(visibleDevices(node, ['gone', 'g0'])).toBe('GPU-1')
  })

  test('or as many as device plugins count, of the model that its label names', () => {
    const node = nodeWith({
      metadata: { labels: { [label.accelerator]: 'A100' } },
      status: { allocatable: { 'nvidia.com/gpu': '2', 'millwright.dev/cpu': 1, cpu: '4', memory: '8Gi' } },
    })
    expect([...stateOf(node).devices.values()].map(({ id, visible }) => [id, visible])).toEqual([
      ['A100-0', '0'],
      ['A100-1', '1'],
      ['cpu-0', ''],
    ])
    expect(stateOf(node)).toMatchObject({ cpuMilli: 4000, cpuMilliFree: 4000, memoryBytes: 8 * 2 ** 30 })
    expect(visibleDevices(node, ['A100-1', 'A100-0'])).toBe('1,0')
    expect(visibleDevices(nodeWith({}), ['A100-1'])).toBe('')
  })

  test('are not counted twice where they are listed, too', () => {
    const listed = listing([{ id: 'g0', model: 'A100', healthy: true }])
    const both = {
      ...listed,
      metadata: { ...listed.metadata, labels: { [label.accelerator]: 'A100' } },
      status: { allocatable: { 'nvidia.com/gpu': '2' } },
    }
    expect(idsOf(both)).toEqual(['g0'])
  })

  test('are as many as the node has where it does not say how many it gives out', () => {
    expect(idsOf(nodeWith({ status: { capacity: { 'nvidia.com/gpu': '1' } } }))).toEqual(['gpu-0'])
    expect(idsOf(nodeWith({ status: { allocatable: {}, capacity: { 'nvidia.com/gpu': '1' } } }))).toEqual([])
    expect(idsOf(nodeWith({}))).toEqual([])
  })

  test.each([
    [[{ id: 'g0', model: 'H100' }]],
    [[{ id: 'g0', model: 'H100', healthy: 'yes' }]],
    [[{ id: 'g0', model: 7, healthy: true }]],
    [[{ id: 'g0', healthy: true }]],
    [[{ id: 0, model: 'H100', healthy: true }]],
    [[{ model: 'H100', healthy: true }]],
    [[null, 'g0', 7]],
    [{ id: 'g0', model: 'H100', healthy: true }],
  ])('%j lists none', (devices) => {
    expect(idsOf(listing(devices))).toEqual([])
  })

  test('a list that cannot be read offers nothing', () => {
    expect(idsOf(nodeWith({ metadata: { annotations: { [annotation.nodeDevices]: '[{' } } }))).toEqual([])
  })
})

describe('a node', () => {
  test.each([
    ['20000-20009', { from: 20000, to: 20009 }],
    ['1-1', { from: 1, to: 1 }],
    ['65535-65535', { from: 65535, to: 65535 }],
    ['0-9', undefined],
    ['9-8', undefined],
    ['1-65536', undefined],
    ['x1-2', undefined],
    ['1-2x', undefined],
    ['100000-100001', undefined],
    ['1', undefined],
  ])('with the port range %s gives out %j', (range, ports) => {
    const state = stateOf(nodeWith({ metadata: { annotations: { [annotation.portRange]: range } } }))
    expect(state.ports).toEqual(ports)
    expect(state.nextPort).toBe(ports?.from ?? 0)
  })

  test.each([
    [nodeWith({ metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }), 'is being removed'],
    [nodeWith({ spec: { unschedulable: true } }), 'is cordoned'],
    [nodeWith({ spec: { unschedulable: false } }), undefined],
    [nodeWith({ status: { conditions: [{ type: 'Ready', status: 'False' }] } }), 'is not ready'],
    [nodeWith({ status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } }), 'is not ready'],
    [nodeWith({ status: { conditions: [{ type: 'Ready', status: 'True' }] } }), undefined],
    [nodeWith({ status: { conditions: [{ type: 'DiskPressure', status: 'False' }] } }), undefined],
    [nodeWith({}), undefined],
  ])('takes new work or not: %j', (node, closed) => {
    expect(stateOf(node).closed).toBe(closed)
  })

  test('is reached at its internal address, else as this machine', () => {
    const addresses = [
      { type: 'Hostname', address: 'n.example' },
      { type: 'InternalIP', address: '10.0.0.7' },
    ]
    expect(stateOf(nodeWith({ status: { addresses } })).address).toBe('10.0.0.7')
    expect(stateOf(nodeWith({ status: { addresses: addresses.slice(0, 1) } })).address).toBe('127.0.0.1')
    expect(stateOf(nodeWith({})).address).toBe('127.0.0.1')
  })

  test('runs as many pods as it says, whatever their number is written like', () => {
    expect(stateOf(nodeWith({ status: { allocatable: { pods: '110' } } })).podsMax).toBe(110)
    expect(stateOf(nodeWith({ status: { allocatable: { pods: '1500m' } } })).podsMax).toBe(1)
    expect(stateOf(nodeWith({})).podsMax).toBeUndefined()
  })

  test('that only says that it is alive is the same node; one that changes anything that matters is another', () => {
    const fleet = new Fleet()
    const node = listing([{ id: 'g0', model: 'H100', healthy: true }])
    fleet.setNode(node)
    const [state, { generation }] = [fleet.nodes.get('n'), fleet]
    const heard: Node = {
      ...node,
      status: { conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: 'now' }] },
    }
    fleet.setNode(heard)
    expect(fleet.nodes.get('n')).toBe(state)
    expect(state?.object).toBe(heard)
    expect(fleet.generation).toBe(generation)
    const changes: Node[] = [
      { ...node, metadata: { ...node.metadata, labels: { disk: 'nvme' } } },
      { ...node, metadata: { ...node.metadata, annotations: {} } },
      {
        ...node,
        metadata: { ...node.metadata, annotations: { ...node.metadata.annotations, [annotation.portRange]: '1-2' } },
      },
      { ...node, spec: { taints: [{ key: 'gpu', effect: 'NoSchedule' }] } },
      { ...node, spec: { unschedulable: true } },
      { ...node, status: { allocatable: { cpu: '1' } } },
      { ...node, status: { capacity: { cpu: '1' } } },
      { ...node, status: { addresses: [{ type: 'InternalIP', address: '10.0.0.7' }] } },
    ]
    for (const changed of changes) {
      fleet.setNode(node)
      const [before, was] = [fleet.nodes.get('n'), fleet.generation]
      fleet.setNode(changed)
      expect(fleet.nodes.get('n'), JSON.stringify(changed)).not.toBe(before)
      expect(fleet.generation).toBeGreaterThan(was)
    }
  })
})

describe('what a pod holds that was bound by somebody', () => {
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'p',
      namespace: 'team',
      labels: { [label.gang]: 'g' },
      annotations: { [annotation.devices]: 'g0,g1', [annotation.ports]: '20000,20003' },
    },
    spec: {
      nodeName: 'n',
      containers: [
        { name: 'main', resources: { requests: { cpu: '500m' }, limits: { cpu: '2', memory: '1Gi' } } },
        { name: 'side', resources: { requests: { cpu: '250m', memory: '1Gi' } } },
        { name: 'none' },
      ],
    },
    status: { phase: 'Running' },
  }
  const claimOf = (more: Partial<Pod>) => claimFromPod({ ...pod, ...more }, 'q', (id) => (id === 'g0' ? 'H100' : 'T4'))

  test('is whole devices, of the model of the first, and what its containers request', () => {
    expect(claimOf({})).toMatchObject({
      node: 'n',
      model: 'H100',
      devices: [
        { id: 'g0', milli: 1000 },
        { id: 'g1', milli: 1000 },
      ],
      cpuMilli: 750,
      memoryBytes: 2 * 2 ** 30,
      ports: [20000, 20003],
      gang: 'team/g',
      queue: 'q',
    })
  })

  test('is no device where it names none, and no gang where it is of none', () => {
    const { annotations: _, labels: __, ...metadata } = pod.metadata
    expect(claimOf({ metadata })).toMatchObject({ model: 'cpu', devices: [], ports: [], gang: undefined })
    expect(claimOf({ metadata: { ...metadata, annotations: { [annotation.devices]: '' } } })?.devices).toEqual([])
    const { namespace: ___, ...here } = pod.metadata
    expect(claimOf({ metadata: here })?.gang).toBe('default/g')
  })

  test.each([
    [{ phase: 'Succeeded' }, false],
    [{ phase: 'Failed' }, false],
    [{ phase: 'Pending' }, true],
    [undefined, true],
  ])('is something while it has not ended: %j', (status, is) => {
    const { status: _, ...other } = pod
    const one = status === undefined ? other : { ...other, status }
    expect(claimFromPod(one, 'q', () => undefined) !== undefined).toBe(is)
  })

  test('is nothing before it is bound', () => {
    const { nodeName: _, ...spec } = pod.spec
    expect(claimOf({ spec })).toBeUndefined()
  })
})

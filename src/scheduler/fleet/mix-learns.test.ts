import { describe, expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation, label } from '../../model/names.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { Fleet } from './fleet.ts'
import { Mix } from './mix.ts'

type Group = Gang['spec']['groups'][number]

function fleetOf(nodes: number, cpu: number): Fleet {
  const fleet = new Fleet()
  for (let index = 0; index < nodes; index++) {
    const devices = Array.from({ length: 8 }, (_, at) => ({ id: `g${at}`, model: 'H100', healthy: true }))
    const node: Node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: `n${index}`, annotations: { [annotation.nodeDevices]: JSON.stringify(devices) } },
      status: { allocatable: { cpu: String(cpu), memory: '1Ti' } },
    }
    fleet.setNode(node)
  }
  return fleet
}

const asks = (members: number, model: string, count: number, more: Partial<Group> = {}): Gang =>
  gangNamed('g', [groupOf(members, { accelerators: [{ model, count }], ...more })])

/** What packing takes for typical after such gangs. */
function typical(gangs: readonly Gang[]) {
  const [mix, fleet] = [new Mix(), fleetOf(4, 64)]
  for (const [at, gang] of gangs.entries()) mix.set(`g${at}`, gang)
  mix.teach(fleet)
  return fleet.packing.typical
}

describe('what members mostly ask for', () => {
  test('is learnt once sixteen came, and again when half as many as then came or went', () => {
    const [mix, fleet] = [new Mix(), fleetOf(4, 64)]
    const counts = () => fleet.packing.typical.map(({ count }) => count)
    mix.set('a', asks(15, 'H100', 1))
    mix.teach(fleet)
    expect(counts()).toEqual([])
    mix.set('b', asks(25, 'H100', 2))
    mix.teach(fleet)
    expect(counts()).toEqual([2, 1])
    const { packing } = fleet
    mix.set('c', asks(19, 'H100', 4))
    mix.teach(fleet)
    expect(fleet.packing, 'forty were known, so nineteen are too few').toBe(packing)
    mix.set('d', asks(1, 'H100', 4))
    mix.teach(fleet)
    expect(counts()).toEqual([2, 4, 1])
    mix.set('b', undefined)
    mix.set('c', undefined)
    mix.teach(fleet)
    expect(counts()).toEqual([1, 4])
  })

  test('is the same while the shares of all shapes are within a tenth together', () => {
    const [mix, fleet] = [new Mix(), fleetOf(4, 64)]
    mix.set('a', asks(50, 'H100', 1))
    mix.set('b', asks(50, 'H100', 2))
    mix.teach(fleet)
    const { packing } = fleet
    mix.set('c', asks(53, 'H100', 1))
    mix.set('d', asks(47, 'H100', 2))
    mix.teach(fleet)
    expect(fleet.packing).toBe(packing)
    mix.set('e', asks(100, 'H100', 1))
    mix.teach(fleet)
    expect(fleet.packing).not.toBe(packing)
  })

  test('is counted once for each gang, and anew when its groups change', () => {
    const [mix, fleet] = [new Mix(), fleetOf(4, 64)]
    const one = asks(20, 'H100', 1)
    mix.set('a', one)
    mix.set('a', { ...one, status: { conditions: [], checkpoints: [] } })
    mix.set('b', asks(20, 'H100', 2))
    mix.set('b', asks(20, 'H100', 4))
    mix.teach(fleet)
    expect(fleet.packing.typical.map(({ count, share }) => [count, share])).toEqual([
      [4, 0.5],
      [1, 0.5],
    ])
    mix.set('never', undefined)
    mix.set('a', undefined)
    mix.set('b', undefined)
    mix.teach(fleet)
    expect(fleet.packing.typical).toEqual([])
  })

  test('is by cores, accelerators or a share of one, and the models that any of its alternatives allow', () => {
    const affinity = {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: label.accelerator, operator: 'In', values: ['H100'] }] }],
        },
      },
    }
    const either = [
      { model: 'H100', count: 2 },
      { model: 'A100', count: 2 },
    ]
    const or = [
      { model: 'H100', count: 2 },
      { model: 'gpu', count: 2 },
    ]
    const shape = { cpuMilli: 0, count: 1, milli: 1000, models: ['H100'], share: 1 }
    expect(typical([asks(20, 'H100', 1, { cpuMilli: 500 })])).toEqual([{ ...shape, cpuMilli: 500 }])
    expect(typical([asks(20, 'H100', 0.25)])).toEqual([{ ...shape, milli: 250 }])
    expect(typical([asks(20, 'H100', 2.5)])).toEqual([{ ...shape, count: 3 }])
    expect(typical([asks(20, 'H100', 0, { cpuMilli: 100 })])).toEqual([
      { ...shape, cpuMilli: 100, count: 0, milli: 0, models: undefined },
    ])
    expect(typical([asks(20, 'gpu', 1)])).toEqual([{ ...shape, models: undefined }])
    expect(typical([asks(20, 'gpu', 1, { affinity })])).toEqual([shape])
    expect(typical([asks(20, '', 2, { accelerators: either })])).toEqual([
      { ...shape, count: 2, models: ['H100', 'A100'] },
    ])
    expect(typical([asks(20, '', 2, { accelerators: or })])).toEqual([{ ...shape, count: 2, models: undefined }])
  })
})

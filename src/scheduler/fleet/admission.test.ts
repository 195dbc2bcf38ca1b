import { describe, expect, test } from 'vitest'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'

type Taint = { key: string; value?: string; effect: string }

/** Whether a member with these tolerations goes to a node with these taints. */
function isLetIn(taints: readonly Taint[], tolerations: readonly Record<string, unknown>[]): boolean {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('a', 'cpu:1', { taints: [...taints] })
  told.gang('g', '1x', {}, { tolerations: [...tolerations] })
  return told.decide().at(-1)?.includes('sits') === true
}

describe('taints and tolerations are read as Kubernetes reads them', () => {
  const gpu = { key: 'gpu', value: 'yes', effect: 'NoSchedule' }
  test.each<[Taint, Record<string, unknown>, boolean]>([
    [gpu, { key: 'gpu', operator: 'Exists' }, true],
    [gpu, { key: 'other', operator: 'Exists' }, false],
    [gpu, { key: 'gpu', operator: 'Equal', value: 'yes' }, true],
    [gpu, { key: 'gpu', value: 'yes' }, true],
    [gpu, { key: 'gpu', value: 'no' }, false],
    [gpu, { key: 'gpu' }, false],
    [{ key: 'gpu', effect: 'NoSchedule' }, { key: 'gpu' }, true],
    [{ key: 'gpu', effect: 'NoSchedule' }, { key: 'gpu', value: '' }, true],
    [{ key: 'gpu', effect: 'NoSchedule' }, { key: 'gpu', value: 'yes' }, false],
    [gpu, { operator: 'Exists' }, true],
    [gpu, { key: '', operator: 'Exists' }, true],
    [gpu, { operator: 'Equal', value: 'yes' }, false],
    [gpu, { key: '', value: 'yes' }, false],
    [gpu, { key: 'gpu', operator: 'Exists', effect: 'NoSchedule' }, true],
    [gpu, { key: 'gpu', operator: 'Exists', effect: '' }, true],
    [gpu, { key: 'gpu', operator: 'Exists', effect: 'NoExecute' }, false],
    [gpu, { operator: 'Exists', effect: 'NoExecute' }, false],
    [{ ...gpu, effect: 'NoExecute' }, { key: 'gpu', operator: 'Exists', effect: 'NoExecute' }, true],
  ])('%j with %j: %s', (taint, toleration, is) => {
    expect(isLetIn([taint], [toleration])).toBe(is)
  })

  test('each taint needs a toleration, but not one that only prefers others', () => {
    const taints = [gpu, { key: 'team', effect: 'NoSchedule' }]
    const each = [
      { key: 'team', operator: 'Exists' },
      { key: 'gpu', operator: 'Exists' },
    ]
    expect(isLetIn(taints, each)).toBe(true)
    expect(isLetIn(taints, each.slice(0, 1))).toBe(false)
    expect(isLetIn([{ ...gpu, effect: 'PreferNoSchedule' }], [])).toBe(true)
    expect(isLetIn([{ ...gpu, effect: 'PreferNoSchedule' }, gpu], [])).toBe(false)
    expect(isLetIn([], [])).toBe(true)
  })
})

describe('how many members a node holds', () => {
  function seated(devices: string, members: number, group: object, node: object = {}): number {
    const told = new Story(createScheduler())
    told.queue('default')
    told.node('a', devices, node)
    told.gang('g', `${members}x`, {}, { min: 1, ...group })
    told.decide()
    return told.gangs.get('default/g')?.status?.seats?.members.length ?? 0
  }
  const of = (model: string, count: number) => ({ accelerators: [{ model, count }] })

  test.each([
    ['H100:8', of('H100', 3), 2],
    ['H100:8', of('H100', 8), 1],
    ['H100:2', of('H100', 0.5), 4],
    ['H100:2', of('H100', 0.4), 4],
    ['H100:2', of('H100', 0.34), 4],
    ['H100:2', of('H100', 0.333), 6],
    ['H100:2', of('H100', 1 / 3), 4],
    ['H100:5', of('H100', 1.5), 2],
    ['H100:4', of('H100', 1.5), 2],
    ['H100:3', of('H100', 1.5), 1],
    ['H100:3', of('H100', 2.25), 1],
    ['H100:2', of('H100', 2.25), 0],
    ['cpu:4', of('cpu', 1), 4],
  ])('%s by accelerators %j: %i', (devices, group, members) => {
    expect(seated(devices, 9, { ports: 0, ...group })).toBe(members)
  })

  test.each([
    ['cores', { cpuMilli: 3000 }, {}, 2],
    ['cores', { cpuMilli: 4000 }, {}, 2],
    ['cores', { cpuMilli: 4001 }, {}, 1],
    ['memory', { memoryBytes: 11 * 2 ** 30 }, {}, 2],
    ['memory', { memoryBytes: 16 * 2 ** 30 }, {}, 2],
    ['ports', { ports: 3 }, {}, 3],
    ['ports', { ports: 5 }, {}, 2],
    ['ports', { ports: 11 }, {}, 0],
    ['nothing else', {}, { cpu: '0', memory: '0' }, 9],
  ])('by %s: %j', (_, group, node, members) => {
    expect(seated('cpu:16', 9, group, node)).toBe(members)
  })
})

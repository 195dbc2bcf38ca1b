import { describe, expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { Fleet } from '../fleet/fleet.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'
import { atLeast, fitOrLeast } from './least.ts'

type Group = Gang['spec']['groups'][number]

test('a group that could take all leaves the next of its gang its fewest', () => {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('a', 'H100:4')
  told.gang('rl', '1xH100:1')
  const [group] = told.gangs.get('default/rl')?.spec.groups ?? []
  const groupOf = (name: string, min: number): Gang['spec']['groups'][number][] =>
    group === undefined ? [] : [{ ...group, name, min, max: 4 }]
  told.change('rl', { groups: [...groupOf('learner', 2), ...groupOf('actor', 2)] })
  told.decide()
  const seats = told.gangs.get('default/rl')?.status?.seats?.members ?? []
  expect(seats.map((member) => member.group)).toEqual(['learner', 'learner', 'actor', 'actor'])
})

/** One node for each model. */
function fleetOf(gpus: Record<string, number>): Fleet {
  const fleet = new Fleet()
  for (const [model, count] of Object.entries(gpus)) {
    const devices = Array.from({ length: count }, (_, at) => ({ id: `${model}-${at}`, model, healthy: true }))
    const metadata = { name: model, annotations: { [annotation.nodeDevices]: JSON.stringify(devices) } }
    const node: Node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata,
      status: { allocatable: { cpu: '8', memory: '8Gi' } },
    }
    fleet.setNode(node)
  }
  return fleet
}

/** `2-4 H100|A100`: a group of two to four, of either. */
function group(name: string, said: string): Group {
  const [members = '1', models = 'gpu'] = said.split(' ')
  const [min = '1', max = min] = members.split('-')
  const accelerators = models.split('|').map((model) => ({ model, count: 1 }))
  return groupOf(Number(min), { name, max: Number(max), accelerators, ports: 0 })
}

const gang = (...groups: string[]) =>
  gangNamed(
    'g',
    groups.map((said, index) => group(`g${index}`, said)),
  )

describe('at their fewest members', () => {
  const said = (object: Gang) =>
    object.spec.groups.map(({ min, max, accelerators }) => `${min}-${max} ${accelerators.map(({ model }) => model)}`)
  const fleet = fleetOf({ A100: 2, H100: 2 })
  const choices = (...groups: string[]) => atLeast(gang(...groups), fleet).map(said)

  test('groups take their first choices together, then their second; who has none left its last', () => {
    expect(choices('1-4 H100|A100|L4', '2 A100', '1-2 A100|H100')).toEqual([
      ['1-1 H100', '2-2 A100', '1-1 A100'],
      ['1-1 A100', '2-2 A100', '1-1 H100'],
      ['1-1 L4', '2-2 A100', '1-1 H100'],
    ])
  })

  test('any GPU is each model that is there, the same for all that say so', () => {
    expect(choices('1-4 gpu', '2-3 H100', '1 gpu')).toEqual([
      ['1-1 A100', '2-2 H100', '1-1 A100'],
      ['1-1 H100', '2-2 H100', '1-1 H100'],
    ])
    expect(choices('1-4 gpu|L4', '2-3 H100')).toEqual([
      ['1-1 A100', '2-2 H100'],
      ['1-1 H100', '2-2 H100'],
      ['1-1 L4', '2-2 H100'],
    ])
  })

  test('a slice of any card is what is such a slice', () => {
    const cards = fleetOf({ H100: 2, 'H100-MIG-1g.10gb': 2, 'A100-MIG-1g.10gb': 2 })
    const models = (asked: string, other: string) => atLeast(gang(`1 ${asked}`, `1 ${other}`), cards).map(said)
    expect(models('MIG-1g.10gb', 'H100')).toEqual([
      ['1-1 A100-MIG-1g.10gb', '1-1 H100'],
      ['1-1 H100-MIG-1g.10gb', '1-1 H100'],
    ])
    // What one of them means is there for it alone; the other stays as it was said.
    expect(models('MIG-1g.10gb', 'gpu').toSorted()).toEqual([
      ['1-1 A100-MIG-1g.10gb', '1-1 gpu'],
      ['1-1 H100-MIG-1g.10gb', '1-1 gpu'],
      ['1-1 MIG-1g.10gb', '1-1 H100'],
    ])
  })
})

describe('a gang of several groups, or what holds it back', () => {
  const held = (gpus: Record<string, number>, quota: Record<string, number>, object: Gang) => {
    const fit = fitOrLeast(fleetOf(gpus), {
      gang: 'default/g',
      object,
      quotaLeft: new Map(Object.entries(quota).map(([model, count]) => [model, count * 1000])),
      reserved: { of: () => undefined },
    })
    return fit.fits ? fit.placed.length : `${fit.shortage.group.name}: ${fit.shortage.kind}`
  }
  test('takes all it can, or its fewest beside a group that leaves nothing to choose', () => {
    expect(held({ H100: 6 }, {}, gang('1-4 H100', '2 H100'))).toBe(6)
    expect(held({ H100: 5 }, {}, gang('1-4 H100', '2 H100'))).toBe(3)
    expect(held({ H100: 5 }, {}, gang('2 H100', '1-4 H100'))).toBe(5)
  })

  test('is its quota, whichever group found no room before that', () => {
    const two = gang('2 H100', '3 H100')
    expect(held({ H100: 4 }, { H100: 5 }, two)).toBe('g1: accelerators')
    expect(held({ H100: 4 }, { H100: 4 }, two)).toBe('g1: quota')
    expect(held({ H100: 6 }, { H100: 5 }, two)).toBe(5)
    expect(held({ H100: 6 }, { H100: 4 }, two)).toBe('g1: quota')
    expect(held({ H100: 6 }, { H100: 1 }, two)).toBe('g0: quota')
    expect(held({ H100: 6 }, {}, two)).toBe(5)
  })

  test('is what will never be there, before its quota', () => {
    expect(held({ H100: 4, A100: 1 }, { H100: 1 }, gang('2 A100', '2 H100'))).toBe('g0: never')
  })

  test('is its quota of the models that are meant, of fixed sizes or not', () => {
    const busy = (quota: number, ...groups: string[]) => {
      const fleet = fleetOf({ H100: 6, A100: 6 })
      for (const [index, { id }] of [...(fleet.nodes.get('H100')?.devices.values() ?? [])].entries()) {
        if (index > 1) continue
        const devices = [{ id, milli: 1000 }]
        const claim = { node: 'H100', model: 'H100', devices, cpuMilli: 0, memoryBytes: 0, ports: [] }
        fleet.setClaim(`other/${id}`, 'seat', claim)
      }
      const fit = fitOrLeast(fleet, {
        gang: 'default/g',
        object: gang(...groups),
        quotaLeft: new Map([['H100', quota * 1000]]),
        reserved: { of: () => undefined },
      })
      return fit.fits
        ? fit.placed.map(({ claim }) => claim.model).join()
        : `${fit.shortage.group.name}: ${fit.shortage.kind}`
    }
    // Of six, four are free, and three and three are asked for.
    expect(busy(6, '3 H100', '3 H100')).toBe('g1: accelerators')
    expect(busy(5, '3 H100', '3 H100')).toBe('g1: quota')
    expect(busy(5, '3-4 H100', '3-4 H100')).toBe('g1: quota')
    // Groups that could take another model, or any, say nothing of what they will be charged.
    expect(busy(5, '5 H100', '3 H100|A100')).toBe('g0: accelerators')
    expect(busy(5, '5 H100', '3 gpu')).toBe('g0: accelerators')
    expect(busy(5, '5 H100', '3 H100')).toBe('g1: quota')
    expect(busy(4, '3 H100|A100', '3-4 H100')).toBe('A100,A100,A100,H100,H100,H100')
  })
})

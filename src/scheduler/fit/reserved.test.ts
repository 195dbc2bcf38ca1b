import { describe, expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { label } from '../../model/names.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'

/** Nodes by name: how many H100 they have, and labels. */
function story(nodes: Record<string, [gpus: number, labels?: Record<string, string>]>): Story {
  const told = new Story(createScheduler())
  told.queue('default')
  for (const [name, [gpus, labels = {}]] of Object.entries(nodes)) told.node(name, `H100:${gpus}`, { labels })
  return told
}

const nodesOf = (told: Story, gang: string) => [
  ...new Set(told.gangs.get(`default/${gang}`)?.status?.seats?.members.map(({ node }) => node)),
]
const fixed = { preemptible: false }
const plain = { ports: 0 }

describe('nodes that are kept for whoever is first in line', () => {
  const big = { kind: 'big' }

  test('are not for one member behind it, however well it would fit there', () => {
    const told = story({ a: [4, big], b: [4, big], z: [4] })
    told.gang('x', '1xH100:1', fixed, { nodeSelector: big })
    told.decide()
    expect(nodesOf(told, 'x')).toEqual(['a'])
    told.gang('wide', '2xH100:4', { priority: 1 }, { nodeSelector: big })
    told.gang('small', '1xH100:1', {}, plain)
    told.gang('two', '2xH100:1', {}, { ...plain, cpuMilli: 1 })
    told.gang('spread', '3xH100:1', { topology: { scattered: true } }, plain)
    told.decide()
    expect(nodesOf(told, 'wide')).toEqual([])
    expect([nodesOf(told, 'small'), nodesOf(told, 'two'), nodesOf(told, 'spread')]).toEqual([['z'], ['z'], []])
    told.change('wide', { suspend: true })
    told.decide()
    expect(nodesOf(told, 'spread')).toEqual(['z', 'a'].toSorted())
  })

  test('are those that are free for the most part, and no more than it needs', () => {
    const told = story({ a: [4], b: [4], c: [4], d: [4] })
    const on = (name: string, gpus: number) =>
      told.gang(`on-${name}`, `1xH100:${gpus}`, fixed, { nodeSelector: { at: name } })
    for (const name of ['a', 'b', 'c', 'd']) told.node(name, 'H100:4', { labels: { at: name } })
    for (const [name, gpus] of [
      ['a', 3],
      ['b', 1],
      ['c', 2],
      ['d', 1],
    ] as const)
      on(name, gpus)
    told.decide()
    told.gang('wide', '12xH100:1', { priority: 1 }, plain)
    for (const name of ['a', 'b', 'c', 'd']) told.gang(`small-${name}`, '1xH100:1', {}, { nodeSelector: { at: name } })
    told.decide()
    expect(['a', 'b', 'c', 'd'].filter((name) => nodesOf(told, `small-${name}`).length > 0)).toEqual(['a'])
  })

  test('are those with the most accelerators free, where members need whole nodes and none is free', () => {
    const used = { a: 3, b: 3, c: 1, d: 2 }
    const told = story({})
    for (const name of Object.keys(used)) told.node(name, 'H100:4', { labels: { at: name } })
    for (const [at, gpus] of Object.entries(used))
      told.gang(`on-${at}`, `1xH100:${gpus}`, fixed, { nodeSelector: { at } })
    told.decide()
    told.gang('wide', '2xH100:4', { priority: 1 }, plain)
    for (const at of Object.keys(used)) told.gang(`small-${at}`, '1xH100:1', {}, { nodeSelector: { at } })
    told.decide()
    expect(Object.keys(used).filter((at) => nodesOf(told, `small-${at}`).length > 0)).toEqual(['a', 'b'])
  })

  test('are of the rack with the most accelerators free, where members need whole nodes and none is free', () => {
    const at = (rack: string) => ({ [label.rack]: rack, rack })
    const told = story({ a1: [4, at('r0')], a2: [4, at('r0')], b1: [4, at('r1')], b2: [4, at('r1')] })
    for (const [rack, gpus] of [
      ['r0', 3],
      ['r1', 1],
    ] as const)
      told.gang(`on-${rack}`, `2xH100:${gpus}`, { ...fixed, topology: { scattered: true } }, { nodeSelector: { rack } })
    told.decide()
    told.gang('wide', '2xH100:4', { priority: 1, topology: { required: 'rack' } }, plain)
    for (const rack of ['r0', 'r1']) told.gang(`small-${rack}`, '1xH100:1', {}, { nodeSelector: { rack } })
    told.decide()
    expect(['r0', 'r1'].filter((rack) => nodesOf(told, `small-${rack}`).length > 0)).toEqual(['r0'])
  })

  test('are of one rack where it needs one: of those that could hold it, the one that is free for the most part', () => {
    const at = (rack: string) => ({ [label.rack]: rack, rack })
    const told = story({
      a1: [4, at('r0')],
      a2: [4, at('r0')],
      b1: [4, at('r1')],
      b2: [4, at('r1')],
      c1: [6, at('r2')],
      z: [9, { rack: 'none' }],
    })
    told.gang('on-a', '1xH100:3', fixed, { nodeSelector: { rack: 'r0' } })
    told.gang('on-b', '1xH100:1', fixed, { nodeSelector: { rack: 'r1' } })
    told.decide()
    told.gang('wide', '8xH100:1', { priority: 1, topology: { required: 'rack' } }, plain)
    for (const rack of ['r0', 'r1', 'r2', 'none'])
      told.gang(`small-${rack}`, '1xH100:1', {}, { nodeSelector: { rack } })
    const lines = told.decide().map((line) => line.split(' ').slice(0, 2).join(' '))
    expect(lines).toEqual(['wide waits:', 'small-r0#1 sits', 'small-r1 waits:', 'small-r2#1 sits', 'small-none#1 sits'])
  })

  test('are whole domains for slices', () => {
    const at = (rack: string) => ({ [label.rack]: rack, rack })
    const told = story({
      a1: [2, at('r0')],
      a2: [2, at('r0')],
      b1: [2, at('r1')],
      b2: [2, at('r1')],
      c1: [3, at('r2')],
    })
    for (const rack of ['r0', 'r1']) told.gang(`on-${rack}`, '1xH100:1', fixed, { nodeSelector: { rack } })
    told.decide()
    const topology = { slices: [{ size: 4, required: 'rack' }] }
    told.gang('wide', '4xH100:1', { priority: 1, topology }, plain)
    for (const rack of ['r0', 'r1', 'r2']) told.gang(`small-${rack}`, '1xH100:1', {}, { nodeSelector: { rack } })
    told.decide()
    expect(['r0', 'r1', 'r2'].filter((rack) => nodesOf(told, `small-${rack}`).length > 0)).toEqual(['r1', 'r2'])
  })
})

test('groups that are together keep to the slices that their set asks for', () => {
  const told = story({ a: [3], b: [3], c: [2] })
  told.gang('g', '1xH100:1', { suspend: true }, plain)
  const [first] = told.gangs.get('default/g')?.spec.groups ?? []
  if (first === undefined) throw new Error('no group')
  const of = (name: string): Gang['spec']['groups'][number] => ({ ...first, name, min: 4, max: 4 })
  const slices = [{ size: 2, required: 'node' }]
  const sits = (spec: Partial<Gang['spec']>) => {
    told.change('g', { suspend: false, groups: [of('one')], ...spec })
    told.decide()
    const { members = [] } = told.gangs.get('default/g')?.status?.seats ?? {}
    const taken = members.map(({ node }) => node).join('')
    told.change('g', { suspend: true })
    told.decide()
    return taken
  }
  expect(sits({})).toBe('aaac')
  expect(sits({ together: [{ groups: ['one'], topology: { slices } }] })).toBe('aacc')
  expect(sits({ together: [{ groups: ['other'], topology: { slices } }] })).toBe('aaac')
  expect(sits({ together: [], topology: { slices } })).toBe('aacc')
  expect(sits({ topology: {}, groups: [{ ...of('one'), topology: { slices } }] })).toBe('aacc')
  // What a group says itself comes before what the gang says, and what it does not say does not.
  const other = [{ ...of('one'), topology: { preferred: 'rack' } }]
  expect(sits({ topology: { slices }, groups: other })).toBe('aacc')
  expect(sits({ topology: { balanced: true }, groups: other })).toBe('bbcc')
  expect(sits({ topology: { balanced: true }, groups: [{ ...of('one'), topology: { balanced: false } }] })).toBe('aaac')
  expect(sits({ topology: { scattered: true }, groups: other })).toBe('aacc')
  expect(
    sits({ topology: { slices: [{ size: 4, required: 'node' }] }, groups: [{ ...of('one'), topology: { slices } }] }),
  ).toBe('aacc')
  expect(sits({ topology: { slices: [{ size: 1, required: 'node' }] } })).toBe('aaac')
})

test('a taint that is only avoided is not avoided by who tolerates it', () => {
  const sits = (tolerations: Record<string, unknown>[]) => {
    const told = new Story(createScheduler())
    told.queue('default')
    told.node('a', 'H100:2', { taints: [{ key: 'old', effect: 'PreferNoSchedule' }] })
    told.node('b', 'H100:4')
    told.gang('g', '1xH100:1', {}, { tolerations })
    told.decide()
    return nodesOf(told, 'g')
  }
  expect(sits([])).toEqual(['b'])
  expect(sits([{ key: 'old', operator: 'Exists' }])).toEqual(['a'])
  expect(sits([{ key: 'new', operator: 'Exists' }])).toEqual(['b'])
})

describe('members that start again', () => {
  const cordon = (told: Story, name: string) => {
    const node = told.world.nodes.get(name)
    if (node !== undefined) told.world.put({ ...node, spec: { ...node.spec, unschedulable: true } })
  }
  const again = (told: Story, name: string, attempt: number) => {
    told.change(name, { attempt })
    told.decide()
    return nodesOf(told, name)
  }

  test('one stays where it was as long as it can', () => {
    const told = story({ a: [4], b: [2], c: [4] })
    told.gang('first', '1xH100:2', {}, plain)
    told.gang('g', '1xH100:1', {}, plain)
    told.decide()
    expect(nodesOf(told, 'g')).toEqual(['a'])
    told.change('first', { suspend: true })
    told.decide()
    expect(again(told, 'g', 2), 'though another place would be tighter').toEqual(['a'])
    cordon(told, 'a')
    expect(again(told, 'g', 3)).toEqual(['b'])
  })

  test('fewer do, where it wants fewer; and more come next to them', () => {
    const told = story({ a: [2], b: [2], c: [2] })
    told.gang('g', '4xH100:1', {}, plain)
    told.decide()
    expect(nodesOf(told, 'g')).toEqual(['a', 'b'])
    const [group] = told.gangs.get('default/g')?.spec.groups ?? []
    if (group === undefined) throw new Error('no group')
    told.change('g', { groups: [{ ...group, min: 2, max: 2 }] })
    expect(again(told, 'g', 2)).toEqual(['a'])
    told.change('g', { groups: [{ ...group, min: 5, max: 5 }] })
    expect(again(told, 'g', 3)).toEqual(['a', 'b', 'c'])
    told.change('g', { groups: [{ ...group, min: 7, max: 7 }] })
    expect(again(told, 'g', 4)).toEqual([])
  })
})

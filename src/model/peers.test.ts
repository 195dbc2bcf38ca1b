import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Seat } from './kinds/gang.ts'
import { label } from './names.ts'
import { peersOf } from './peers.ts'

/** One member a node, each node in the rack of that name; '' says nothing of one. */
function peersIn(racks: readonly string[], key: string = label.rack) {
  const members = racks.map((_, rank): Seat => {
    const pod = `p${rank}`
    return {
      pod,
      group: 'worker',
      rank,
      localRank: 0,
      node: `n${rank}`,
      devices: [{ id: 'd', milli: 1000 }],
      ports: [],
    }
  })
  return peersOf(members, (node) => {
    const rack = racks[Number(node.slice(1))] ?? ''
    return rack === '' ? {} : { [key]: rack }
  })
}

test('two racks of one size keep each other’s copies, one each', () => {
  expect([...peersIn(['a', 'a', 'b', 'b'])]).toEqual([
    ['n0', 'n2'],
    ['n1', 'n3'],
    ['n2', 'n0'],
    ['n3', 'n1'],
  ])
})

test('where there is no other rack it is another node; where there is no other node, none', () => {
  expect([...peersIn(['a', 'a', 'a'])]).toEqual([
    ['n0', 'n1'],
    ['n1', 'n2'],
    ['n2', 'n0'],
  ])
  expect(peersIn(['', '']).get('n0')).toBe('n1')
  expect(peersIn(['a']).size).toBe(0)
})

test('several members of one node have one peer', () => {
  const seat = { group: 'worker', localRank: 0, devices: [{ id: 'd', milli: 1000 }], ports: [] }
  const members = ['n0', 'n0', 'n1', 'n1'].map((node, rank) => ({ ...seat, node, rank, pod: `p${rank}` }))
  expect([...peersOf(members, () => ({}))]).toEqual([
    ['n0', 'n1'],
    ['n1', 'n0'],
  ])
})

test('an NVLink domain is a rack where nothing else says', () => {
  expect(peersIn(['a', 'a', 'b', 'b'], 'nvidia.com/gpu.clique').get('n0')).toBe('n2')
})

test('racks of one name in two blocks are two racks', () => {
  const members = [0, 1, 2, 3].map((rank): Seat => {
    return { pod: `p${rank}`, group: 'w', rank, localRank: 0, node: `n${rank}`, devices: [], ports: [] }
  })
  const peers = peersOf(members, (node) => ({ [label.rack]: 'r0', [label.block]: node < 'n2' ? 'b0' : 'b1' }))
  expect(peers.get('n0')).toBe('n2')
})

test('what one rack takes leaves a copy of everything, and nobody keeps more for others than that needs', () => {
  const names = fc.array(fc.constantFrom('', 'a', 'b', 'c', 'd', 'e'), { minLength: 2, maxLength: 40 })
  fc.assert(
    fc.property(names, (racks) => {
      const peers = peersIn(racks)
      const rackOf = (node: string | undefined) => racks[Number(node?.slice(1))] ?? '?'
      const sizes = new Map<string, number>()
      for (const rack of racks) sizes.set(rack, (sizes.get(rack) ?? 0) + 1)
      const largest = Math.max(...sizes.values())
      const held = new Map<string, number>()
      for (const [node, peer] of peers) {
        expect(peer).not.toBe(node)
        if (sizes.size > 1) expect(rackOf(peer)).not.toBe(rackOf(node))
        held.set(peer, (held.get(peer) ?? 0) + 1)
      }
      expect(peers.size).toBe(racks.length)
      const outside = racks.length - largest
      const most = outside === 0 ? 1 : Math.max(1, Math.ceil(largest / outside))
      expect(Math.max(...held.values())).toBeLessThanOrEqual(most)
    }),
    { seed: 1, numRuns: 500 },
  )
})

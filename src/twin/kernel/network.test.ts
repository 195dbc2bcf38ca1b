import { expect, test } from 'vitest'
import { Network } from './network.ts'

test('nodes within one cut reach each other, and none outside of it, until it is over', () => {
  const changed: string[] = []
  const network = new Network((nodes) => changed.push(nodes.join()))
  const cancel = network.cut(['a', 'b'], 'all')
  expect(network.areJoined(['a', 'b'])).toBe(true)
  expect(network.areJoined(['c', 'd'])).toBe(true)
  expect(network.areJoined(['b', 'c'])).toBe(false)
  expect([network.isIsolated('a'), network.isIsolated('c')]).toEqual([true, false])
  const again = network.cut(['b'], 'nodes')
  expect(network.areJoined(['a', 'b'])).toBe(false)
  expect(network.areJoined(['b', 'b'])).toBe(true)
  cancel()
  cancel()
  expect(network.areJoined(['a', 'c'])).toBe(true)
  expect(network.areJoined(['b', 'c'])).toBe(false)
  expect(network.isIsolated('b')).toBe(false)
  again()
  expect(network.areJoined(['a', 'b', 'c'])).toBe(true)
  expect(changed).toEqual(['a,b', 'b', 'a,b', 'b'])
})

test('whoever is cut off from the control plane alone reaches all others', () => {
  const network = new Network(() => {})
  const cancel = network.cut(['a'], 'control-plane')
  expect(network.areJoined(['a', 'b'])).toBe(true)
  expect([network.isIsolated('a'), network.lacks('a'), network.lacks('b')]).toEqual([false, 'control-plane', undefined])
  const wholly = network.cut(['a', 'b'], 'all')
  expect(network.lacks('a')).toBe('all')
  wholly()
  expect(network.lacks('a')).toBe('control-plane')
  cancel()
  expect(network.lacks('a')).toBeUndefined()
})

import { expect, test } from 'vitest'
import type { Claim } from '../fleet/nodes.ts'
import { comingFrom, lessBy } from './coming.ts'

const claim = (node: string, cpuMilli: number, memoryBytes: number): Claim => {
  return { node, model: 'H100', devices: [], cpuMilli, memoryBytes, ports: [] }
}

test('what comes on a node is given once: to the first who asks as much as there is, to the next what is left', () => {
  const coming = comingFrom([claim('a', 1000, 10), claim('a', 2000, 30), claim('b', 500, 5)])
  const takes = ({ cpuMilli, memoryBytes }: Claim) => [cpuMilli, memoryBytes]
  expect(takes(lessBy(coming, claim('a', 2500, 15)))).toEqual([0, 0])
  expect(takes(lessBy(coming, claim('a', 2500, 15)))).toEqual([2000, 0])
  expect(takes(lessBy(coming, claim('a', 100, 15)))).toEqual([100, 5])
  expect(takes(lessBy(coming, claim('b', 400, 6)))).toEqual([0, 1])
  expect(takes(lessBy(coming, claim('c', 400, 6))), 'nobody leaves there').toEqual([400, 6])
})

import { expect, test } from 'vitest'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { whyNotClosed } from './budget.ts'

function node(index: number, more: { ready?: 'True' | 'Unknown'; closed?: 'by recovery' | 'by a person' } = {}): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: `n${index}`,
      labels: { 'millwright.dev/pool': 'p' },
      ...(more.closed === 'by recovery' ? { annotations: { 'millwright.dev/cordoned-because': 'x' } } : {}),
    },
    spec: { ...(more.closed === undefined ? {} : { unschedulable: true }) },
    status: { conditions: [{ type: 'Ready', status: more.ready ?? 'True' }] },
  }
}
const fleet = (count: number, more: Parameters<typeof node>[1][] = []) =>
  Array.from({ length: count }, (_, index) => node(index, more[index]))
const why = (nodes: Node[], ...closing: string[]) => whyNotClosed(nodes.at(-1) as Node, nodes, new Set(closing))

test('a fifth of a pool may be out of service, and one node in any case', () => {
  expect(why(fleet(3))).toBeUndefined()
  expect(why(fleet(3, [{ closed: 'by recovery' }]))).toBe(
    '1 of the 3 nodes of pool p are out of service already, and no more than 1 may be',
  )
  expect(why(fleet(10, [{ closed: 'by recovery' }]))).toBeUndefined()
  expect(why(fleet(10, [{ closed: 'by recovery' }]), 'n1')).toContain('2 of the 10')
  expect(why(fleet(10, [{ closed: 'by recovery' }, { ready: 'Unknown' }]))).toContain('2 of the 10')
})

test('nodes that a person closed do not count', () => {
  expect(why(fleet(5, [{ closed: 'by a person' }, { closed: 'by a person' }]))).toBeUndefined()
})

test('the last node that takes work is not closed', () => {
  expect(why(fleet(2, [{ closed: 'by a person' }]))).toBe('no other node takes work')
  expect(why(fleet(2), 'n0')).toBe('no other node takes work')
})

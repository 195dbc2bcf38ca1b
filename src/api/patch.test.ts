import { describe, expect, it } from 'vitest'
import { mergePatch } from '../base/merge-patch.ts'
import { jsonPatch, patched } from './patch.ts'
import { strategicMerge } from './strategic.ts'

describe('a merge patch', () => {
  // The test cases of RFC 7386, appendix A.
  const cases: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ]
  it.each(cases)('of %j by %j is %j', (target, patch, result) => expect(mergePatch(target, patch)).toEqual(result))
})

describe('a JSON patch', () => {
  it('adds, removes, replaces, moves, copies and tests, and leaves the original alone', () => {
    const original = Object.freeze({ a: Object.freeze([1, 2]), 'x/y': { '~': 1 } })
    const patch = [
      { op: 'test', path: '/x~1y/~0', value: 1 },
      { op: 'add', path: '/a/1', value: 9 },
      { op: 'add', path: '/a/-', value: 8 },
      { op: 'remove', path: '/a/0' },
      { op: 'copy', from: '/a', path: '/b' },
      { op: 'move', from: '/x~1y', path: '/z' },
      { op: 'replace', path: '/z/~0', value: null },
    ]
    expect(jsonPatch(original, patch)).toEqual({ a: [9, 2, 8], b: [9, 2, 8], z: { '~': null } })
    expect(original).toEqual({ a: [1, 2], 'x/y': { '~': 1 } })
  })

  it.each(['', '/a'])('gives the same when it is applied again (a list put at "%s")', (path) => {
    const patch = ['add', 'replace'].flatMap((op) => [
      { op, path, value: path === '' ? { a: [] } : [] },
      { op: 'add', path: '/a/-', value: 1 },
    ])
    expect([jsonPatch({ a: [] }, patch), jsonPatch({ a: [] }, patch)]).toEqual([{ a: [1] }, { a: [1] }])
  })

  it.each([
    [[{ op: 'remove', path: '/b' }], 'nothing at /b'],
    [[{ op: 'add', path: '/a/5', value: 1 }], 'no place in a list of 2'],
    [[{ op: 'add', path: '/a/01', value: 1 }], 'no place in a list'],
    [[{ op: 'test', path: '/a/0', value: 2 }], 'another one'],
    [[{ op: 'add', path: '/b' }], 'has no value'],
    [[{ op: 'replace', path: '' }], 'has no value'],
    [[{ op: 'burn', path: '/a' }], 'allowed: add'],
    [[{ op: 'add', path: 'a', value: 1 }], 'does not begin with "/"'],
    [[{ op: 'move', path: '/c', from: '/toString' }], 'nothing at /toString'],
    [{}, 'a list of operations'],
  ])('%j is refused: %s', (patch, message) => {
    expect(() => patched({ a: [1, 2] }, patch, 'json')).toThrow(message)
  })
})

describe('a strategic merge patch', () => {
  const containers = [
    {
      name: 'main',
      image: 'a',
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ],
    },
    { name: 'side', image: 's' },
  ]

  it('merges lists by their key and leaves the rest of them alone', () => {
    const patch = {
      spec: {
        containers: [
          {
            name: 'main',
            env: [
              { name: 'B', value: '3' },
              { name: 'C', value: '4' },
            ],
          },
        ],
      },
    }
    expect(strategicMerge({ spec: { containers } }, patch)).toEqual({
      spec: {
        containers: [
          {
            name: 'main',
            image: 'a',
            env: [
              { name: 'A', value: '1' },
              { name: 'B', value: '3' },
              { name: 'C', value: '4' },
            ],
          },
          { name: 'side', image: 's' },
        ],
      },
    })
  })

  it('deletes and replaces where it is told to, in the order that it is told', () => {
    const patch = {
      $setElementOrder: ['ignored'],
      '$setElementOrder/containers': [{ name: 'new' }, { name: 'main' }],
      containers: [
        { name: 'side', $patch: 'delete' },
        { name: 'new', image: 'n' },
        { name: 'main', '$setElementOrder/env': [{ name: 'B' }], env: [{ name: 'A', $patch: 'delete' }] },
      ],
    }
    expect(strategicMerge({ containers }, patch)).toEqual({
      containers: [
        { name: 'new', image: 'n' },
        { name: 'main', image: 'a', env: [{ name: 'B', value: '2' }] },
      ],
    })
    expect(strategicMerge({ a: { b: 1, c: 2 } }, { a: { $patch: 'replace', d: 3 } })).toEqual({ a: { d: 3 } })
    expect(strategicMerge({ v: { emptyDir: {}, x: 1 } }, { v: { $retainKeys: ['hostPath'], hostPath: {} } })).toEqual({
      v: { hostPath: {} },
    })
  })

  it('adds to and removes from lists of texts that merge, and replaces those that do not', () => {
    const object = { finalizers: ['a', 'b'], command: ['x', 'y'] }
    expect(strategicMerge(object, { finalizers: ['b', 'c'], command: ['z'] })).toEqual({
      finalizers: ['a', 'b', 'c'],
      command: ['z'],
    })
    expect(strategicMerge(object, { '$deleteFromPrimitiveList/finalizers': ['a'] })).toEqual({
      finalizers: ['b'],
      command: ['x', 'y'],
    })
  })

  it('says which key an element of a merged list lacks', () => {
    expect(() => strategicMerge({ containers }, { containers: [{ image: 'x' }] })).toThrow('has no name')
  })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readJsonTree } from './json-tree.ts'
import { readTrees } from './yaml-tree.ts'

const json = fc
  .object({ key: fc.string({ maxLength: 4 }), maxDepth: 3 })
  .map((value) => JSON.parse(JSON.stringify(value)))

test('every value stands where the reader of YAML finds it', () => {
  fc.assert(
    fc.property(json, fc.constantFrom(0, 1, 2), (value, indent) => {
      const text = JSON.stringify({ items: [value, 1], other: value }, null, indent)
      const [yaml] = readTrees(text).trees
      const [tree] = readJsonTree(text).trees
      if (yaml === undefined) return // a key that YAML's reader refuses
      expect(tree?.value).toEqual(yaml.value)
      for (const at of pathsOf(yaml.value)) {
        for (const part of ['key', 'value'] as const)
          expect(tree?.positionOf(at, part)).toEqual(yaml.positionOf(at, part))
      }
    }),
    { numRuns: 60 },
  )
})

test('what is not JSON is said', () => {
  const [error] = readJsonTree('{\n  "items": [1,\n  }').errors
  expect(error).toMatchObject({ line: 1, column: 1 })
  expect(error?.message).toMatch(/^is not JSON: .*}/)
})

function* pathsOf(value: unknown, at: (string | number)[] = []): Iterable<(string | number)[]> {
  yield at
  yield [...at, 'missing']
  if (Array.isArray(value)) for (const [i, inner] of value.entries()) yield* pathsOf(inner, [...at, i])
  else if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) yield* pathsOf(inner, [...at, key])
}

import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { allPlanted, plantedPatch, plantedSources } from '../bench/planted/bundle.ts'
import { applied, readPatch } from '../bench/planted/patch.ts'

const root = resolve(import.meta.dirname, '..')

test.each(allPlanted(root))('the planted bug %s applies, and says what it is and where it is from', (name) => {
  const { about } = plantedPatch(name, root)
  expect(about.length).toBeGreaterThanOrEqual(2)
  expect(about.length).toBeLessThanOrEqual(3)
  expect(about.join(' ')).toMatch(/[\w.-]+\/[\w.-]+#\d+|fix of our own/)
  expect(plantedSources(name, root).size).toBeGreaterThan(0)
})

const patch = `What it is.
Of our own.

--- a/src/a.ts
+++ b/src/a.ts
@@ -2,3 +2,3 @@
 two
-three
+drei
 four
`

test('a patch applies where its lines stand by now, the nearest of several', () => {
  const { about, files } = readPatch(patch)
  expect(about).toEqual(['What it is.', 'Of our own.'])
  const hunks = files.get('src/a.ts') ?? []
  expect(applied('one\ntwo\nthree\nfour', hunks)).toBe('one\ntwo\ndrei\nfour')
  const twice = ['two', 'three', 'four', '', '', '', 'two', 'three', 'four'].join('\n')
  expect(applied(twice, hunks)).toBe(twice.replace('three', 'drei'))
})

test('a patch whose lines are not there any more is an error', () => {
  expect(() => applied('one\ntwo\nfour', readPatch(patch).files.get('src/a.ts') ?? [])).toThrow(
    'these lines are not there:\ntwo\nthree\nfour',
  )
})

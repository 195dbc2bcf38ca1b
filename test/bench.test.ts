import { expect, test } from 'vitest'
import { isLarge } from '../bench/hunt/large.ts'
import { huntRow } from '../bench/hunt/rows.ts'
import { sameRows } from '../bench/same.ts'

test('a history to speak of has writes, faults and two leaders enough', () => {
  const least = { writes: 300, faults: 3, leaders: 2 }
  expect(isLarge(least)).toBe(true)
  for (const name of ['writes', 'faults', 'leaders'] as const)
    expect(isLarge({ ...least, [name]: least[name] - 1 }), name).toBe(false)
})

test('the hunt claims its bar only where it was tried, and none where a rule was broken', () => {
  const hunted = { from: 1, seconds: 60, histories: 210_000, large: 200_000, broken: 0 }
  expect(huntRow(hunted)).toMatchObject({ bar: '>= 200000, none broken', ok: true })
  expect(huntRow({ ...hunted, large: 199_999 })).toMatchObject({ bar: '', ok: true })
  expect(huntRow({ ...hunted, broken: 1 })).toMatchObject({ ok: false })
})

test('that it is the same on other versions of Node is claimed only where all were asked', () => {
  const made = (version: string, ...hashes: string[]) => ({ version, hashes })
  const here = made('20.1.0', 'a', 'b')
  const rowsWith = (...others: ReturnType<typeof made>[]) => sameRows('runs', here, [here, here], others)
  const notRun = 'not run on Node 22, 24, which MILLWRIGHT_NODES does not name'
  expect(rowsWith()).toMatchObject([
    { value: 2, bar: '= 2', ok: true },
    { value: Number.NaN, bar: '', ok: true, peer: notRun },
  ])
  expect(rowsWith(made('24.2.0', 'a', 'b'))[1]).toMatchObject({ value: 2, bar: '', ok: true })
  expect(rowsWith(made('24.2.0', 'a', 'b'), made('22.0.0', 'a', 'b'))[1]).toMatchObject({ bar: '= 2', ok: true })
  expect(rowsWith(made('24.2.0', 'a', 'x'))[1]).toMatchObject({ value: 1, ok: false })
  expect(sameRows('runs', here, [here, made('20.1.0', 'x', 'b')], [])[0]).toMatchObject({ value: 1, ok: false })
})

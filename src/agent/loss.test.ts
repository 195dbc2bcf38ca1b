import { expect, test } from 'vitest'
import { createLossWatch } from './loss.ts'
import { createProgress, matchProgressLine, parseProgressLine } from './progress.ts'

/** What a watch says of losses that come one a second. */
function told(losses: readonly number[], factor = 5) {
  const watch = createLossWatch(factor)
  return losses.map((loss, index) => watch(loss, index + 1, 1000 * index)).filter((one) => one !== undefined)
}
const falling = Array.from({ length: 20 }, (_, index) => 4 - index / 10)

test('a loss that is five times what it was for three steps is a spike, from its first step on', () => {
  expect(told([...falling, 16, 17, 18])[0]).toEqual({ step: 21, atMs: 20_000, loss: 18, usual: 3.1 })
  expect(told([...falling, 14, 14, 14, 14])).toEqual([])
})

test('one that comes down again is none', () => {
  expect(told([...falling, 90, 90, 2, 90, 90, 2])).toEqual([])
})

test('what is no number is one, from the start on', () => {
  expect(told([Number.NaN, Number.NaN, Number.NaN])).toEqual([{ step: 1, atMs: 0 }])
  expect(told([...falling, Number.POSITIVE_INFINITY, Number.NaN, Number.NaN])[0]).toMatchObject({
    step: 21,
    usual: 3.1,
  })
})

test('a loss below nothing knows no five times', () => {
  expect(told([...falling.map((loss) => -loss), 9, 9, 9, 9])).toEqual([])
})

test('NaN is read as Python, JavaScript and PyTorch write it, and its step is a step', () => {
  const nan = { step: 3, loss: Number.NaN }
  for (const loss of ['NaN', 'Infinity', '-Infinity', 'null', '"NaN"'])
    expect(parseProgressLine(`{"step": 3, "loss": ${loss}}`), loss).toEqual(nan)
  expect(parseProgressLine('{"loss": NaN, "step": 3, "tokens": NaN}')).toEqual(nan)
  expect(parseProgressLine('{"step": 3, "loss": "low"}')).toEqual({ step: 3 })
  expect(parseProgressLine('{"step": NaN')).toBeUndefined()
  expect(matchProgressLine(/step (?<step>\d+) loss (?<loss>\S+)/, 'step 3 loss nan')).toEqual(nan)
  expect(matchProgressLine(/step (?<step>\d+) loss (?<loss>\S+)/, 'step 3 loss low')).toEqual({ step: 3 })
})

test('a report has the last loss that is a number; a spike only where it is asked for', () => {
  for (const factor of [undefined, 5]) {
    const progress = createProgress(undefined, factor)
    progress.add({ step: 1, loss: 2 }, 0)
    for (let step = 2; step < 6; step++) progress.add({ step, loss: Number.NaN }, 1000 * step)
    expect(progress.now).toMatchObject({ step: 5, loss: 2 })
    expect(progress.now.lossSpike).toEqual(factor === undefined ? undefined : { step: 2, atMs: 2000 })
  }
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Engine, type Sequence } from './engine.ts'
import { decodeMs, type EngineModel, engineModel, prefillMs, stepsTaking } from './engine-model.ts'

const small: EngineModel = {
  prefill: { ms: 1.37, perTokenMs: 0.113, perTokenSquaredMs: 0.0019 },
  decode: { ms: 2.71, perContextTokenMs: 0.0173, perSequenceMs: 0.29 },
  overhead: { perStepMs: 0.31, perSequenceMs: 0.041 },
  apiMs: 4.3,
  kvTokens: 120,
  sequencesMax: 3,
  prefixTokens: 0,
}

interface Asked {
  atMs: number
  input: number
  output: number
  /** When its client leaves. */
  leavesMs: number | undefined
  blocks?: number[]
}

type Told = [kind: string, index: number, atMs: number]

/** Step by step and token by token. */
function naively(model: EngineModel, asked: readonly Asked[]): Told[] {
  const told: Told[] = []
  const line = asked.map((one, index) => ({ ...one, index, left: one.output }))
  let running: typeof line = []
  /** Blocks that are kept, the oldest first. */
  let kept: number[] = []
  const cachedOf = ({ input, blocks = [] }: Asked): number => {
    let hits = 0
    while (hits < blocks.length && kept.includes(blocks[hits] ?? -1)) hits++
    kept = [...kept.filter((block) => !blocks.includes(block)), ...blocks.toReversed()]
    kept = kept.slice(Math.max(0, kept.length - model.prefixTokens / 512))
    return Math.min(hits * 512, input - 1)
  }
  let atMs = 0
  const isGone = ({ leavesMs = Number.POSITIVE_INFINITY }: Asked) => leavesMs < atMs
  for (;;) {
    running = running.filter((one) => !isGone(one) && one.left > 0)
    while (line[0] !== undefined && isGone(line[0])) line.shift()
    const [first] = line
    if (running.length === 0 && first === undefined) return told
    const reserved = running.reduce((sum, { input, output }) => sum + input + output, 0)
    const fits =
      first !== undefined &&
      running.length < model.sequencesMax &&
      reserved + first.input + first.output <= model.kvTokens
    const readyMs = first === undefined ? Number.POSITIVE_INFINITY : first.atMs + model.apiMs
    if (first !== undefined && fits && readyMs <= atMs) {
      line.shift()
      atMs += prefillMs(model, first.input, cachedOf(first))
      if (isGone(first)) continue
      told.push(['first-token', first.index, atMs])
      first.left--
      if (first.left === 0) told.push(['end', first.index, atMs])
      running.push(first)
    } else if (running.length > 0) {
      const context = running.reduce((sum, { input, output, left }) => sum + input + output - left, 0)
      atMs += decodeMs(model, running.length, context, 1)
      for (const one of running) {
        if (isGone(one)) continue
        one.left--
        if (one.left === 0) told.push(['end', one.index, atMs])
      }
    } else {
      // Whoever leaves before it is ready never enters.
      atMs = Math.min(readyMs, ...(first?.leavesMs === undefined ? [] : [first.leavesMs + 1e-9]))
    }
  }
}

/** As whoever has a clock does it. */
function stepped(model: EngineModel, asked: readonly Asked[]): Told[] {
  const engine = new Engine(model)
  const told: Told[] = []
  const sequences: Sequence[] = []
  const advance = (atMs: number) => {
    for (const { kind, sequence, atMs: happenedMs } of engine.advance(atMs))
      told.push([kind, sequences.indexOf(sequence), happenedMs])
  }
  const inputs = asked
    .flatMap((one, index) => [
      { atMs: one.atMs, run: () => void sequences.push(engine.submit(one.input, one.output, one.atMs, one.blocks)) },
      ...(one.leavesMs === undefined ? [] : [{ atMs: one.leavesMs, run: () => leave(index, one.leavesMs ?? 0) }]),
    ])
    .toSorted((a, b) => a.atMs - b.atMs)
  function leave(index: number, atMs: number): void {
    const sequence = sequences[index]
    if (sequence !== undefined) engine.cancel(sequence, atMs)
  }
  for (const input of inputs) {
    for (let nextMs = engine.nextMs(); nextMs !== undefined && nextMs <= input.atMs; nextMs = engine.nextMs())
      advance(nextMs)
    advance(input.atMs)
    input.run()
  }
  for (let nextMs = engine.nextMs(); nextMs !== undefined; nextMs = engine.nextMs()) advance(nextMs)
  return told
}

const times = fc.double({ min: 0.001, max: 120, noNaN: true })
const request = fc.record({
  gapMs: times,
  input: fc.integer({ min: 1, max: 60 }),
  output: fc.integer({ min: 1, max: 40 }),
  staysMs: fc.option(times, { nil: undefined, freq: 3 }),
})

test('it tells what happens when a simulation of every token does', () => {
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 14 }), (drawn) => {
      let atMs = 0
      const asked = drawn.map(({ gapMs, staysMs, ...rest }) => {
        atMs += gapMs
        return { ...rest, atMs, leavesMs: staysMs === undefined ? undefined : atMs + staysMs }
      })
      const [expected, found] = [naively(small, asked), stepped(small, asked)]
      expect(found.map(([kind, index]) => [kind, index])).toEqual(expected.map(([kind, index]) => [kind, index]))
      for (const [at, [, , expectedMs]] of expected.entries()) expect(found[at]?.[2]).toBeCloseTo(expectedMs, 6)
    }),
    { numRuns: 500 },
  )
})

/** Conversations that go on: each prompt begins as others do. */
const conversations = fc.array(
  fc.record({
    gapMs: times,
    path: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 4 }),
    cut: fc.integer({ min: 1, max: 512 }),
    output: fc.integer({ min: 1, max: 5 }),
  }),
  { minLength: 1, maxLength: 14 },
)

test('with prompts that begin alike it tells what a simulation of every token and block does, whatever is kept', () => {
  const drawn = fc.tuple(conversations, fc.integer({ min: 0, max: 9 }))
  const cached: number[] = []
  fc.assert(
    fc.property(drawn, ([prompts, blocksMax]) => {
      const model = { ...small, kvTokens: 5000, prefixTokens: blocksMax * 512 }
      let atMs = 0
      const asked = prompts.map(({ gapMs, path, cut, output }) => {
        atMs += gapMs
        // A block's id names all before it as well.
        const blocks = path.map((_, end) => path.slice(0, end + 1).reduce((id, step) => 2 * id + step, 1))
        return { atMs, input: 512 * (path.length - 1) + cut, output, leavesMs: undefined, blocks }
      })
      const [expected, found] = [naively(model, asked), stepped(model, asked)]
      expect(found.map(([kind, index]) => [kind, index])).toEqual(expected.map(([kind, index]) => [kind, index]))
      for (const [at, [, , expectedMs]] of expected.entries()) expect(found[at]?.[2]).toBeCloseTo(expectedMs, 6)
      if (JSON.stringify(naively({ ...model, prefixTokens: 0 }, asked)) !== JSON.stringify(expected))
        cached.push(blocksMax)
    }),
    { numRuns: 300 },
  )
  expect(cached.length, 'something was found in the cache').toBeGreaterThan(50)
})

test('what a prompt begins with is not computed again, but for its last token', () => {
  const model = { ...engineModel('8b-h100'), prefixTokens: 100_000 }
  const engine = new Engine(model)
  const blocks = [1, 2, 3, 4]
  const takes = (input: number, sent: readonly number[], atMs: number) => {
    const sequence = engine.submit(input, 1, atMs - model.apiMs, sent)
    const [first] = engine.advance(Number.MAX_SAFE_INTEGER)
    return [sequence.cached, (first?.atMs ?? 0) - atMs]
  }
  expect(takes(2048, blocks, 1e6)).toEqual([0, expect.closeTo(prefillMs(model, 2048), 6)])
  expect(takes(2048, blocks, 2e6)).toEqual([2047, expect.closeTo(prefillMs(model, 2048, 2047), 6)])
  expect(takes(2000, [1, 2, 9, 4], 3e6)).toEqual([1024, expect.closeTo(prefillMs(model, 2000, 1024), 6)])
  const { ms, perTokenMs, perTokenSquaredMs } = model.prefill
  const withoutOverhead = prefillMs(model, 20_000, 8000) - model.overhead.perStepMs - model.overhead.perSequenceMs
  expect(withoutOverhead).toBeCloseTo(ms + perTokenMs * 12_000 + perTokenSquaredMs * (20_000 * 20_000 - 8000 * 8000), 9)
})

test('one request takes its prefill, and a step for each further token', () => {
  const model = engineModel('8b-h100')
  const [first, end] = stepped(model, [{ atMs: 0, input: 2048, output: 3, leavesMs: undefined }])
  const overhead = 0.126 + 32 * 0.032 + 0.0044
  const prefill = 0.5 + 0.0185 * 2048 + 0.355e-6 * 2048 * 2048 + overhead
  expect(first?.[2]).toBeCloseTo(15.6 + prefill, 9)
  const step = 5.88 + 0.0073 + overhead
  expect(end?.[2]).toBeCloseTo(15.6 + prefill + 2 * step + 43.3e-6 * (2049 + 2050), 9)
})

test('who does not fit waits for who is in, and nobody passes it', () => {
  const told = stepped(small, [
    { atMs: 0, input: 50, output: 30, leavesMs: undefined },
    { atMs: 1, input: 50, output: 10, leavesMs: undefined },
    { atMs: 2, input: 5, output: 1, leavesMs: undefined },
  ])
  expect(told.map(([kind, index]) => `${kind} ${index}`)).toEqual([
    'first-token 0',
    'end 0',
    'first-token 1',
    'first-token 2',
    'end 2',
    'end 1',
  ])
})

test('the fewest steps that take so long are found, whatever the numbers', () => {
  const steps = fc.integer({ min: 0, max: 5000 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 256 }), fc.integer({ min: 0, max: 1_000_000 }), steps, (size, context, k) => {
      const model = engineModel('70b-h100-tp8')
      const exactMs = decodeMs(model, size, context, k)
      const one = decodeMs(model, size, context, k + 1) - exactMs
      expect(stepsTaking(model, size, context, exactMs + one / 2)).toBe(k + 1)
    }),
  )
})

test('a hundred thousand tokens are few events', () => {
  const engine = new Engine(engineModel('8b-h100'))
  for (let index = 0; index < 50; index++) engine.submit(1000, 2000, index)
  let looks = 0
  for (let nextMs = engine.nextMs(); nextMs !== undefined; nextMs = engine.nextMs()) {
    looks++
    engine.advance(nextMs)
  }
  expect(looks).toBeLessThanOrEqual(100)
})

import { describe, expect, it } from 'vitest'
import { expand } from './env.ts'
import { createProgress, matchProgressLine, parseProgressLine } from './progress.ts'
import { probedPort } from './support.ts'

/** Steps of `ms` each from time 0; returns the time of the last. */
function steps(progress: ReturnType<typeof createProgress>, count: number, ms: number): number {
  for (let step = 1; step <= count; step++) progress.add({ step }, step * ms)
  return count * ms
}

describe('a hang', () => {
  it('is three mean steps without one, at least three seconds', () => {
    const fast = createProgress()
    steps(fast, 10, 100)
    expect(fast.patienceMs()).toBe(3000)
    const slow = createProgress()
    steps(slow, 10, 4000)
    expect(slow.patienceMs()).toBe(12_000)
  })

  it('is not known before three steps, nor after the job said that it stopped', () => {
    const progress = createProgress()
    expect(progress.patienceMs()).toBeUndefined()
    steps(progress, 2, 100)
    expect(progress.patienceMs()).toBeUndefined()
    steps(progress, 3, 100)
    expect(progress.patienceMs()).toBeDefined()
    progress.add({ stopped: 3 }, 400)
    expect(progress.patienceMs()).toBeUndefined()
  })

  it('is one whose first steps do not come in the time that they were given', () => {
    const progress = createProgress(60)
    expect(progress.patienceMs()).toBe(60_000)
    steps(progress, 2, 100)
    expect(progress.patienceMs()).toBe(60_000)
    steps(progress, 3, 100)
    expect(progress.patienceMs()).toBe(3000)
  })

  it('is judged by the pauses that the job has shown before, not by those in which the watcher slept', () => {
    const progress = createProgress()
    const at = steps(progress, 10, 100)
    progress.add({ step: 11 }, at + 60_000) // nobody had looked
    expect(progress.patienceMs()).toBeLessThan(20_000)
    progress.hang()
    progress.add({ step: 12 }, at + 80_000) // an evaluation
    expect(progress.patienceMs()).toBe(30_000)
  })
})

describe('an agent that comes back', () => {
  const reported = { step: 20, stepAtMs: 900_000, firstStepAtMs: 30_000, stepSeconds: 40, regroupSeconds: 15 }
  const lines = (from: number, to: number, more = {}) =>
    Array.from({ length: to - from + 1 }, (_, index) => ({ step: from + index, ...more }))

  it('is as patient as the one before, though it sees all lines at once', () => {
    const next = createProgress()
    next.resume(reported)
    expect(next.find(lines(1, 20), 1_000_000)).toBe(false)
    expect(next.patienceMs()).toBe(120_000)
    expect(next.now).toMatchObject({ step: 20, stepAtMs: 900_000, stepSeconds: 40 })
    for (const [step, atMs] of [
      [21, 1_010_000],
      [22, 1_050_000],
      [23, 1_090_000],
    ] as const) {
      next.add({ step }, atMs)
      expect(next.patienceMs()).toBe(120_000)
    }
  })

  it('makes no pace of steps that came while there was none', () => {
    const next = createProgress()
    next.resume({ step: 1, firstStepAtMs: 30_000 })
    expect(next.find(lines(1, 30), 1_000_000)).toBe(true)
    expect(next.patienceMs()).toBeUndefined()
    for (let step = 31; step <= 36; step++) next.add({ step }, 1_000_000 + (step - 30) * 40_000)
    expect(next.now).toMatchObject({ stepSeconds: 40, pace: { mean: 40, low: 40, high: 40 } })
    expect(next.patienceMs()).toBe(120_000)
  })

  it('waits for the first steps where it knows no more than that they came', () => {
    const next = createProgress(600)
    expect(next.find(lines(1, 5), 1_000_000)).toBe(true)
    expect(next.patienceMs()).toBe(600_000)
    const told = createProgress(600)
    expect(told.find(lines(1, 5, { seconds: 2 }), 1_000_000)).toBe(true)
    expect(told.patienceMs()).toBe(6000)
  })

  it('adds up only what was not reported', () => {
    const next = createProgress()
    next.resume(reported)
    const known = [...lines(18, 20, { regroupSeconds: 5, busySeconds: 1 }), { step: 20, checkpoint: true }]
    expect(next.find(known, 1_000_000)).toBe(false)
    expect(next.now).toMatchObject({ regroupSeconds: 15 })
    expect(next.now.busySeconds).toBeUndefined()
    const another = createProgress()
    another.resume(reported)
    expect(another.find([...known, { step: 21, regroupSeconds: 2 }], 1_000_000)).toBe(true)
    expect(another.now.regroupSeconds).toBe(17)
  })

  it('knows the loss that is usual, and the checkpoints that cost time', () => {
    const next = createProgress(undefined, 10)
    next.resume(reported)
    next.find([...lines(1, 20, { loss: 2 }), { step: 20, checkpoint: true, stallSeconds: 3 }], 1_000_000)
    for (const step of [21, 22, 23]) next.add({ step, loss: 50 }, 1_000_000 + step)
    expect(next.now.lossSpike).toMatchObject({ step: 21, usual: 2 })
    expect(next.now.stalls.get(20)).toBe(3)
  })
})

describe('rates', () => {
  it('come from the recent steps', () => {
    const progress = createProgress()
    for (let step = 1; step <= 40; step++)
      progress.add({ step, samples: 4, tokens: 512, seconds: 0.25, loss: 1 / step }, step * 250)
    expect(progress.now.stepSeconds).toBeCloseTo(0.25)
    expect(progress.now.samplesPerSecond).toBeCloseTo(16)
    expect(progress.now.tokensPerSecond).toBeCloseTo(2048)
    expect(progress.now).toMatchObject({ step: 40, firstStepAtMs: 250, stepAtMs: 10_000 })
  })
})

describe('how long it is busy', () => {
  it('is told from the third step on: from then on whoever stands still is soon said to hang', () => {
    const progress = createProgress()
    for (const step of [1, 2]) progress.add({ step, busySeconds: 12 }, 1000 * step)
    expect(progress.now.busySeconds).toBeUndefined()
    progress.add({ step: 3, busySeconds: 6 }, 3000)
    expect(progress.now.busySeconds).toBe(10)
  })

  it('is of the steps since ranks last left or joined: before, each had another part of the work', () => {
    const progress = createProgress()
    for (const step of [1, 2, 3]) progress.add({ step, busySeconds: 12 }, 1000 * step)
    progress.add({ step: 4, busySeconds: 6, regroupSeconds: 0 }, 4000)
    expect(progress.now.busySeconds).toBe(10.5)
    for (const step of [5, 6]) progress.add({ step, busySeconds: 3, regroupSeconds: step === 5 ? 2 : 0 }, 1000 * step)
    expect(progress.now.busySeconds).toBeUndefined()
    progress.add({ step: 7, busySeconds: 3 }, 7000)
    expect(progress.now.busySeconds).toBe(3)
  })
})

describe('regrouping', () => {
  it('adds up over the steps, and over agents', () => {
    const progress = createProgress()
    progress.add({ step: 1, regroupSeconds: 0 }, 1000)
    expect(progress.now).not.toHaveProperty('regroupSeconds')
    for (const [step, regroupSeconds] of [
      [2, 15],
      [3, 0],
      [4, 2.5],
    ] as const)
      progress.add({ step, regroupSeconds }, 1000 * step)
    expect(progress.now.regroupSeconds).toBe(17.5)
    const next = createProgress()
    next.resume({ regroupSeconds: 17.5 })
    next.add({ step: 5, regroupSeconds: 1 }, 5000)
    expect(next.now.regroupSeconds).toBe(18.5)
  })

  it('is read from a line, and from a log by its pattern', () => {
    expect(parseProgressLine('{"step":9,"regroupSeconds":1.5}')).toEqual({ step: 9, regroupSeconds: 1.5 })
    expect(parseProgressLine('{"step":9,"regroupSeconds":"long"}')).toEqual({ step: 9 })
    const pattern = /step (?<step>\d+) after (?<regroupSeconds>[\d.]+)/
    expect(matchProgressLine(pattern, 'step 7 after 2.5')).toEqual({ step: 7, regroupSeconds: 2.5 })
  })
})

describe('a line', () => {
  it('that is none is nothing, and odd numbers are left out', () => {
    for (const text of ['', '{', 'null', '[]', '7', '{"x":1}', '{"step":-1}', '{"step":1.5}', '{"step":"1"}']) {
      expect(parseProgressLine(text), text).toBeUndefined()
    }
    expect(parseProgressLine(`{"step":1,"seconds":1e999,"tokens":5,"__proto__":3}`)).toEqual({ step: 1, tokens: 5 })
  })
  it('of a log gives what its pattern names', () => {
    expect(matchProgressLine(/step (?<step>\d+).*loss (?<loss>[\d.]+)/, 'step 7, loss 2.5')).toEqual({
      step: 7,
      loss: 2.5,
    })
    expect(matchProgressLine(/loss (?<loss>[\d.]+)/, 'loss 2.5')).toBeUndefined()
  })
})

describe('$(NAME)', () => {
  it('is expanded as on Kubernetes, and a shell’s $$ stays', () => {
    const env = { A: '1', B: '$(A)' }
    expect(expand('$(A) $(B) $(C) $$(A) $A kill $$', env).text).toBe('1 $(A) $(C) $(A) $A kill $$')
    expect(expand('$(constructor)', env)).toEqual({ text: '$(constructor)', used: [] })
  })
})

describe('the port of a probe', () => {
  const container = {
    name: 'c',
    ports: [
      { name: 'http', containerPort: 8080 },
      { name: 'rpc', containerPort: 9090 },
    ],
  }
  it.each([
    ['http', 20001],
    ['rpc', 20002],
    [8080, 20001],
    ['9090', 20002],
    ['PORT', 20001],
    [0, 20001],
    [3000, 3000],
    ['unknown', 20001],
  ])('%s is %d', (port, expected) => {
    expect(probedPort(port, container, [20001, 20002])).toBe(expected)
  })
})

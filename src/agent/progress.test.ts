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

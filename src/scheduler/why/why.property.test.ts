import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createScheduler } from '../scheduler.ts'
import { Story, said } from '../story.fixture.ts'

const gang = fc.record({
  does: fc.constant('gang' as const),
  min: fc.integer({ min: 1, max: 3 }),
  more: fc.integer({ min: 0, max: 3 }),
  model: fc.constantFrom('H100', 'A100', 'gpu'),
  count: fc.constantFrom(0.5, 1, 2),
  queue: fc.constantFrom('x', 'y', 'default'),
  priority: fc.integer({ min: 0, max: 2 }),
  cpuMilli: fc.constantFrom(0, 1_000),
  expectedSeconds: fc.option(fc.constantFrom(60, 600, 3_600), { nil: undefined }),
  topology: fc.constantFrom(undefined, { required: 'rack' }, { preferred: 'rack' }),
})
const step = fc.oneof(
  { weight: 3, arbitrary: gang },
  fc.record({ does: fc.constantFrom('finish' as const, 'restart' as const, 'cordon' as const), which: fc.nat(30) }),
  fc.record({ does: fc.constant('wait' as const), seconds: fc.constantFrom(1, 20, 400) }),
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

test('whoever asks why, of whomever and however often, changes nothing of what is decided', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const [asked, unasked] = [factory(), factory()]
      for (const one of steps) {
        expect(act(asked, one)).toEqual(act(unasked, one))
        for (const key of asked.gangs.keys()) {
          const answer = asked.scheduler.why(key, asked.nowMs)
          expect(asked.scheduler.why(key, asked.nowMs)).toEqual(answer)
          const { earliest, latest } = answer.expectedStart ?? {}
          if (latest !== undefined) expect(latest >= (earliest ?? '')).toBe(true)
        }
      }
    }),
    { numRuns: 60 },
  )
})

function factory(): Story {
  const told = new Story(createScheduler(), { runsPods: true })
  told.queue('default')
  told.queue('x', { nominalQuota: { H100: 3, A100: 2 } })
  told.queue('y', { nominalQuota: { H100: 4 } })
  for (const name of ['a', 'b', 'c', 'd']) {
    const labels = { 'millwright.dev/rack': name < 'c' ? 'r' : 's' }
    told.node(name, name === 'd' ? 'A100:4' : 'H100:3', { labels, cpu: '4' })
  }
  return told
}

function act(told: Story, one: Step): string[] {
  if (one.does === 'gang') {
    const { min, more, model, count, cpuMilli, topology, queue, priority, expectedSeconds } = one
    const spec = { queue, priority, ...(expectedSeconds === undefined ? {} : { expectedSeconds }) }
    const group = { max: min + more, cpuMilli, ...(topology === undefined ? {} : { topology }) }
    told.gang(`g${told.gangs.size}`, `${min}x${model}:${count}`, spec, group)
  } else if (one.does !== 'wait') {
    const key = [...told.gangs.keys()][one.which % Math.max(1, told.gangs.size)]
    if (one.does === 'cordon') told.node('a', 'H100:3', { unschedulable: one.which % 2 === 0, cpu: '4' })
    else if (key !== undefined && one.does === 'finish') told.world.finish(key)
    else if (key !== undefined) told.world.restart(key)
  }
  const happened = told.world.advance(one.does === 'wait' ? 1000 * one.seconds : 0)
  return happened.map((each) => (each.kind === 'decided' ? said(each.verdict) : JSON.stringify(each)))
}

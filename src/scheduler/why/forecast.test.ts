import { expect, test } from 'vitest'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'

function story(): Story {
  const told = new Story(createScheduler())
  told.queue('default')
  return told
}

const start = (told: Story, gang: string) => told.scheduler.why(`default/${gang}`, told.nowMs).expectedStart
const at = (seconds: number) => new Date(1000 * seconds).toISOString()

test('who should have ended by now may end any time, and nobody knows how late', () => {
  const told = story()
  told.node('a', 'H100:8')
  told.gang('late', '1xH100:8', { expectedSeconds: 60 })
  told.decide()
  told.gang('mine', '1xH100:8')
  told.decide()
  told.nowMs = 60_000
  expect(start(told, 'mine')).toEqual({
    earliest: at(60),
    basis: 'by the declared end of job/late; no latest: job/late should have ended by now',
  })
})

test('an end that was foretold before it sat down is of an older attempt, and void', () => {
  const told = story()
  told.node('a', 'H100:8')
  told.nowMs = 60_000
  told.gang('runs', '1xH100:8', { expectedSeconds: 600 })
  told.decide()
  told.gang('mine', '1xH100:8')
  told.world.edit('default/runs', {}, { expectedEnd: at(30) })
  told.decide()
  expect(start(told, 'mine')).toMatchObject({ earliest: at(660), latest: at(660) })
  told.world.edit('default/runs', {}, { expectedEnd: at(300) })
  told.decide()
  expect(start(told, 'mine')).toMatchObject({ earliest: at(300), latest: at(300) })
})

test('what lacks cpu waits for whoever has it, of whatever model', () => {
  const told = story()
  told.node('a', 'H100:8', { cpu: '8' })
  told.gang('hungry', '1xH100:1', { expectedSeconds: 600 }, { cpuMilli: 8_000 })
  told.decide()
  told.gang('mine', '1xH100:1', {}, { cpuMilli: 1_000 })
  told.decide()
  expect(start(told, 'mine')).toEqual({
    earliest: at(600),
    latest: at(600),
    basis: 'by the declared end of job/hungry',
  })
})

test('whoever waits for nodes that are not there is told of no start', () => {
  const told = story()
  told.node('a', 'H100:8')
  told.gang('huge', '2xH100:8', { expectedSeconds: 600 })
  told.decide()
  expect(start(told, 'huge')).toBeUndefined()
})

test('of very many before it in line only the earliest start is told', () => {
  const told = story()
  told.node('a', 'H100:8')
  told.gang('runs', '1xH100:8', { expectedSeconds: 600 })
  for (let index = 0; index < 60; index++) told.gang(`ahead-${index}`, '1xH100:8', { expectedSeconds: 600 })
  told.gang('mine', '1xH100:4')
  told.decide()
  expect(start(told, 'ahead-9')).toMatchObject({ earliest: at(600), latest: at(6_000) })
  expect(start(told, 'mine')).toEqual({
    earliest: at(600),
    basis: 'by the declared end of job/runs; no latest: too many are before it in line to foresee',
  })
})

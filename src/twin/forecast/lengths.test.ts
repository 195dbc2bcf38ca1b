import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { type TrainingJob, trainingJob } from '../../model/kinds/training-job.ts'
import { pastJob } from '../import/past-job.fixture.ts'
import type { PastJob } from '../import/past-job.ts'
import { hourMs, nowMs, story } from './forecast.fixture.ts'
import { endedOf, Lengths } from './lengths.ts'

const past = (submitSeconds: number, durationSeconds: number, more: Partial<PastJob> = {}) =>
  pastJob({ submitSeconds, durationSeconds, gpus: 8, nodes: 1, ...more })

test('a job takes what jobs of its kind took, of those that took longer than it has run', () => {
  const told = story(1)
  told.gang('llama-17', '1xH100:8')
  told.decide()
  const gang = told.gangs.get('default/llama-17') as Gang
  const llamas = Array.from({ length: 21 }, (_, index) => past(index, 100 * index, { workload: `llama-${index}` }))
  const minutes = Array.from({ length: 240 }, (_, index) => past(3600 * index, 60, { nodes: undefined }))
  const lengths = new Lengths([...minutes, ...llamas])
  expect(lengths.of(gang, 0.5, nowMs)).toEqual({ seconds: 1100, basis: 'history' })
  expect(lengths.of(gang, 0, nowMs + 1_000_000)).toEqual({ seconds: 100, basis: 'history' })
  expect(lengths.of(gang, 0.9, nowMs + 1_000_000)).toEqual({ seconds: 1000, basis: 'history' })
})

test('so do the jobs of this factory that have succeeded, and say what comes of what others declare', () => {
  const told = story(1)
  told.gang('train-17', '1xH100:8')
  told.gang('tune', '1xH100:8', { expectedSeconds: 4000 })
  const train = (index: number, seconds: number, phase: 'Succeeded' | 'Failed') => {
    const [startTime, completionTime] = [0, 1000 * seconds].map((ms) => new Date(nowMs + ms).toISOString())
    return trainingJob.parse({
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'TrainingJob',
      metadata: { name: `train-${index}`, namespace: 'default' },
      spec: { command: ['train'], resources: { accelerators: 'H100:8' }, expectedSeconds: 2 * seconds },
      status: { phase, conditions: [], startTime, completionTime },
    })
  }
  const of = (jobs: readonly TrainingJob[], name: string) =>
    new Lengths(endedOf(jobs)).of(told.gangs.get(`default/${name}`) as Gang, 0.5, nowMs)
  const ten = Array.from({ length: 11 }, (_, index) => train(index, 100 * (index + 1), 'Succeeded'))
  expect(of(ten, 'train-17')).toEqual({ seconds: 600, basis: 'history' })
  expect(of(ten, 'tune')).toEqual({ seconds: 2000, basis: 'declared' })
  const failed = Array.from({ length: 20 }, (_, index) => train(index, 1, 'Failed'))
  expect(of([...ten, ...failed], 'train-17')).toEqual({ seconds: 600, basis: 'history' })
  expect(of(ten.slice(2), 'tune')).toEqual({ seconds: 4000, basis: 'declared' })
})

test('... or longer than any of them: of ten, one in eleven is', () => {
  const told = story(1)
  told.gang('new', '1xH100:4')
  const gang = told.gangs.get('default/new') as Gang
  const ten = Array.from({ length: 10 }, (_, index) => past(index, 100 + 100 * index))
  expect(new Lengths(ten).of(gang, 10 / 11, nowMs).seconds).toBe(1000)
  expect(new Lengths(ten).of(gang, 10 / 11 + 0.01, nowMs).seconds).toBeGreaterThan(1000)
})

test('what was declared is as long as such declarations were', () => {
  const told = story(1)
  told.gang('a', '1xH100:4', { expectedSeconds: 1000 })
  const halves = Array.from({ length: 20 }, (_, index) => past(index, 50, { limitSeconds: 100 }))
  const gang = told.gangs.get('default/a') as Gang
  expect(new Lengths(halves).of(gang, 0.5, nowMs)).toEqual({ seconds: 500, basis: 'declared' })
  expect(new Lengths([]).of(gang, 0.5, nowMs)).toEqual({ seconds: 1000, basis: 'declared' })
})

test('the pace of a job says when it ends, sooner and later', () => {
  const told = story(1)
  told.gang('a', '1xH100:8')
  told.decide()
  const at = (hours: number) => new Date(nowMs + hours * hourMs).toISOString()
  told.world.edit('default/a', {}, { expectedEnd: at(4), expectedEndRange: { earliest: at(3), latest: at(6) } })
  const gang = told.gangs.get('default/a') as Gang
  const hours = [0.1, 0.5, 0.9].map((quantile) => new Lengths([]).of(gang, quantile, nowMs).seconds / 3600)
  expect(hours).toEqual([3, 4, 6])
})

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { millwrightVersion as apiVersion } from '../model/metadata.ts'
import { TestFactory } from './factory.fixture.ts'

const factory = new TestFactory()
beforeAll(() => factory.up())
afterAll(() => factory.remove())

const why = (name: string) => factory.millwright('why', name).stdout

function apply(kind: string, name: string, spec: object): void {
  writeFileSync(join(factory.dir, `${name}.json`), JSON.stringify({ apiVersion, kind, metadata: { name }, spec }))
  expect(factory.millwright('apply', '-f', `${name}.json`)).toMatchObject({ status: 0, stderr: '' })
}

it('why says of a failed job what failed, with its last words', () => {
  factory.millwright('run', '--name', 'bad', '--', 'sh', '-c', 'echo no such shard; exit 3')
  const said = why('bad')
  expect(said).toMatch(/^bad: Failed\n/)
  expect(said).toContain('exit code 3')
  expect(said).toContain('    no such shard\n')
  expect(said).not.toContain('uspended')
  expect(JSON.parse(factory.millwright('why', 'bad', '-o', 'json').stdout)).toMatchObject({ phase: 'Failed' })
})

it('why says of a finished job that it succeeded', () => {
  factory.millwright('run', '--name', 'good', '--', 'true')
  expect(why('good')).toBe('good: Succeeded\n')
})

it('why says of a suspended job how it goes on', async () => {
  factory.millwright('run', '--detach', '--name', 'held', '--', 'sleep', '60')
  factory.millwright('suspend', 'held')
  await vi.waitUntil(() => why('held').startsWith('held: Suspended\n'), 30_000)
  expect(why('held')).toContain('`millwright resume held` lets it go on')
})

it('why says of a job what data it waits for', async () => {
  apply('TrainingJob', 'hungry', { command: ['true'], dataset: 'nowhere' })
  await vi.waitUntil(() => why('hungry').includes('nowhere'), 30_000)
})

it('why says of a service which model is missing', async () => {
  apply('InferenceService', 'lost', { command: ['true'], model: 'nothing' })
  await vi.waitUntil(() => why('lost').includes('nothing'), 30_000)
  expect(why('lost')).toContain('lost: Pending (ModelMissing)')
})

it('why says of a service that its replica fails again and again', async () => {
  apply('InferenceService', 'crashing', { command: ['false'] })
  await vi.waitUntil(() => why('crashing').includes('(CrashLoop)'), 60_000)
  expect(why('crashing')).toMatch(/failed \d+ times in a row: .*exit code 1/)
})

it('why says of a job that waits for seats what would start it', async () => {
  apply('TrainingJob', 'wide', { command: ['true'], workers: 900 })
  await vi.waitUntil(() => why('wide').includes('starts now with:'), 30_000)
  expect(why('wide')).toContain('wide: Waiting\n')
})

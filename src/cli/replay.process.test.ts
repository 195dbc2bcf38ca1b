import { execFileSync } from 'node:child_process'
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { pathsIn } from '../runtime/paths.ts'
import { TestFactory } from './factory.fixture.ts'

const factory = new TestFactory()
afterAll(() => factory.remove())

it('what a factory decided is decided again, word for word: a killed rank, a killed factory and all', async () => {
  await factory.up('--slots', '3', '--nodes', '1')
  const { decisions } = pathsIn(factory.home)
  const job = (name: string) =>
    `apiVersion: millwright.dev/v1alpha1\nkind: TrainingJob\nmetadata: { name: ${name} }\nspec: { workers: 2, command: [sleep, "86.125"] }\n`
  for (const name of ['one', 'two']) {
    writeFileSync(join(factory.dir, `${name}.yaml`), job(name))
    factory.millwright('apply', '-f', `${name}.yaml`)
  }
  const attempt = () => JSON.parse(factory.millwright('get', 'gangs', 'one', '-o', 'json').stdout)
  await vi.waitUntil(
    () => attempt().status?.seats !== undefined && factory.millwright('get', 'pods').stdout.includes('Running'),
    20_000,
  )
  process.kill(Number(execFileSync('pgrep', ['-n', '-f', '^sleep 86.125'], { encoding: 'utf8' })), 'SIGKILL')
  await vi.waitUntil(() => attempt().status?.seats?.attempt === 2, 20_000)
  await factory.crash()
  appendFileSync(decisions, '{"inputs":[') // half a line
  await factory.up('--slots', '3', '--nodes', '1')
  await vi.waitUntil(() => readFileSync(decisions, 'utf8').split('"epoch":').length > 2, 20_000)
  factory.millwright('delete', 'job', 'one', '--yes')
  await factory.down()
  expect(statSync(decisions).mode & 0o777).toBe(0o600)
  const { status, stdout } = factory.run(['replay', decisions])
  expect(stdout).toMatch(/^\d+ verdicts in \d+ cycles of 2 terms, until .*: the same, in every word\n$/)
  expect(status).toBe(0)
  expect(factory.run(['replay', decisions, '--log']).stdout).toMatch(/bind default\/one#2: on/)
  expect(factory.run(['replay', decisions, '--why', 'two']).stdout).toContain('default/two: ')
  expect(factory.run(['replay', decisions, '--until', '2', '--why', 'two']).status).toBe(3)
  expect(factory.run(['replay', decisions, '--log', '--tail', '1']).stdout.split('\n')).toHaveLength(3)
  expect(factory.run(['replay', decisions, '--why', 'nosuch'])).toMatchObject({
    status: 3,
    stdout: expect.stringContaining('the same, in every word'),
    stderr: 'millwright: nothing of it is called default/nosuch then.\n',
  })
  expect(factory.run(['replay', decisions, '--until', '99999'])).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/--until 99999: .* holds \d+ cycles\./),
  })
  appendFileSync(decisions, '{"inputs":[')
  expect(factory.run(['replay', decisions]).stdout).toMatch(/every word; line \d+, the last, is half of one\n$/)
  expect(JSON.parse(factory.run(['replay', decisions, '-o', 'json']).stdout)).toMatchObject({
    same: true,
    cycles: expect.any(Number),
    tornLine: expect.any(Number),
  })
})

it('a record that is decided otherwise, or is none, is told', () => {
  const { decisions } = pathsIn(factory.home)
  const lines = readFileSync(decisions, 'utf8').split('\n')
  const at = lines.findIndex((line) => line.includes('"kind":"bind"'))
  lines[at] = (lines[at] ?? '').replace('"kind":"bind"', '"kind":"release"')
  writeFileSync(join(factory.dir, 'other.jsonl'), lines.join('\n'))
  const other = factory.run(['replay', join(factory.dir, 'other.jsonl')])
  expect(other.status).toBe(1)
  expect(other.stdout).toMatch(/recorded was\n {2}release default\/one#1\ndecided now is\n {2}bind default\/one#1: on/)
  writeFileSync(join(factory.dir, 'none.jsonl'), 'hello\n{"epoch":1}\nhello\nhello\n')
  expect(factory.run(['replay', join(factory.dir, 'none.jsonl')])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('none.jsonl:3: is no line of a record of decisions'),
  })
  expect(factory.run(['replay', join(factory.dir, 'nowhere.jsonl')]).status).toBe(2)
})

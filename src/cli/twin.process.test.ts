import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { TestFactory } from './factory.fixture.ts'

const factory = new TestFactory()
afterAll(() => factory.remove())

const file = (name: string, text: string) => writeFileSync(join(factory.dir, name), text)
const twin = (...words: string[]) => factory.run(['twin', ...words])

const scenario = (horizon: string) => `apiVersion: millwright.dev/v1alpha1
kind: Scenario
metadata: {name: small}
spec:
  horizon: ${horizon}
  fleet: [{name: n, count: 1, accelerators: H100:8}]
  history: {file: jobs.csv}
`
file('jobs.csv', 'submit_s,gpus,duration_s\n0,8,600\n60,4,600\n')
file('small.yaml', scenario('1h'))

it('a scenario is played, and its report goes where it is asked for', () => {
  const said = twin('run', 'small.yaml', '--seed', '7')
  expect(said).toMatchObject({ status: 0, stderr: '' })
  expect(said.stdout).toContain('small: 1 node with 8 accelerators for 1h, seed 7.')
  expect(said.stdout).toMatch(/jobs that succeeded +2\n/)
  expect(twin('run', 'small.yaml', '--seeds', '2', '-o', 'json', '--out', 'a.json')).toMatchObject({
    status: 0,
    stdout: '',
  })
  expect(JSON.parse(readFileSync(join(factory.dir, 'a.json'), 'utf8'))).toMatchObject({
    kind: 'TwinReport',
    seeds: [{ seed: 1, jobs: { succeeded: 2 } }, { seed: 2 }],
  })
  expect(twin('diff', 'a.json', 'a.json')).toMatchObject({ status: 0, stdout: 'a.json and a.json say the same.\n' })
})

it('what is wrong is told before anything is played', () => {
  file('wrong.yaml', scenario('1h').replace('fleet:', 'flet:'))
  expect(twin('run', 'wrong.yaml')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: `millwright: 2 errors in the scenario
wrong.yaml:4:1: spec.fleet: is required and missing; allowed: list of object
wrong.yaml:6:3: spec.flet: unknown field; did you mean "fleet"?
`,
  })
  expect(twin('run', 'small.yaml', '--out', 'nowhere/a.json')).toMatchObject({
    status: 2,
    stderr: 'millwright: cannot write nowhere/a.json: there is no such folder.\n',
  })
})

it('a trace of requests is read from where the scenario stands, and what is wrong with it told with its line', () => {
  const service = `apiVersion: millwright.dev/v1alpha1
kind: InferenceService
metadata: {name: chat}
spec: {command: serve, resources: {accelerators: H100:1}}
`
  const traffic = `  resources: [chat.yaml]
  performance: {prepare: 1s, load: 1s}
  traffic: [{service: chat, from: 1m, trace: {file: trace.jsonl, format: mooncake}, slo: {ttft: 2s}}]
`
  file('chat.yaml', service)
  file('serving.yaml', scenario('10m').replace('  history: {file: jobs.csv}\n', traffic))
  const row = (timestamp: number) => `{"timestamp": ${timestamp}, "input_length": 100, "output_length": 10}\n`
  file('trace.jsonl', row(0) + row(0) + row(6000))
  const said = twin('run', 'serving.yaml')
  expect(said).toMatchObject({ status: 0, stderr: '' })
  expect(said.stdout).toMatch(/\nchat +3 +3 +0 +0 +100\.0 % +30 +1 +1\n/)
  file('trace.jsonl', row(6000) + row(0))
  expect(twin('run', 'serving.yaml')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: 'millwright: trace.jsonl:2: timestamp: is before that of line 1, found 0; sort the lines by timestamp\n',
  })
})

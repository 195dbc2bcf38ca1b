import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { bin, TestFactory } from './factory.fixture.ts'

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
  expect(said.stdout).toContain(
    'small: 1 node with 8 accelerators for 1h, seed 7. Of 2 jobs of its history 2 came within that, 0 would come later.',
  )
  expect(said.stdout).toMatch(/jobs that succeeded +2\n/)
  expect(twin('run', 'small.yaml', '--seeds', '2', '-o', 'json', '--out', 'a.json')).toMatchObject({
    status: 0,
    stdout: '',
  })
  expect(JSON.parse(readFileSync(join(factory.dir, 'a.json'), 'utf8'))).toMatchObject({
    kind: 'TwinReport',
    seeds: [{ seed: 1, jobs: { succeeded: 2 } }, { seed: 2 }],
  })
  file('short.yaml', scenario('1m'))
  const short = twin('run', 'short.yaml', '--seeds', '2', '-o', 'json', '--out', 'b.json')
  expect(short).toMatchObject({ status: 0, stderr: '' })
  const differ = 'The reports are of different horizons: 1h before, 1m after.\n'
  expect(twin('diff', 'a.json', 'b.json').stdout.startsWith(`${differ}\nMEASURE `)).toBe(true)
  expect(twin('diff', 'a.json', 'b.json', '-o', 'json')).toMatchObject({ stderr: differ })
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

it('files that are not there, and what is no scenario, are told with their place', () => {
  file(
    'lacks.yaml',
    `${scenario('1h').replace('jobs.csv', 'past.csv')}  resources: [none.yaml, {file: no.yaml, at: 1m}]\n`,
  )
  expect(twin('run', 'lacks.yaml').stderr).toBe(`millwright: 3 errors in the scenario
lacks.yaml:8:15: spec.resources[0]: there is no such file, found "none.yaml"
lacks.yaml:8:33: spec.resources[1].file: there is no such file, found "no.yaml"
lacks.yaml:7:19: spec.history.file: there is no such file, found "past.csv"
`)
  file('queue.yaml', 'apiVersion: millwright.dev/v1alpha1\nkind: Queue\nmetadata: {name: a}\nspec: {}\n')
  expect(twin('run', 'queue.yaml').stderr).toBe(`millwright: an error in the scenario
queue.yaml:2:7: kind: is no Scenario; name its file in spec.resources of one, found "Queue"
`)
  expect(factory.run(['explain', 'scenario.spec.horizn'])).toMatchObject({
    status: 2,
    stderr: 'millwright: no field of scenario.spec is "horizn"; did you mean "horizon"?\n',
  })
  expect(factory.run(['explain', 'scenario.spec.horizon']).stdout).toContain(
    'TYPE:     duration\n\n  How long is played.',
  )
  expect(JSON.parse(factory.run(['schema', 'scenario']).stdout)).toMatchObject({
    title: 'Scenario millwright.dev/v1alpha1',
  })
})

it.skipIf(process.getuid?.() !== 0)(
  'a report may go into a file that is there, wherever its folder may not be written in',
  () => {
    file('kept.json', '')
    chmodSync(factory.dir, 0o777)
    const nobody = { uid: 65534, gid: 65534, encoding: 'utf8' as const, cwd: factory.dir }
    const asNobody = (out: string) =>
      spawnSync(process.execPath, [bin, 'twin', 'run', 'small.yaml', '--out', out], nobody)
    expect(asNobody('kept.json')).toMatchObject({
      status: 2,
      stderr: 'millwright: cannot write kept.json: it is not writable.\n',
    })
    expect(asNobody('/dev/null')).toMatchObject({ status: 0, stderr: '' })
  },
)

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
    stderr: `millwright: trace.jsonl:2: timestamp: is before that of line 1, found 0; sort the lines by timestamp
nothing was played
`,
  })
})

const kept = join(import.meta.dirname, '../../test/seeds/pod-of-an-old-attempt.json')

it('a history of the hunt is played again by its seed or its file, up to an event, and says why a gang sits there', () => {
  const drawn = factory.run(['replay', '3', '--until', '9', '--tail', '9'])
  expect(drawn).toMatchObject({ status: 0, stderr: '' })
  expect(drawn.stdout).toMatch(/^1 0\.000s somebody creates Namespace default\n/)
  const whole = factory.run(['replay', kept])
  expect(whole).toMatchObject({ status: 0, stderr: '' })
  const seated =
    whole.stdout.split('\n').find((line) => /Gang default\/j\d+: status nothing → .*"seats"/.test(line)) ?? ''
  const [, until = '', name = ''] = /^(\d+) .* Gang default\/(j\d+): /.exec(seated) ?? []
  const there = factory.run(['replay', kept, '--until', until, '--why', name, '--tail', '1'])
  expect(there).toMatchObject({ status: 0, stderr: '' })
  const lines = there.stdout.split('\n')
  expect(lines[0]).toBe(seated)
  expect(there.stdout).toMatch(new RegExp(`\nseed \\d+, event ${until}, .* after the start\n`))
  expect(there.stdout).toMatch(new RegExp(`\n${name}: Pending\n.*\n  default/${name}: \\d members? sits? on n\\d`))
  const json = factory.run(['replay', kept, '-o', 'json', '--tail', '1', '--until', until])
  expect(JSON.parse(json.stdout)).toMatchObject({
    violations: [],
    events: [{ number: Number(until) }],
    ended: { event: Number(until) },
  })
  expect(factory.run(['replay', kept, '--until', '5', '--why', name])).toMatchObject({
    status: 3,
    stderr: `millwright: there was no job, service or gang "${name}" in namespace default then.\n`,
  })
})

it('a scenario is played again by its file and its seed', () => {
  const { status, stdout } = factory.run(['replay', 'small.yaml', '--seed', '7', '--tail', '2'])
  expect(status).toBe(0)
  expect(stdout).toMatch(/\nseed 7: no rule was broken in \d+ events, 1h\n$/)
  expect(stdout.split('\n')).toHaveLength(4)
  file('no-history.json', '{"seed": 1}')
  expect(factory.run(['replay', 'no-history.json'])).toMatchObject({
    status: 2,
    stderr: `millwright: this is no history of a hunt
no-history.json:1:1: history: is required and missing; allowed: object
`,
  })
  expect(factory.run(['replay', '3', '--seed', '4']).status).toBe(2)
  expect(factory.run(['replay', '--tail', '4']).status).toBe(2)
})

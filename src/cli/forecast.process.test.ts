import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { TestFactory } from './factory.fixture.ts'

const factory = new TestFactory()
afterAll(() => factory.remove())

const file = (name: string, text: string) => writeFileSync(join(factory.dir, name), text)
const forecast = (...words: string[]) => factory.run(['forecast', '--node-failures', '0', ...words])

const job = (name: string, seconds: number) => `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: { name: ${name} }
spec: { command: [x], expectedSeconds: ${seconds}, resources: { accelerators: "H100:8" } }
`

const pool = (name: string, spec: string) => `apiVersion: millwright.dev/v1alpha1
kind: Pool
metadata: { name: ${name} }
spec: { ${spec} }
`

const node = `apiVersion: v1
kind: Node
metadata: { name: a, labels: { millwright.dev/accelerator: H100 } }
status: { allocatable: { nvidia.com/gpu: 8 } }
`

file(
  'state.yaml',
  `${node}---
${job('one', 7200)}---
${job('two', 3600)}`,
)

it('forecast says when work starts and ends, and what a change does to it', () => {
  const at = ['--now', '2026-01-01T00:00Z']
  const { status, stdout, stderr } = forecast('--against', 'state.yaml', '--seeds', '2', ...at)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(
    stdout,
  ).toBe(`The next 24h as of 2026-01-01T00:00:00Z, in 2 courses; nobody new comes. How long jobs work is known of 2 by what was declared.

OF              FIGURE                     (10-90 %)
fleet           utilisation                12.5 %
fleet           wait, median               1h
fleet           wait, 90 %                 1h48m
fleet           completion, median         2h30m
fleet           completion, 90 %           2h54m
fleet           jobs that end              2
fleet           hours worked               24 h
fleet           ETTR                       100 %
fleet           spend                      1321 USD
fleet           spend for an hour worked   55 USD
queue/default   wait, median               1h
queue/default   wait, 90 %                 1h48m
queue/default   completion, median         2h30m
queue/default   completion, 90 %           2h54m
queue/default   jobs that end              2
queue/default   hours worked               24 h
queue/default   ETTR                       100 %
queue/default   spend                      165.1 USD

Figures are means of the courses; waits, completions, starts and ends are medians.

JOB       QUEUE     STARTS   ENDS    SPEND
job/two   default   in 2h    in 3h   55 USD
job/one   default   now      in 2h   110.1 USD
`)
  const changed = forecast('--against', 'state.yaml', '--add-nodes', '1', '--seeds', '2').stdout
  expect(changed).toMatch(/^fleet +wait, median +1h +0s +-1h$/m)
  expect(changed).toContain('job/two   default   in 2h    now (-2h)   in 3h   in 1h (-2h)')
  expect(changed).toMatch(/^fleet +spend +1321 USD +2641.9 USD +\+1321 USD$/m)
})

it('a state in files is foretold from the newest time that it names', () => {
  file(
    'old.yaml',
    `${node}---
apiVersion: millwright.dev/v1alpha1
kind: Gang
metadata: { name: old, creationTimestamp: "2024-12-31T23:00:00Z" }
spec: { attempt: 1, queue: default, priority: 0, groups: [{ name: worker, min: 1, max: 1, accelerators: [{ model: H100, count: 8 }] }] }
status:
  seats:
    attempt: 1
    epoch: 1
    at: "2025-01-01T00:00:00Z"
    masterAddr: 10.0.0.1
    masterPort: 29500
    members:
      - { pod: old-worker-0-1, group: worker, rank: 0, localRank: 0, node: a, ports: [], devices: [{ id: H100-0, milli: 1000 }] }
`,
  )
  file('urgent.yaml', job('urgent', 600).replace('command', 'priority: 9, command'))
  const words = ['--against', 'old.yaml', '-f', 'urgent.yaml', '--seeds', '1']
  const { stdout } = forecast(...words)
  expect(stdout).toContain('The next 24h as of 2025-01-01T00:00:00Z, in 1 pair')
  expect(stdout).toMatch(/^fleet +evictions +0 +1 +\+1$/m)
  expect(stdout).toMatch(/^fleet +hours lost +0 h +0.1 h/m)
  const later = forecast(...words, '--now', '2025-01-02T00:00Z').stdout
  expect(later).toMatch(/^fleet +hours lost +0 h +24.1 h/m)
  expect(forecast(...words, '--now', 'noon')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('--now: "noon" is not a time'),
  })
})

it('forecast takes a change as it would be applied', () => {
  file('change.yaml', job('one', 600))
  const { gangs } = JSON.parse(forecast('--against', 'state.yaml', '-f', 'change.yaml', '-o', 'json').stdout)
  expect(gangs).toMatchObject([
    { title: 'job/one', without: { ends: { median: 7200 } }, with: { ends: { median: 600 } } },
    { title: 'job/two', without: { starts: { median: 7200 } }, with: { starts: { median: 600 } } },
  ])
})

it('forecast answers what spot capacity and another checkpoint interval would do', () => {
  const onPool = (type: string) => pool('p', `accelerator: H100, maxNodes: 1, capacityType: ${type}`)
  const saves = (interval: string) =>
    job('saves', 360_000).replace('resources', `checkpoint: { interval: ${interval} }, resources`)
  file(
    'pools.yaml',
    `apiVersion: v1
kind: Node
metadata: { name: a, labels: { millwright.dev/accelerator: H100, millwright.dev/pool: p } }
status: { allocatable: { nvidia.com/gpu: 8 } }
---
${onPool('reserved')}---
${saves('9s')}`,
  )
  file('spot.yaml', onPool('spot'))
  file('slower.yaml', saves('19s'))
  const asked = (...words: string[]) => forecast('--against', 'pools.yaml', '--seeds', '2', ...words).stdout
  const spot = asked('-f', 'spot.yaml', '--spot-reclaims', '8000')
  expect(spot).toMatch(/^fleet +spend +1321 USD +\d+(\.\d)? USD +-/m)
  expect(spot).toMatch(/^fleet +moves off spot +0 +\d/m)
  expect(spot).toMatch(/^JOB +QUEUE +STARTS +WITH +ENDS +WITH +ETTR +WITH +LOST +WITH +SPEND +WITH$/m)
  const slower = asked('-f', 'slower.yaml')
  expect(slower).toMatch(/^fleet +hours in checkpoints +19.2 h +9.6 h +-9.6 h$/m)
  expect(slower).toMatch(/^job\/saves .* 90.00 % +95.00 % \(\+5 %\)$/m)
  expect(forecast('--against', 'pools.yaml', '--spot-reclaims', 'many').stderr).toContain(
    '--spot-reclaims: found "many"',
  )
})

it('forecast says what a change does to who is answered in time', () => {
  const service = `apiVersion: millwright.dev/v1alpha1
kind: InferenceService
metadata: { name: chat }
spec: { command: serve, minReplicas: 2, maxReplicas: 8, target: 16, resources: { accelerators: "H100:8" } }
`
  const node = (name: string) => `apiVersion: v1
kind: Node
metadata: { name: ${name}, labels: { millwright.dev/accelerator: H100 } }
status: { allocatable: { nvidia.com/gpu: 8 } }
---
`
  file('chat.yaml', service)
  file('serving.yaml', `${node('a')}${node('b')}${service}`)
  file(
    'traffic.yaml',
    `apiVersion: millwright.dev/v1alpha1
kind: Scenario
metadata: { name: traffic }
spec:
  horizon: 1h
  fleet: [{ name: n, count: 2, accelerators: H100:8 }]
  resources: [chat.yaml]
  traffic: [{ service: chat, rate: 30, slo: { ttft: 1s, tpot: 50ms } }]
  performance: { engine: 70b-h100-tp8 }
`,
  )
  const limit = 'Who is answered in time is not foretold of service/chat: `--traffic` says which requests come.'
  expect(forecast('--against', 'serving.yaml', '--seeds', '1').stdout).toContain(limit)
  const words = ['--against', 'serving.yaml', '--traffic', 'traffic.yaml', '--horizon', '1h', '--seeds', '2']
  const { rows } = JSON.parse(forecast(...words, '--add-nodes', '2', '-o', 'json').stdout)
  const row = (figure: string) =>
    rows.find((one: { of: string; figure: string }) => one.of === 'service/chat' && one.figure === figure)
  expect(row('SLO attainment').difference.low).toBeGreaterThan(0)
  expect(forecast(...words).stdout).not.toContain('Who is answered')
  expect(row('requests').with.median).toBeCloseTo(30 * 3600)
  file('other.yaml', `${node('a')}${service.replace('chat', 'chats')}`)
  expect(forecast('--against', 'other.yaml', '--traffic', 'traffic.yaml')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('there is no service "default/chat" in this state; did you mean "default/chats"?'),
  })
  file('wrong-traffic.yaml', 'kind: Scenario\n')
  expect(forecast('--against', 'serving.yaml', '--traffic', 'wrong-traffic.yaml')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('in the scenario'),
  })
})

it('forecast says what is wrong with what it was given', () => {
  file('wrong.yaml', job('one', 600).replace('expectedSeconds', 'expectedSecond'))
  expect(forecast('--against', 'state.yaml', '-f', 'wrong.yaml')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining(
      'wrong.yaml:4:23: spec.expectedSecond: unknown field; did you mean "expectedSeconds"?',
    ),
  })
  expect(forecast('--against', 'state.yaml', '--horizon', 'soon').stderr).toContain(
    '--horizon: "soon" is not a duration',
  )
  expect(forecast('--against', 'state.yaml', '--add-nodes', '2=b').stderr).toContain('there is no node "b"')
  expect(forecast('--against', 'wrong.yaml').status).toBe(2)
  file('job.yaml', job('one', 1))
  expect(forecast('--against', 'job.yaml').stderr).toContain('there are no nodes in this state')
  file('history.csv', 'submit_s,gpus,duration_s\n5,8,60\n3,8,60\n')
  expect(forecast('--against', 'state.yaml', '--history', 'history.csv').stderr).toContain(
    'history.csv:3: submit_s: is before that of line 2',
  )
  expect(forecast('--against', 'state.yaml', '--history', 'none.csv')).toMatchObject({ status: 2 })
})

it('a plan says what comes of it, and what was foretold of a running factory comes to pass', async () => {
  await factory.up('--slots', '3', '--nodes', '1')
  const sleeps = (name: string, seconds: number) => `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: { name: ${name} }
spec: { workers: 2, command: [sleep, "${seconds}"], expectedSeconds: ${seconds} }
`
  file('first.yaml', sleeps('first', 10))
  file('second.yaml', sleeps('second', 2))
  expect(factory.millwright('plan', '-f', 'first.yaml').stdout).toContain(
    'Forecast of the next 24h:\n  job/first starts now, ends in 10s',
  )
  const planned = JSON.parse(factory.millwright('plan', '-f', 'first.yaml', '-o', 'json').stdout)
  expect(planned).toMatchObject({
    kind: 'Plan',
    changes: [{ action: 'create', kind: 'TrainingJob', name: 'first' }],
    forecast: { kind: 'Forecast', gangs: [{ title: 'job/first', with: { ends: { median: 10 } } }] },
  })
  expect(Object.keys(planned)).toEqual(['apiVersion', 'kind', 'changes', 'forecast'])
  file('spot.yaml', pool('local', 'accelerator: cpu, capacityType: spot, pricePerSlotHour: 2'))
  expect(factory.millwright('plan', '-f', 'spot.yaml').stdout).toMatch(
    /Forecast of the next 24h:\n {2}fleet: spend 0 USD → 1\d\d(\.\d)? USD/,
  )
  factory.millwright('apply', '-f', 'first.yaml')
  const get = (what: string) => JSON.parse(factory.millwright('get', 'gangs', what, '-o', 'json').stdout)
  await vi.waitUntil(() => get('first').status?.seats !== undefined, 10_000)
  expect(factory.millwright('plan', '-f', 'second.yaml').stdout).toMatch(/job\/second starts in \d+s, ends in \d+s/)
  factory.millwright('apply', '-f', 'second.yaml')
  const { now, gangs } = JSON.parse(factory.millwright('forecast', '-o', 'json').stdout)
  const told = gangs.find(({ title }: { title: string }) => title === 'job/second').without.starts
  expect(told.low).toBe(told.high)
  await vi.waitUntil(() => get('second').status?.seats !== undefined, 30_000)
  const came = (Date.parse(get('second').status.seats.at) - Date.parse(now)) / 1000
  await factory.down()
  expect(Math.abs(came - told.median)).toBeLessThan(3)
})

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { TestFactory } from './factory.fixture.ts'

const factory = new TestFactory()
afterAll(() => factory.remove())

const file = (name: string, text: string) => writeFileSync(join(factory.dir, name), text)
const schedule = (...words: string[]) => factory.run(['schedule', '--now', '2026-01-01', ...words])

file(
  'nodes.yaml',
  `apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Node
    metadata: { name: a, labels: { millwright.dev/accelerator: H100 } }
    status: { allocatable: { nvidia.com/gpu: 8 } }
`,
)
file(
  'job.yaml',
  `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: { name: big }
spec: { workers: 2, command: [x], resources: { accelerators: "H100:4" } }
`,
)

it('schedule decides about files where there is no factory', () => {
  const { status, stdout, stderr } = schedule('-f', 'nodes.yaml', '-f', 'job.yaml')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toBe(`1 node, 8 × H100 (8 free, then 0); 1 gang.
No Queue is given: one called default, without a quota, is taken for granted.

GANG   QUEUE     PRIORITY   ASKS       VERDICT   WHERE OR WHY
big    default   0          2×H100:4   bind      a

POD              RANK   NODE   DEVICES
big-worker-0-1   0      a      H100-0..3
big-worker-1-1   1      a      H100-4..7

QUEUE     PARENT   MODEL   NOMINAL   USED   THEN   WAITING   MAY HOLD   FAIR SHARE
default   -        H100    -         0      8      0         -          8
`)
  expect(schedule('-f', 'nodes.yaml', '-f', 'job.yaml', '-o', 'name').stdout).toBe('gang/big\n')
  const whole = JSON.parse(schedule('-f', 'nodes.yaml', '-f', 'job.yaml', '-o', 'json').stdout)
  expect(whole).toMatchObject({
    kind: 'Schedule',
    now: '2026-01-01T00:00:00.000Z',
    isQueueAssumed: true,
    passedOver: [],
  })
  expect(whole.gangs).toMatchObject([
    { gang: 'default/big', verdict: { kind: 'bind', seats: { members: [{ rank: 0 }, { rank: 1 }] } } },
  ])
})

it('schedule says where a state is wrong, and which words are', () => {
  file(
    'wrong.yaml',
    'apiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec: { nodeName: rack-7, containers: [{ name: x }] }\n',
  )
  const wrong = schedule('-f', 'nodes.yaml', '-f', 'wrong.yaml')
  expect(wrong).toMatchObject({ status: 2, stdout: '' })
  expect(wrong.stderr).toBe(
    'millwright: an error in the state\nwrong.yaml:4:19: spec.nodeName: names a Node that is not in this state; add it, or leave this out, found "rack-7"\n',
  )
  expect(schedule('-f', 'nothing.yaml')).toMatchObject({
    status: 2,
    stderr: 'millwright: cannot read nothing.yaml: there is no such file.\n',
  })
  expect(factory.run(['schedule', '-f', 'job.yaml', '--now', 'soon']).stderr).toContain('--now: "soon" is not a time')
  expect(schedule('-f', 'job.yaml', '-o', 'xml').stderr).toContain('allowed are table, wide, json, yaml, name')
  expect(factory.run(['schedule']).status).toBe(2)
})

it('schedule says that without nodes it is quota alone', () => {
  expect(schedule('-f', 'job.yaml').stdout).toMatch(/^There are no nodes in this state: nobody can be seated/)
})

/** `UPDATE=1` writes into the page what is said now. */
it('the example of docs/scheduling-state.md says what it says there', () => {
  const path = join(import.meta.dirname, '../../docs/scheduling-state.md')
  const page = readFileSync(path, 'utf8')
  file('state.yaml', /^```yaml\n([\s\S]*?)^```$/m.exec(page)?.[1] ?? '')
  const said = page.replace(/^(```text\n\$ millwright (.*)\n)[\s\S]*?^```$/gm, (_, head: string, words: string) => {
    return `${head}${factory.run(words.split(' ')).stdout}\`\`\``
  })
  if (process.env['UPDATE'] === '1') writeFileSync(path, said)
  else expect(said).toBe(page)
  const words = ['schedule', '-f', 'state.yaml', '--now', '2026-01-01T12:00Z', '-o', 'json']
  const { gangs, queues, ...whole } = JSON.parse(factory.run(words).stdout)
  const shown = JSON.parse(/^```json\n([\s\S]*?)^```$/m.exec(page)?.[1] ?? '')
  expect({ ...whole, gangs: [gangs[1]], queues: [queues[2]] }).toEqual(shown)
})

it('schedule agrees with the factory whose resources it is given: who sits, sits; who waits, waits', async () => {
  await factory.up('--slots', '3', '--nodes', '1')
  for (const [name, workers] of [
    ['one', '2'],
    ['two', '2'],
    ['huge', '90'],
  ] as const)
    factory.millwright('run', '--detach', '--name', name, '--workers', workers, '--', 'sleep', '60')
  file(
    'service.yaml',
    'apiVersion: millwright.dev/v1alpha1\nkind: InferenceService\nmetadata: { name: web }\nspec: { command: [sleep, "60"] }\n',
  )
  factory.millwright('apply', '-f', 'service.yaml')
  const get = (...words: string[]) => factory.millwright('get', ...words)
  await vi.waitUntil(() => (get('pods').stdout.match(/Running/g) ?? []).length === 3, 30_000)
  file('live.yaml', get('nodes,queues,gangs,jobs,services,pods', '-A', '-o', 'yaml').stdout)
  file('all.json', get('all', '-A', '-o', 'json').stdout)
  await factory.down()
  for (const state of ['live.yaml', 'all.json']) {
    const { status, stdout } = factory.run(['schedule', '-f', state, '-o', 'json', '--until-settled'])
    expect(status).toBe(0)
    const found: { course: object[]; gangs: { title: string; verdict: { kind: string } }[] } = JSON.parse(stdout)
    // Those of one second stand in the order of their names.
    expect(found.gangs.map(({ title, verdict }) => `${title} ${verdict.kind}`).toSorted()).toEqual([
      'job/huge wait',
      'job/one sits',
      'job/two wait',
      'service/web sits',
    ])
  }
})

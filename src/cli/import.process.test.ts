import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { readScenario } from '../twin/scenario/read.ts'
import { TestFactory } from './factory.fixture.ts'
import { kubernetesList } from './kubernetes-list.fixture.ts'

const factory = new TestFactory()
afterAll(() => factory.remove())

const file = (name: string, text: string) => writeFileSync(join(factory.dir, name), text)
const imported = (...words: string[]) => factory.run(['import', ...words])

it('import writes what sacct lists as a history, and says what it comes to', () => {
  file(
    'sacct.txt',
    `JobID|Account|Submit|Start|End|AllocTRES
7|ml|2026-03-01T00:00:00|2026-03-01T00:00:10|2026-03-01T10:00:10|gres/gpu=8
8|ml|2026-03-02T00:00:00|2026-03-02T00:00:00|2026-03-02T02:00:00|gres/gpu=2
9|ml|2026-03-02T00:00:00|Unknown|Unknown|
`,
  )
  expect(imported('slurm', 'sacct.txt')).toMatchObject({
    status: 0,
    stdout: `submit_s,gpus,duration_s,nodes,limit_s,wait_s,queue,user,workload,model,priority,id
0,8,36000,,,10,ml,,,,,7
86400,2,7200,,,0,ml,,,,,8
`,
    stderr: '2 jobs over 1d2h, 84 accelerator-hours, 3.2 in demand on average. Passed over: 1 never started.\n',
  })
})

it('several listings of one cluster go together', () => {
  const row = (submit: string) => `1|${submit}T00:00:00|${submit}T01:00:00|${submit}T02:00:00|gres/gpu=1`
  file('march.txt', `JobID|Submit|Start|End|AllocTRES\n${row('2026-03-01')}\n1.0|x|x|x|\n`)
  file('april.txt', `JobID|Submit|Start|End|AllocTRES\n${row('2026-04-01')}\n1.0|x|x|x|\n`)
  const { stdout, stderr } = imported('slurm', 'april.txt', 'march.txt')
  expect(stdout.split('\n').map((line) => line.split(',')[0])).toEqual(['submit_s', '0', `${31 * 86_400}`, ''])
  expect(stderr).toContain('2 jobs over 31d2h')
  expect(stderr).toContain('Passed over: 2 steps of jobs.')
})

it('what is in demand is that over all the time in which jobs were there', () => {
  file('short.csv', 'submit_s,gpus,duration_s,wait_s\n0,16,7200,\n10,8,3600,3590\n')
  expect(imported('history', 'short.csv').stderr).toBe(
    '2 jobs over 2h, 40 accelerator-hours, 20.0 in demand on average.\n',
  )
  file('one.csv', 'submit_s,gpus,duration_s\n60,1,3600\n')
  expect(imported('history', 'one.csv').stderr).toBe('1 job over 1h, 1 accelerator-hour, 1.0 in demand on average.\n')
})

it('what is listed twice is one job, and how jobs ended that did not complete is told', () => {
  const row = (job: number, start: number, state: string) =>
    `${job}|2026-03-01T00:00:00|2026-03-01T0${start}:00:00|2026-03-01T0${start + 1}:00:00|${state}|gres/gpu=1\n`
  const rows = [row(1, 0, 'COMPLETED'), row(2, 1, 'REQUEUED'), row(2, 3, 'CANCELLED by 7'), row(3, 1, 'TIMEOUT')]
  for (const name of ['a.txt', 'b.txt'])
    file(name, `JobID|Submit|Start|End|State|AllocTRES\n${rows.join('')}${row(4, 2, 'TIMEOUT')}`)
  const { stdout, stderr } = imported('slurm', 'a.txt', 'b.txt')
  expect(stdout.split('\n')).toHaveLength(7)
  expect(stderr).toMatch(
    / Passed over: 5 listed twice\. Not COMPLETED, and played for as long as they ran: 1 REQUEUED, 1 CANCELLED, 2 TIMEOUT\.\n$/,
  )
})

it('a list of pods becomes a history, and by the documented command a list of nodes a fleet', () => {
  const times = 'creation_time,deletion_time,scheduled_time'
  file('pods.csv', `name,num_gpu,gpu_milli,${times}\na,1,500,0,7200,0\nb,2,1000,3600,7200,3600\nc,1,1000,1,7200,\n`)
  const { stdout, stderr } = imported('openb', 'pods.csv')
  expect(stdout.split('\n').slice(1, 3)).toEqual(['0,0.5,7200,1,,0,,,,,,a', '3600,2,3600,1,,0,,,,,,b'])
  expect(stderr).toBe('2 jobs over 2h, 3 accelerator-hours, 1.5 in demand on average. Passed over: 1 never started.\n')
  const nodes = ['a,64000,262144,2,P100', 'b,96000,786432,8,V100M32', 'c,64000,262144,2,P100']
  file('openb_node_list_gpu_node.csv', ['sn,cpu_milli,memory_mib,gpu,model', ...nodes, ''].join('\n'))
  const command = /^\$ (awk [\s\S]*?)\n```/m.exec(readFileSync('docs/twin.md', 'utf8'))?.[1] ?? 'false'
  const fleet = execFileSync('sh', ['-c', command], { cwd: factory.dir, encoding: 'utf8' })
  const head = 'apiVersion: millwright.dev/v1alpha1\nkind: Scenario\nmetadata: {name: openb}\nspec:\n  horizon: 1d\n'
  const read = readScenario({ name: 'openb.yaml', text: `${head}  fleet:\n${fleet}` })
  if ('errors' in read) throw new Error(read.errors.map(({ message }) => message).join('\n'))
  const shapes = read.scenario.spec.fleet.map(({ count, accelerators, cpu, memory }) => [
    count,
    accelerators,
    cpu,
    memory,
  ])
  expect(shapes.toSorted()).toEqual([
    [1, 'V100M32:8', 96, '786432Mi'],
    [2, 'P100:2', 64, '262144Mi'],
  ])
})

const hasJq = spawnSync('jq', ['--version']).status === 0

it.skipIf(!hasJq)('what kubectl lists becomes a history by the program in examples/twin', () => {
  const program = ['-r', '-f', 'examples/twin/kubernetes-history.jq']
  const made = (list: object) => execFileSync('jq', program, { input: JSON.stringify(list), encoding: 'utf8' })
  file('kubernetes.csv', made(kubernetesList))
  const { status, stdout } = imported('history', 'kubernetes.csv')
  expect(status).toBe(0)
  expect(stdout.split('\n').slice(1)).toEqual([
    '0,16,3900,2,86400,100,ml,,train,NVIDIA-H100-80GB-HBM3,100,train',
    '500,13,381,,86400,20,team,,set,,,set',
    '700,4,290,2,,10,team,,torch,,100,torch',
    '800,1,60,,86400,0,team,,nightly-1,,,nightly-1',
    '900,1,60,,86400,0,team,,nightly-2,,,nightly-2',
    '1000,1,60,1,,5,team,,alone,NVIDIA-A100-SXM4-40GB,100,alone',
    '',
  ])
  file('nothing.csv', made({ ...kubernetesList, items: [] }))
  expect(imported('history', 'nothing.csv')).toMatchObject({ status: 0, stderr: 'No jobs.\n' })
})

it('what did not keep a file from being read is told by file and line', () => {
  file('vc.csv', 'submit_s,gpus,duration_s,model\n5,1,60,x\n4,1,60,x\n')
  const { status, stdout, stderr } = imported('philly', 'vc.csv')
  expect(status).toBe(0)
  expect(stdout.split('\n').map((line) => line.split(',')[0])).toEqual(['submit_s', '4', '5', ''])
  expect(stderr).toMatch(/^vc.csv:3: submit_s: is before that of line 2, found 4; .*\n2 jobs over/)
})

it('what is wrong is told by file and line, and nothing is written', () => {
  file('history.csv', 'submit_s,gpus,duration_s\n0,1,60\n1,1,-60\n')
  expect(imported('history', 'history.csv')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: `millwright: history.csv:3: duration_s: must be a number above 0, found "-60"
nothing was written
`,
  })
  file('binary.csv', 'submit_s,gpus,duration_s\n0,1,60\n\0\u001b"\u0007,1')
  expect(imported('history', 'binary.csv')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: 'millwright: binary.csv:3: a quote stands in a cell that does not begin with one\nnothing was written\n',
  })
  expect(imported('history', 'nowhere.csv')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: 'millwright: cannot read nowhere.csv: there is no such file.\n',
  })
  expect(imported('pbs', 'history.csv')).toMatchObject({
    status: 2,
    stderr: 'millwright: FORMAT: found "pbs"; allowed are slurm, philly, openb, history.\n',
  })
})

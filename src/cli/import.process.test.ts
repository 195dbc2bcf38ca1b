import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { TestFactory } from './factory.fixture.ts'

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
    stdout: `submit_s,gpus,duration_s,nodes,limit_s,wait_s,queue,user,workload,model,priority
0,8,36000,,,10,ml,,,,
86400,2,7200,,,0,ml,,,,
`,
    stderr: '2 jobs over 1.0 days, 84 accelerator-hours, 3.5 in demand on average. Passed over: 1 never started.\n',
  })
})

it('several listings of one cluster go together', () => {
  const row = (submit: string) => `1|${submit}T00:00:00|${submit}T01:00:00|${submit}T02:00:00|gres/gpu=1`
  file('march.txt', `JobID|Submit|Start|End|AllocTRES\n${row('2026-03-01')}\n1.0|x|x|x|\n`)
  file('april.txt', `JobID|Submit|Start|End|AllocTRES\n${row('2026-04-01')}\n1.0|x|x|x|\n`)
  const { stdout, stderr } = imported('slurm', 'april.txt', 'march.txt')
  expect(stdout.split('\n').map((line) => line.split(',')[0])).toEqual(['submit_s', '0', `${31 * 86_400}`, ''])
  expect(stderr).toContain('2 jobs over 31.0 days')
  expect(stderr).toContain('Passed over: 2 steps of jobs.')
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
    stderr: `millwright: history.csv:3: duration_s: must be a number of at least 0, found "-60"
nothing was written
`,
  })
  expect(imported('history', 'nowhere.csv')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: 'millwright: cannot read nowhere.csv: there is no such file.\n',
  })
  expect(imported('pbs', 'history.csv')).toMatchObject({
    status: 2,
    stderr: 'millwright: FORMAT: found "pbs"; allowed are slurm, philly, history.\n',
  })
})

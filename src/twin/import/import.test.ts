import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { historyLines, readHistory } from './history.ts'
import { readOpenb } from './openb.ts'
import { pastJob } from './past-job.fixture.ts'
import type { PastJob } from './past-job.ts'
import { readPhilly } from './philly.ts'
import { fromTheFirst, readSlurm } from './slurm.ts'
import { formatRowError, TableError } from './table.ts'

/** In pieces of so many bytes, as files come. */
async function* bytesOf(text: string, each = 7): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text)
  for (let at = 0; at < bytes.length; at += each) yield bytes.subarray(at, at + each)
}

async function errorsOf(reading: Promise<unknown>): Promise<string[]> {
  const error = await reading.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof TableError) return error.errors.map(formatRowError)
  throw error ?? new Error('nothing was wrong')
}

const plain = pastJob()

describe('our own form', () => {
  const history = (text: string) => readHistory(bytesOf(text))

  test('what is written is read back', async () => {
    const text = fc.option(fc.constantFrom('a', 'a, b', 'say "b"', 'two\nlines', 'ü', '|'), { nil: undefined })
    const number = fc.option(fc.double({ min: 0, max: 1e9, noNaN: true }), { nil: undefined })
    const job = fc.record<PastJob>({
      submitSeconds: fc.double({ min: 0, max: 1e9, noNaN: true }),
      gpus: fc.double({ min: 1e-9, max: 1e5, noNaN: true }),
      durationSeconds: fc.double({ min: 1e-9, max: 315_360_000, noNaN: true }),
      nodes: fc.constantFrom(1, undefined),
      limitSeconds: number,
      waitSeconds: number,
      id: text,
      queue: text,
      user: text,
      workload: text,
      model: text,
      priority: fc.option(fc.integer({ min: -9, max: 9 }), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(job, { maxLength: 5 }), async (drawn) => {
        const jobs = drawn.toSorted((a, b) => a.submitSeconds - b.submitSeconds)
        expect(await history([...historyLines(jobs)].join('\n'))).toEqual(jobs)
      }),
    )
  })

  test('only what is needed has to be there, in any order, with any line ends', async () => {
    const job = { ...plain, gpus: 2, durationSeconds: 60 }
    expect(await history('\uFEFFduration_s,gpus,submit_s\r\n60,2,0\r\n\r\n1e2,.5,3.5')).toEqual([
      job,
      { ...plain, submitSeconds: 3.5, gpus: 0.5, durationSeconds: 100 },
    ])
  })

  test('each error says its line, the column, what was found and what is allowed', async () => {
    const text = [
      'submit_s,gpus,duration_s,nodes',
      '5,1,10,',
      '4,1,10,',
      '6,-1,10,',
      '7,1,,',
      '8,1,0x10,0',
      '9,1,-3,1.5',
    ]
    expect(await errorsOf(history(text.join('\n')))).toEqual([
      '3: submit_s: is before that of line 2; sort the rows by submit_s',
      '4: gpus: must be a number above 0, found "-1"',
      '5: duration_s: must be there',
      '6: duration_s: must be a number above 0, found "0x10"',
      '6: nodes: must be a whole number of at least 1, found "0"',
      '7: duration_s: must be a number above 0, found "-3"',
      '7: nodes: must be a whole number of at least 1, found "1.5"',
    ])
  })

  test('what no job of ours can be is told by its line, and so is what the twin would pass over', async () => {
    const rows = [
      '0,1000000000,1,,',
      '0,1,1e9,,',
      '0,1,1,3,',
      '0,0,1,,',
      '0,1,0,,',
      '0,1,1,,1e10',
      '0,100000,315360000,,-9',
    ]
    expect(await errorsOf(history(`submit_s,gpus,duration_s,nodes,priority\n${rows.join('\n')}`))).toEqual([
      '2: holds 1000000000 accelerators; a job may hold 100000 at most',
      '3: ran for 1000000000 s; a job may for 315360000 at most',
      '4: was spread over 3 nodes, and held 1 accelerator',
      '5: gpus: must be a number above 0, found "0"',
      '6: duration_s: must be a number above 0, found "0"',
      '7: priority: must be a number of at least -1000000000 and at most 1000000000, found "1e10"',
    ])
  })

  test('of very many errors some are told', async () => {
    const rows = Array.from({ length: 1000 }, () => '0,1,x')
    expect((await errorsOf(history(['submit_s,gpus,duration_s', ...rows].join('\n')))).length).toBe(20)
  })

  test.each([
    ['', ['1: is empty: a header is expected here']],
    [
      'submit,gpus,duration_s',
      ['1: "submit": unknown column; did you mean "submit_s"?', '1: the header lacks submit_s'],
    ],
    ['submit_s,gpus,duration_s,gpus', ['1: "gpus": stands twice in the header']],
    ['submit_s,gpus,duration_s\n1,2', ['2: has 2 cells, and the header 3']],
    ['submit_s,gpus,duration_s,user\n1,2,3,"a', ['2: a quoted cell is not closed, or goes on behind its quote']],
    ['submit_s,gpus,duration_s,user\n1,2,3,4\n1,2,3,a"b', ['3: a quote stands in a cell that does not begin with one']],
    [`submit_s,gpus,duration_s,user\n1,2,3,4\n1,2,3,${'a'.repeat(70_000)}`, ['3: is longer than 65536 bytes']],
  ])('what is no such file is told so, %#', async (text, errors) => {
    expect(await errorsOf(readHistory(bytesOf(text, 1000)))).toEqual(errors)
  })

  test('a file that never ends is read no further than its first twenty errors', async () => {
    let read = 0
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield new TextEncoder().encode('submit_s,gpus,duration_s\n')
      for (; ; read++) yield new TextEncoder().encode('0,1,x\n'.repeat(100))
    }
    expect((await errorsOf(readHistory(endless()))).length).toBe(20)
    expect(read).toBeLessThan(1000)
  })
})

describe('sacct', () => {
  const header = 'JobID|JobName|User|Account|Partition|Submit|Start|End|State|Timelimit|NNodes|Priority|AllocTRES'
  const none = { steps: 0, withoutAccelerators: 0, neverStarted: 0, stillRunning: 0, outOfOrder: 0, twice: 0 }
  const slurm = (...rows: string[]) => readSlurm(bytesOf([header, ...rows].join('\n')))

  test('jobs with accelerators that ran and ended, in the order in which they were handed in', async () => {
    const tres = 'billing=8,cpu=8,gres/gpu:a100=4,gres/gpu=4,mem=64G,node=2'
    const { jobs, passedOver, remarks, ended } = await slurm(
      `12|late|bob|ml|gpu|2026-03-01T10:00:00|2026-03-01T10:00:30|2026-03-01T11:00:30|COMPLETED|1-02:03:04|2|77|${tres}`,
      `12.batch|batch||ml||2026-03-01T10:00:30|2026-03-01T10:00:30|2026-03-01T11:00:30|COMPLETED||1||${tres}`,
      '11_3|"early"|ann||gpu|2026-03-01T09:00:00|2026-03-01T09:00:00|2026-03-01T09:10:00|TIMEOUT|10:00|1||gres/gpu:h100=1,gres/gpu:l4=2',
      '13|cpu|ann|ml|cpu|2026-03-01T09:00:00|2026-03-01T09:00:00|2026-03-01T09:10:00|FAILED|UNLIMITED|1||cpu=4',
      '14|wait|ann|ml|gpu|2026-03-01T09:00:00|Unknown|Unknown|PENDING|UNLIMITED|1||',
      '15|gone|ann|ml|gpu|2026-03-01T09:00:00|None|2026-03-01T09:30:00|CANCELLED by 7|UNLIMITED|0||',
      `16|runs|ann|ml|gpu|2026-03-01T09:00:00|2026-03-01T09:00:00|Unknown|RUNNING|UNLIMITED|1||${tres}`,
    )
    expect(passedOver).toEqual({ ...none, steps: 1, withoutAccelerators: 1, neverStarted: 2, stillRunning: 1 })
    expect([...ended]).toEqual([['TIMEOUT', 1]])
    // Slurm's priority is an order that displaces nobody, and ours does: no job comes with it.
    expect(remarks.map(formatRowError)).toEqual([
      '1: columns that are not read: "Priority"',
      '4: AllocTRES: the job held h100 and l4: it comes without a model, and so does any other like it',
    ])
    expect(fromTheFirst(jobs)).toEqual([
      {
        ...plain,
        gpus: 3,
        durationSeconds: 600,
        nodes: 1,
        limitSeconds: 600,
        waitSeconds: 0,
        id: '11_3',
        queue: 'gpu',
        user: 'ann',
        workload: '"early"',
      },
      {
        submitSeconds: 3600,
        gpus: 4,
        durationSeconds: 3600,
        nodes: 2,
        limitSeconds: 93_784,
        waitSeconds: 30,
        id: '12',
        queue: 'ml',
        user: 'bob',
        workload: 'late',
        model: 'a100',
      },
    ])
  })

  test('over how many nodes accelerators were spread is not told of a job with more nodes than those', async () => {
    const [nine, ten] = ['2026-03-01T09:00:00', '2026-03-01T10:00:00']
    const { jobs } = await slurm(`1|a|b|c|d|${nine}|${nine}|${ten}|COMPLETED|1:00|3|1|gres/gpu=1`)
    expect(jobs).toMatchObject([{ gpus: 1, nodes: undefined }])
  })

  test('accelerators that are not counted are told by line', async () => {
    const [nine, ten] = ['2026-03-01T09:00:00', '2026-03-01T10:00:00']
    const row = (tres: string) => `1|a|b|c|d|${nine}|${nine}|${ten}|COMPLETED|1:00|1|1|${tres}`
    expect(await errorsOf(slurm(row('gres/gpumem=8G,gres/gpu=1'), row('cpu=1,gres/gpu:h100=x')))).toEqual([
      '3: AllocTRES: must count accelerators as gres/gpu=4, found "cpu=1,gres/gpu:h100=x"',
    ])
  })

  test('what is not UTF-8 is told, once where anybody may name a job', async () => {
    const [nine, ten] = ['2026-03-01T09:00:00', '2026-03-01T10:00:00']
    const row = (id: number) => `${id}|${nine}|${nine}|${ten}|gres/gpu=1|für\n`
    const rows = `JobID|Submit|Start|End|AllocTRES|JobName\n${row(1)}${row(2)}`
    async function* latin(text: string): AsyncGenerator<Uint8Array> {
      yield Buffer.from(text, 'latin1')
    }
    const { jobs, remarks } = await readSlurm(latin(rows))
    expect(jobs).toHaveLength(2)
    expect(remarks.map(formatRowError)).toEqual(['2: JobName: is not UTF-8, found "f\uFFFDr"'])
    expect(await errorsOf(readHistory(latin('submit_s,gpus,duration_s,user\n0,1,1,f\u00fcr')))).toEqual([
      '2: user: is not UTF-8, found "f\uFFFDr"',
    ])
  })

  test('in local time a job may end before it starts, and none is refused for it', async () => {
    const row = (submit: string, start: string, end: string) =>
      `1|a|b|c|d|2026-10-25T${submit}|2026-10-25T${start}|2026-10-25T${end}|COMPLETED|1:00|1|1|gres/gpu=1`
    const { jobs, passedOver } = await slurm(
      row('02:50:00', '02:58:00', '02:03:00'),
      row('02:59:00', '02:01:00', '02:30:00'),
      row('03:00:00', '03:00:00', '03:10:00'),
    )
    expect(jobs).toHaveLength(1)
    expect(passedOver).toMatchObject({ outOfOrder: 2 })
  })

  test('times that are written otherwise are told by line', async () => {
    const row = (submit: string, start: string, end: string, limit = '1:00') =>
      `1|a|b|c|d|${submit}|${start}|${end}|COMPLETED|${limit}|1|1|gres/gpu=1`
    const [nine, ten] = ['2026-03-01T09:00:00', '2026-03-01T10:00:00']
    const rows = [row('1 March', ten, ten), row('', ten, ten), row(nine, nine, ten, 'soon')]
    expect(await errorsOf(slurm(...rows, row('2026-02-29T09:00:00', nine, ten)))).toEqual([
      '2: Submit: must be a time like 2026-01-31T12:00:00, as sacct writes it where SLURM_TIME_FORMAT is not set, or Unknown, found "1 March"',
      '3: Submit: must be there',
      '4: Timelimit: must be like 1-00:00:00 or UNLIMITED, found "soon"',
      '5: Submit: must be a time like 2026-01-31T12:00:00, as sacct writes it where SLURM_TIME_FORMAT is not set, or Unknown, found "2026-02-29T09:00:00"',
    ])
    expect(await errorsOf(readSlurm(bytesOf('JobID|State\n1|x')))).toEqual([
      '1: the header lacks Submit, Start, End, AllocTRES',
    ])
  })
})

test("jobs of Philly's virtual clusters", async () => {
  const text = 'submit_s,gpus,duration_s,duration_extrapolated,model\r\n5.0,2,60.5,0,ResNet-18 (batch size 32)\r\n'
  expect((await readPhilly(bytesOf(text), '0e4a51')).jobs).toEqual([
    {
      ...plain,
      submitSeconds: 5,
      gpus: 2,
      durationSeconds: 60.5,
      queue: '0e4a51',
      workload: 'ResNet-18 (batch size 32)',
    },
  ])
  expect(await errorsOf(readPhilly(bytesOf(`${text}6,0,-1,0,x`), 'v'))).toEqual([
    '3: gpus: must be a whole number of at least 1, found "0"',
    '3: duration_s: must be a number above 0, found "-1"',
  ])
})

describe("pods of Alibaba's lists", () => {
  const header =
    'name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time'
  const openb = (...rows: string[]) => readOpenb(bytesOf([header, ...rows].join('\n')))

  test('each that had accelerators and ran is a job on one node', async () => {
    const { jobs, passedOver, remarks } = await openb(
      'a,6000,12288,1,460,T4,LS,Running,427061,12902960,427065',
      'b,88000,786432,8,1000,V100M16|V100M32,BE,Succeeded,500000,500060,500000',
      'c,8000,30517,0,0,,BE,Running,500001,500061,500001',
      'd,8000,30517,1,1000,,BE,Pending,500002,500062,',
    )
    const job = { ...plain, nodes: 1, waitSeconds: 4, id: 'a', workload: 'LS', model: 'T4' }
    expect(jobs).toEqual([
      { ...job, submitSeconds: 427_061, gpus: 0.46, durationSeconds: 12_475_895 },
      {
        ...job,
        submitSeconds: 500_000,
        gpus: 8,
        durationSeconds: 60,
        waitSeconds: 0,
        id: 'b',
        workload: 'BE',
        model: undefined,
      },
    ])
    expect({ passedOver, remarks }).toEqual({ passedOver: { withoutAccelerators: 1, neverStarted: 1 }, remarks: [] })
  })

  test('what is wrong is told by line', async () => {
    const rows = [
      'a,1,1,1,1001,,BE,Running,5,9,6',
      'a,1,1,-1,1000,,BE,Running,5,9,4',
      'a,1,1,1,1000,,BE,Running,5,9,4',
      'a,1,1,1,1000,,BE,Running,5,9,10',
      'a,1,1,1,1000,,BE,Running,,9,',
    ]
    expect(await errorsOf(openb(...rows))).toEqual([
      '2: gpu_milli: must be a whole number of at least 0 and at most 1000, found "1001"',
      '3: num_gpu: must be a whole number of at least 0, found "-1"',
      '4: scheduled_time: is before creation_time, 5, found 4',
      '5: deletion_time: is before scheduled_time, 10, found 9',
      '6: creation_time: must be there',
    ])
    expect(await errorsOf(readOpenb(bytesOf('name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,1,1,1,1000')))).toEqual([
      '1: the header lacks creation_time, deletion_time, scheduled_time',
    ])
  })
})

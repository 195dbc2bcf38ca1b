import { formatDuration } from '../../model/duration.ts'
import { buckets, meanings } from '../../observe/ledger-use.ts'
import { counted } from '../../scheduler/why/counted.ts'
import { figure, figureOver } from './figures.ts'
import type { Row, TwinReport } from './report.ts'

/** What a report says, as tables: text, Markdown and the page print the same. */
export interface Table {
  title: string
  header: readonly string[]
  rows: readonly (readonly string[])[]
}

/** In a sentence or two, what was played. */
export function headline({ scenario, seeds }: TwinReport): string {
  const { name, horizonSeconds, history } = scenario
  const numbers = seeds.map(({ seed }) => seed)
  const of = numbers.length === 1 ? `seed ${numbers[0]}` : `${numbers.length} seeds from ${numbers[0]}`
  const played = `${name}: ${fleetSaid(scenario)} for ${formatDuration(horizonSeconds * 1000)}, ${of}.`
  if (history === undefined) return played
  const { within, later } = history
  return `${played} Of ${counted(within + later, 'job')} of its history ${within} came within that, ${later} would come later.`
}

export function fleetSaid({ nodes, accelerators }: { nodes: number; accelerators: number }): string {
  return `${counted(nodes, 'node')} with ${counted(accelerators, 'accelerator')}`
}

/** Mean over seeds, and from the least to the most in parentheses. */
export function tablesOf(report: TwinReport): Table[] {
  const row = (name: string) => report.measures.find((one) => one.name === name)
  const over = (name: string) => overOf(row(name))
  const lines = (names: readonly (readonly [string, string])[]) =>
    names.filter(([name]) => row(name) !== undefined).map(([name, title]) => [title, over(name)])
  const failures = lines(failureLines)
  const causes = causesOf(report).map(({ cause }) => [
    cause,
    ...['faults', 'interruptions', 'lost', 'down'].map((what) => over(`cause.${cause}.${what}`)),
  ])
  return [
    { title: 'In short', header: ['MEASURE', 'MEAN OVER SEEDS'], rows: lines(headLines) },
    {
      title: 'Where accelerator-time went',
      header: ['BUCKET', 'SHARE', 'ACCELERATOR-TIME', 'WHAT IT IS'],
      rows: ledgerOf(report).map(({ bucket, share, hours }) => [
        bucket,
        figure(share, 'ratio'),
        overOf(hours),
        meanings[bucket],
      ]),
    },
    {
      title: 'Jobs',
      header: ['TIME', 'MEAN', 'MEDIAN', 'P90', 'P99'],
      rows: jobTimes.map(([what, title]) => [title, ...parts.map((part) => over(`${what}.${part}`))]),
    },
    ...queueTables(report, over),
    ...serviceTables(report, over),
    ...(failures.length === 0
      ? []
      : [{ title: 'Failures and restarts', header: ['MEASURE', 'MEAN OVER SEEDS'], rows: failures }]),
    ...(causes.length === 0
      ? []
      : [
          {
            title: 'By cause',
            header: ['CAUSE', 'FAULTS', 'INTERRUPTIONS', 'LOST', 'DOWN'],
            rows: causes,
          },
        ]),
    ...drillTables(report, over),
  ]
}

function queueTables(report: TwinReport, over: (name: string) => string): Table[] {
  const has = (name: string) => report.measures.some((one) => one.name === name)
  const queues = report.measures.flatMap(({ name }) => /^queue\.(.*)\.held$/.exec(name)?.[1] ?? []).toSorted()
  if (queues.length === 0) return []
  const figures = ['jobs.submitted', 'jobs.succeeded', 'held', 'utilisation']
  return [
    {
      title: 'Queues',
      header: ['QUEUE', 'JOBS', 'SUCCEEDED', 'ACCELERATOR-TIME HELD', 'OF THE FLEET'],
      rows: queues.map((queue) => [queue, ...figures.map((what) => over(`queue.${queue}.${what}`))]),
    },
    {
      title: 'Jobs by queue',
      header: ['QUEUE', 'TIME', 'MEAN', 'MEDIAN', 'P90', 'P99'],
      rows: queues.flatMap((queue) =>
        jobTimes
          .filter(([what]) => has(`queue.${queue}.${what}.mean`))
          .map(([what, title]) => [queue, title, ...parts.map((part) => over(`queue.${queue}.${what}.${part}`))]),
      ),
    },
  ]
}

function serviceTables(report: TwinReport, over: (name: string) => string): Table[] {
  const services = (report.seeds[0]?.services ?? []).map(({ service }) => service)
  if (services.length === 0) return []
  const isCached = report.measures.some(({ name }) => /^service\..*\.cached$/.test(name))
  const figures = [
    ...['requests', 'answered', 'refused', 'failed', 'slo', 'tokens.output'],
    ...(isCached ? ['cached'] : []),
    ...['replicas.mean', 'replicas.max'],
  ]
  const codes = report.measures.flatMap(({ name }) => {
    const [, service = '', how = '', code = ''] = /^service\.(.*)\.(refused|failed)\.([^.]+)$/.exec(name) ?? []
    return code === '' ? [] : [[service, how, code, over(name)]]
  })
  return [
    {
      title: 'Services',
      header: [
        ...['SERVICE', 'REQUESTS', 'ANSWERED', 'REFUSED', 'FAILED', 'SLO', 'TOKENS'],
        ...(isCached ? ['CACHED'] : []),
        ...['REPLICAS', 'MOST'],
      ],
      rows: services.map((service) => [service, ...figures.map((what) => over(`service.${service}.${what}`))]),
    },
    {
      title: 'Latency of services',
      header: ['SERVICE', 'TIME', 'MEAN', 'MEDIAN', 'P90', 'P99'],
      rows: services.flatMap((service) =>
        latencies.map(([what, title]) => [
          service,
          title,
          ...parts.map((part) => over(`service.${service}.${what}.${part}`)),
        ]),
      ),
    },
    ...(codes.length === 0
      ? []
      : [{ title: 'Requests without an answer', header: ['SERVICE', 'HOW', 'CODE', 'REQUESTS'], rows: codes }]),
  ]
}

const latencies = [
  ['ttft', 'to the first token (TTFT)'],
  ['tpot', 'a further token (TPOT)'],
] as const

function drillTables(report: TwinReport, over: (name: string) => string): Table[] {
  const seeds = report.seeds.length
  const drills = (report.seeds[0]?.drills ?? []).map(({ drill }) => drill)
  if (drills.length === 0) return []
  const rows = drills.map((drill) => {
    const all = report.seeds.flatMap((seed) => seed.drills?.filter((one) => one.drill === drill) ?? [])
    const failed = all.filter(({ phase }) => phase !== 'Passed')
    const figures = ['detected', 'recovered', 'attempts', 'lost'].map((what) => over(`drill.${drill}.${what}`))
    return [drill, `${all.length - failed.length} of ${seeds}`, ...figures, failed[0]?.message ?? '']
  })
  const touched = buckets.filter((bucket) =>
    drills.some((drill) => report.measures.some(({ name }) => name === `drill.${drill}.ledger.${bucket}`)),
  )
  return [
    {
      title: 'Drills',
      header: ['DRILL', 'PASSED', 'DETECTED', 'RECOVERED', 'ATTEMPTS', 'LOST SECONDS', 'WHY NOT'],
      rows,
    },
    {
      title: 'What changed in the ledger, from just before a drill to just after it; in accelerator-seconds',
      header: ['BUCKET', ...drills.map((drill) => drill.toUpperCase())],
      rows: touched.map((bucket) => [bucket, ...drills.map((drill) => over(`drill.${drill}.ledger.${bucket}`))]),
    },
  ]
}

const parts = ['mean', 'median', 'p90', 'p99'] as const

const jobTimes = [
  ['wait', 'wait for seats'],
  ['completion', 'completion'],
] as const

const headLines = [
  ['ettr', 'ETTR: productive, of the time of jobs that had begun'],
  ['goodput', 'goodput: productive, of the whole fleet'],
  ['utilisation', 'utilisation: under seats, of the whole fleet'],
  ['jobs.succeeded', 'jobs that succeeded'],
  ['jobs.failed', 'jobs that failed'],
  ['jobs.running', 'jobs under way at the end'],
  ['jobs.waiting', 'jobs that never began'],
  ['evictions', 'evictions'],
  ['leaders', 'terms of leaders'],
  ['usd', 'cost'],
  ['usd.perProductiveHour', 'cost of a productive accelerator-hour'],
] as const

const failureLines = [
  ['faults', 'faults'],
  ['interruptions', 'interruptions of jobs'],
  ['attempts.failed', 'attempts that failed'],
  ['mtbf', 'MTBF: horizon over interruptions'],
  ['mttr', 'MTTR: from the fault to the next step, mean'],
  ['mttr.p99', 'MTTR, p99'],
  ['detect', 'of it until recovery decided, mean'],
  ['restores.node', 'ranks that read their checkpoint in the memory of their own node'],
  ['restores.peer', 'ranks that read their checkpoint in the memory of another node'],
  ['restores.storage', 'ranks that read their checkpoint in object storage'],
  ['per1000NodeDays', 'interruptions per 1,000 node-days'],
] as const

/** Buckets that hold any time, largest first. */
export function ledgerOf({ measures }: TwinReport): { bucket: (typeof buckets)[number]; share: number; hours: Row }[] {
  const row = (name: string) => measures.find((one) => one.name === `ledger.${name}`)
  const capacity = row('capacity')?.mean ?? 1
  return buckets
    .flatMap((bucket) => {
      const hours = row(bucket)
      return hours === undefined || hours.max === 0 ? [] : [{ bucket, share: hours.mean / capacity, hours }]
    })
    .toSorted((a, b) => b.share - a.share)
}

/** Causes by what they cost, the dearest first; in accelerator-hours. */
export function causesOf({ measures }: TwinReport): { cause: string; lost: number; down: number }[] {
  const mean = (name: string) => measures.find((one) => one.name === name)?.mean ?? 0
  return measures
    .flatMap(({ name }) => /^cause\.(.*)\.faults$/.exec(name)?.[1] ?? [])
    .map((cause) => ({ cause, lost: mean(`cause.${cause}.lost`), down: mean(`cause.${cause}.down`) }))
    .toSorted((a, b) => b.lost + b.down - a.lost - a.down)
}

function overOf(row: Row | undefined): string {
  return row === undefined ? '–' : figureOver(row, row.unit)
}

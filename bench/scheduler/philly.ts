import { createReadStream, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Gang } from '../../src/model/kinds/gang.ts'
import type { Node } from '../../src/model/kinds/kubernetes.ts'
import type { Queue } from '../../src/model/kinds/queue.ts'
import { label } from '../../src/model/names.ts'
import { secondsOfStep, servedSteps, servedStepsMax } from '../../src/model/served.ts'
import { type Happening, Rehearsal } from '../../src/scheduler/rehearsal/rehearsal.ts'
import { createScheduler } from '../../src/scheduler/scheduler.ts'
import type { PastJob } from '../../src/twin/import/past-job.ts'
import { readPhilly } from '../../src/twin/import/philly.ts'
import type { Row } from '../row.ts'
import { meanOf, percentile } from '../statistics.ts'
import { fairShares, inOrderOfAge, type Outcome, plainly, shortestFirst } from './plain-policies.ts'

/** Accelerators are so many that jobs ask for this part of them on average. */
const load = 0.8
/** What a job that is displaced does again or waits for until it works again, and what its checkpoint on request takes. */
const [restartSeconds, requestSeconds] = [60, 5]

/**
 * The jobs of eight virtual clusters of Philly, each on a cluster of its own of nodes of eight: how long they wait and take in
 * a Queue ordered by accelerator-time, against plain policies on the same jobs. How long a job runs is known to nobody
 * before it has ended; plain policies know what fits by the number of accelerators alone, ours by nodes.
 */
export async function rows(): Promise<Row[]> {
  const folder = join(process.env['MILLWRIGHT_TRACES'] ?? join('..', 'shared', 'traces'), 'philly-vc')
  if (!existsSync(folder)) {
    console.error(`bench: no jobs of Philly in ${folder}; nothing waits`)
    return []
  }
  const clusters = await clustersIn(folder)
  const of = (play: (jobs: readonly PastJob[], gpus: number) => Outcome[]) =>
    clusters.flatMap((jobs) => play(jobs, gpusFor(jobs)))
  const startedAt = process.cpuUsage()
  const ours = of((jobs, gpus) => played(jobs, gpus, 'LeastServed'))
  const { user, system } = process.cpuUsage(startedAt)
  const seconds = (user + system) / 1e6
  const others: [string, Outcome[]][] = [
    ['oldest first', of((jobs, gpus) => plainly(jobs, gpus, inOrderOfAge, false))],
    ['oldest that fits', of((jobs, gpus) => plainly(jobs, gpus, inOrderOfAge, true))],
    ['fair shares of what is trained', of((jobs, gpus) => plainly(jobs, gpus, fairShares, true))],
    ['shortest as predicted that fits', of((jobs, gpus) => plainly(jobs, gpus, shortestFirst(), true))],
    ['ours by age', of((jobs, gpus) => played(jobs, gpus, 'Age'))],
  ]
  const row = (name: string, value: (one: Outcome) => number, unit: string, sum = meanOf): Row => {
    const mine = sum(ours.map(value))
    const theirs = others.map(([policy, outcomes]) => [policy, sum(outcomes.map(value))] as const)
    const best = Math.min(...theirs.map(([, other]) => other))
    const peer = theirs.map(([policy, other]) => `${policy} ${other.toFixed(1)}`).join(', ')
    return { row: name, value: mine, unit, bar: `<= ${best.toFixed(1)} ${unit}`, ok: mine <= best, peer }
  }
  /** No bar is set on it: it is of the longest jobs, which make room for all others here. */
  const tail = (name: string, value: (one: Outcome) => number): Row => {
    return { ...row(name, value, 'h', (all) => percentile(all, 0.99)), bar: '', ok: true }
  }
  return [
    row(`${ours.length} jobs of Philly, least served first: mean wait`, waitOf, 'h'),
    tail('... p99 wait', waitOf),
    row('... mean completion', completionOf, 'h'),
    tail('... p99 completion', completionOf),
    row('... worst slowdown of jobs, of ten minutes and more', slowdownOf, 'x', (all) => Math.max(...all)),
    { row: '... all jobs of this policy, CPU time', value: seconds, unit: 's', bar: '<= 10 s', ok: seconds <= 10 },
  ]
}

export function clustersIn(folder: string): Promise<PastJob[][]> {
  const files = readdirSync(folder).sort()
  return Promise.all(files.map(async (file) => (await readPhilly(createReadStream(join(folder, file)), file)).jobs))
}

export function gpusFor(jobs: readonly PastJob[]): number {
  const span = Math.max(...jobs.map(({ submitSeconds }) => submitSeconds))
  const demand = jobs.reduce((sum, { gpus, durationSeconds }) => sum + gpus * durationSeconds, 0) / span
  return Math.max(Math.ceil(demand / load), ...jobs.map(({ gpus }) => gpus))
}

/** Hours that it did not work; what it does again counts as waiting. */
function waitOf({ submit, end, duration }: Outcome): number {
  return (end - submit - duration) / 3600
}

function completionOf({ submit, end }: Outcome): number {
  return (end - submit) / 3600
}

function slowdownOf({ submit, end, duration }: Outcome): number {
  return (end - submit) / Math.max(600, duration)
}

interface Run extends Outcome {
  key: string
  gpus: number
  /** What it has still to work. */
  left: number
  ran: number
  since: number | undefined
}

/** The product's scheduler on them, and what the owner of gangs does: note their steps. */
function played(jobs: readonly PastJob[], gpus: number, order: NonNullable<Queue['spec']['order']>): Outcome[] {
  const world = new Rehearsal(createScheduler(), { runsPods: false })
  world.put(queueOf(order))
  for (let index = 0; 8 * index < gpus; index++) world.put(nodeOf(index, Math.min(8, gpus - 8 * index)))
  const runs = jobs.map(({ submitSeconds: submit, durationSeconds: duration, gpus: wanted }, index): Run => {
    const key = `default/j${index}`
    return { key, submit, duration, gpus: wanted, end: 0, left: duration, ran: 0, since: undefined }
  })
  const byKey = new Map(runs.map((run) => [run.key, run]))
  const running = new Set<Run>()
  let [next, done, now] = [0, 0, 0]
  while (done < runs.length) {
    now = Math.max(now, nextTime(runs[next], running, now, order === 'LeastServed'))
    world.nowMs = Math.round(1000 * now)
    for (const run of running) {
      if ((run.since ?? 0) + run.left > now + 1e-3) continue
      running.delete(run)
      run.end = now
      done++
      world.apply({ kind: 'Gang', deleted: run.key })
    }
    for (let run = runs[next]; run !== undefined && run.submit <= now; run = runs[++next]) world.put(gangOf(run, order))
    if (order === 'LeastServed') {
      for (const run of running) {
        const served = stepsOf(run, now)
        if (served !== world.gangOf(run.key).spec.served) world.edit(run.key, { served })
      }
    }
    follow(world.play(), byKey, running, now)
  }
  return runs
}

function follow(course: readonly Happening[], byKey: ReadonlyMap<string, Run>, running: Set<Run>, now: number): void {
  for (const one of course) {
    const run = byKey.get(one.kind === 'decided' ? one.verdict.gang : one.gang)
    if (run === undefined) continue
    if (one.kind === 'decided' && one.verdict.kind === 'bind') {
      run.since = now
      running.add(run)
    } else if (one.kind === 'left') {
      const ran = now - (run.since ?? now)
      run.ran += ran
      run.left += restartSeconds - ran
      run.since = undefined
      running.delete(run)
    }
  }
}

/** When somebody comes, ends, or has had a step more. */
function nextTime(next: Run | undefined, running: ReadonlySet<Run>, now: number, isByService: boolean): number {
  let time = next?.submit ?? Number.POSITIVE_INFINITY
  for (const run of running) {
    const { since = 0, left, ran, gpus } = run
    time = Math.min(time, since + left)
    const steps = stepsOf(run, now)
    if (isByService && steps < servedStepsMax)
      time = Math.min(time, since - ran + secondsOfStep(steps + 1) / gpus + 1e-3)
  }
  return time
}

function stepsOf({ ran, since, gpus }: Run, now: number): number {
  return servedSteps((ran + now - (since ?? now)) * gpus)
}

export function queueOf(order: Queue['spec']['order']): Queue {
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Queue',
    metadata: { name: 'default' },
    spec: { namespaces: ['*'], weight: 1, stopPolicy: 'None', order },
  }
}

/** The node of so many that are not in those before it, eight at most. */
export function nodeOf(index: number, gpus: number): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `n${String(index).padStart(3, '0')}`, labels: { [label.accelerator]: 'V100' } },
    spec: {},
    status: { allocatable: { cpu: '96', memory: '1Ti', 'nvidia.com/gpu': String(gpus) }, conditions: [] },
  }
}

/** Of members as large as divide it. */
export function gangOf({ key, gpus }: Pick<Run, 'key' | 'gpus'>, order: Queue['spec']['order']): Gang {
  const each = [8, 7, 6, 5, 4, 3, 2].find((count) => gpus % count === 0) ?? 1
  const members = gpus / each
  const group = {
    name: 'w',
    min: members,
    max: members,
    accelerators: [{ model: 'V100', count: each }],
    cpuMilli: 0,
    memoryBytes: 0,
    ports: 0,
    nodeSelector: {},
    tolerations: [],
  }
  const served = order === 'LeastServed' ? { served: 0 } : {}
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Gang',
    metadata: { name: key.slice('default/'.length), namespace: 'default' },
    spec: { attempt: 1, queue: 'default', priority: 0, preemptible: true, suspend: false, groups: [group], ...served },
    status: { conditions: [], checkpoints: [], restartSeconds, checkpointRequestSeconds: requestSeconds },
  }
}

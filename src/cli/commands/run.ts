import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import type { Client } from '../../api/client.ts'
import { messageOf } from '../../base/errors.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { annotation } from '../../model/names.ts'
import { kinds } from '../../model/registry.ts'
import { wholeNumber } from '../arguments.ts'
import { connect, sayPresence } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { paint, plain } from '../output.ts'
import { podsOf } from '../pods-of.ts'
import { printLog } from '../print-log.ts'
import { isUnreachable } from '../transport.ts'

interface RunOptions {
  name?: string
  workers: string
  minWorkers?: string
  accelerators?: string
  cpu?: string
  memory?: string
  image?: string
  env: string[]
  queue: string
  priority: string
  maxRestarts: string
  workdir?: string
  detach?: boolean
}

/** A TrainingJob from the command line, followed to its end; exits with the job's exit code. */
export async function runJob(words: string[], options: RunOptions, global: Global): Promise<void> {
  refuseShellText(words, options.workdir ?? process.cwd())
  const { client, namespace } = await connect(global, options.detach ? undefined : sayPresence())
  const job = jobFrom(words, options, namespace)
  const created = await client.create('TrainingJob', job)
  const ref = { namespace, name: created.metadata.name }
  if (options.detach) return console.log(`trainingjob/${ref.name} created`)
  console.error(paint.dim(`trainingjob/${ref.name} created; Ctrl-C cancels it`))
  const stop = new AbortController()
  cancelOnInterrupt(client, ref, stop)
  const ended = await follow(client, ref, stop.signal)
  process.exitCode = await codeOf(client, ended)
  if (ended.status?.phase === 'Failed')
    console.error(
      `millwright: ${ref.name} failed: ${ended.status.message ?? ended.status.lastFailure?.message ?? 'see millwright describe job'}`,
    )
}

/** One word that only a shell could read: no program is called that. */
function refuseShellText([word = '', ...others]: string[], workingDir: string): void {
  if (others.length > 0 || !/[\s|&;<>`]/.test(word) || existsSync(resolve(workingDir, word))) return
  throw new Exit(
    exit.usage,
    `no program is called ${JSON.stringify(word)}: a command is run as it is, by no shell. For a shell's language: millwright run -- sh -c '${word.replaceAll("'", "'\\''")}'`,
  )
}

interface JobRef {
  namespace: string
  name: string
}

/** Never says that a job was cancelled when nobody heard it. */
function cancelOnInterrupt(client: Client, ref: JobRef, stop: AbortController): void {
  let isCancelling = false
  const failed = (why: string, code: number) => {
    const scope = ref.namespace === 'default' ? '' : ` -n ${ref.namespace}`
    console.error(
      `millwright: ${ref.name} could not be cancelled and may go on running: ${why}. Once the factory answers, \`millwright delete job ${ref.name}${scope}\` cancels it.`,
    )
    process.exit(code)
  }
  process.on('SIGINT', () => {
    if (isCancelling) return failed('the factory has not answered yet', exit.interrupted)
    isCancelling = true
    console.error(`\ncancelling ${ref.name}; Ctrl-C again does not wait for the answer`)
    client.delete('TrainingJob', ref).then(
      () => {
        stop.abort()
        process.exit(exit.interrupted)
      },
      (error) => failed(messageOf(error), isUnreachable(error) ? exit.unreachable : exit.failed),
    )
  })
}

function jobFrom(words: string[], options: RunOptions, namespace: string): TrainingJob {
  const resources = {
    ...(options.accelerators === undefined ? {} : { accelerators: options.accelerators }),
    ...(options.cpu === undefined ? {} : { cpu: options.cpu }),
    ...(options.memory === undefined ? {} : { memory: options.memory }),
  }
  const candidate = {
    apiVersion: millwrightVersion,
    kind: 'TrainingJob',
    metadata: options.name === undefined ? { name: nameFor(words), namespace } : { name: options.name, namespace },
    spec: {
      workers: wholeNumber('--workers', options.workers, 1, 100_000),
      ...(options.minWorkers === undefined
        ? {}
        : { minWorkers: wholeNumber('--min-workers', options.minWorkers, 1, 100_000) }),
      command: words,
      workingDir: options.workdir ?? process.cwd(),
      env: Object.fromEntries(options.env.map(assignment)),
      queue: options.queue,
      priority: wholeNumber('--priority', options.priority, -1_000_000_000, 1_000_000_000),
      maxRestarts: wholeNumber('--max-restarts', options.maxRestarts, 0, 10_000),
      ...(Object.keys(resources).length === 0 ? {} : { resources }),
      ...(options.image === undefined ? {} : { image: options.image }),
    },
  }
  const parsed = kinds.TrainingJob.schema.safeParse(candidate)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new Exit(exit.usage, `${issue?.path.join('.') ?? 'job'}: ${issue?.message ?? 'is not right'}.`)
  }
  return parsed.data as TrainingJob
}

function nameFor(words: string[]): string {
  const stem =
    basename(words[0] ?? 'job')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 30) || 'job'
  return `${stem}-${Math.floor(Math.random() * 36 ** 5)
    .toString(36)
    .padStart(5, '0')}`
}

function assignment(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new Exit(exit.usage, `--env: found "${text}"; allowed is NAME=value.`)
  return [text.slice(0, at), text.slice(at + 1)]
}

/** Prints phases and the workers' output until the job is over. */
async function follow(client: Client, ref: JobRef, signal: AbortSignal): Promise<TrainingJob> {
  const printing = new Map<string, Promise<void>>()
  let said: string | undefined
  for await (const { type, object } of client.watch(
    'TrainingJob',
    { namespace: ref.namespace, fields: `metadata.name=${ref.name}` },
    signal,
  )) {
    if (type === 'DELETED') throw new Exit(exit.failed, `${ref.name} was deleted.`)
    const phase = object.status?.phase
    const line = wordsFor(object)
    // That it runs is worth a word only after something kept it from running.
    if (line !== undefined && line !== said && (phase !== 'Running' || said !== undefined))
      console.error(paint.yellow(plain(`${ref.name} ${line}`)))
    said = line ?? said
    const over = phase === 'Succeeded' || phase === 'Failed'
    if (over || phase === 'Running' || phase === 'Starting') await printNew(client, object, printing, signal)
    if (over) {
      await Promise.all(printing.values())
      return object
    }
  }
  throw new Exit(exit.interrupted, '')
}

/** What whoever waits for it should know of where it stands; undefined: nothing new. */
function wordsFor({ metadata: { name, annotations }, status }: TrainingJob): string | undefined {
  const withFactory = annotations?.[annotation.suspendedBy] !== undefined
  switch (status?.phase) {
    case 'Waiting':
      return `waiting: ${status.message ?? ''}`
    case 'Starting':
      return status.message === undefined ? undefined : `starting: ${status.message}`
    case 'Restarting':
      return `restarting (${status.message ?? status.lastFailure?.message ?? ''})`
    case 'Suspending':
      return `checkpoints and stops, because ${withFactory ? 'the factory stops' : 'it is suspended'}`
    case 'Suspended':
      return withFactory
        ? 'is suspended; the next `millwright up` lets it go on'
        : `is suspended; \`millwright resume ${name}\` lets it go on`
    case 'Running':
      return `runs (attempt ${status.attempt ?? 1})`
    default:
      return undefined
  }
}

async function printNew(
  client: Client,
  job: TrainingJob,
  printing: Map<string, Promise<void>>,
  signal: AbortSignal,
): Promise<void> {
  for (const pod of await podsOf(client, job).catch(nothingYet)) {
    const uid = pod.metadata.uid ?? pod.metadata.name
    if (printing.has(uid) || pod.spec.nodeName === undefined) continue
    if ((pod.status?.phase ?? 'Pending') === 'Pending') continue
    // A pod that is gone with its log was of an attempt that was replaced; the next attempt's is followed.
    const prefix = (job.spec.workers ?? 1) > 1 ? `[${pod.metadata.name}] ` : ''
    printing.set(
      uid,
      printLog(client, pod, { follow: true }, prefix, signal).catch(() => undefined),
    )
  }
}

/** The factory has just gone away: the watch brings the job again when it is back. */
function nothingYet(error: unknown): Pod[] {
  if (isUnreachable(error)) return []
  throw error
}

/** 0 when the job succeeded, else the exit code of the worker that failed (128 + n for a signal, 127 as a shell's for one that could not start). */
async function codeOf(client: Client, job: TrainingJob): Promise<number> {
  if (job.status?.phase === 'Succeeded') return exit.ok
  const pods = await podsOf(client, job)
  const named = pods.find((pod) => pod.metadata.name === job.status?.lastFailure?.pod)
  const codes = (named === undefined ? pods : [named, ...pods]).map(exitCodeIn)
  return codes.find((code) => code !== 0) ?? exit.failed
}

function exitCodeIn(pod: Pod): number {
  const ended = pod.status?.containerStatuses?.[0]?.state?.terminated
  return ended?.reason === 'StartError' ? 127 : (ended?.exitCode ?? 0)
}

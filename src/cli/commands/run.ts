import { basename } from 'node:path'
import type { Client } from '../../api/client.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { label } from '../../model/names.ts'
import { kinds } from '../../model/registry.ts'
import { wholeNumber } from '../arguments.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { paint } from '../output.ts'

interface RunOptions {
  name?: string
  workers: string
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
  const { client, namespace } = await connect(global)
  const job = jobFrom(words, options, namespace)
  const created = await client.create('TrainingJob', job)
  const ref = { namespace, name: created.metadata.name }
  if (options.detach) return console.log(`trainingjob/${ref.name} created`)
  console.error(paint.dim(`trainingjob/${ref.name} created; Ctrl-C cancels it`))
  const stop = new AbortController()
  let cancelled = false
  process.on('SIGINT', () => {
    if (cancelled) process.exit(exit.interrupted)
    cancelled = true
    console.error(`\ncancelling ${ref.name}; once more leaves it running`)
    void client.delete('TrainingJob', ref).finally(() => {
      stop.abort()
      process.exit(exit.interrupted)
    })
  })
  const ended = await follow(client, ref, stop.signal)
  process.exitCode = await codeOf(client, ended)
  if (ended.status?.phase === 'Failed')
    console.error(
      `millwright: ${ref.name} failed: ${ended.status.message ?? ended.status.lastFailure?.message ?? 'see millwright describe job'}`,
    )
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
async function follow(
  client: Client,
  ref: { namespace: string; name: string },
  signal: AbortSignal,
): Promise<TrainingJob> {
  const printing = new Map<string, Promise<void>>()
  let said = ''
  for await (const { type, object } of client.watch(
    'TrainingJob',
    { namespace: ref.namespace, fields: `metadata.name=${ref.name}` },
    signal,
  )) {
    if (type === 'DELETED') throw new Exit(exit.failed, `${ref.name} was deleted.`)
    const status = object.status
    const line =
      status?.phase === 'Waiting'
        ? `waiting: ${status.message ?? ''}`
        : status?.phase === 'Restarting'
          ? `restarting (${status.message ?? status.lastFailure?.message ?? ''})`
          : status?.phase === 'Starting' && status.message !== undefined
            ? `starting: ${status.message}`
            : ''
    if (line !== '' && line !== said) console.error(paint.yellow(`${ref.name} ${line}`))
    said = line
    const over = status?.phase === 'Succeeded' || status?.phase === 'Failed'
    if (over || status?.phase === 'Running' || status?.phase === 'Starting')
      await printNew(client, ref, printing, (object.spec.workers ?? 1) > 1, signal)
    if (over) {
      await Promise.all(printing.values())
      return object
    }
  }
  throw new Exit(exit.interrupted, '')
}

async function printNew(
  client: Client,
  ref: { namespace: string; name: string },
  printing: Map<string, Promise<void>>,
  prefixed: boolean,
  signal: AbortSignal,
): Promise<void> {
  const pods = await client.list('Pod', { namespace: ref.namespace, labels: `${label.job}=${ref.name}` })
  for (const pod of pods.items) {
    const uid = pod.metadata.uid ?? pod.metadata.name
    if (printing.has(uid) || pod.spec.nodeName === undefined) continue
    if ((pod.status?.phase ?? 'Pending') === 'Pending') continue
    printing.set(
      uid,
      print(
        client,
        { namespace: ref.namespace, name: pod.metadata.name },
        prefixed ? `[${pod.metadata.name}] ` : '',
        signal,
      ),
    )
  }
}

async function print(
  client: Client,
  ref: { namespace: string; name: string },
  prefix: string,
  signal: AbortSignal,
): Promise<void> {
  let rest = ''
  try {
    for await (const chunk of client.logs(ref, { follow: true }, signal)) {
      const lines = (rest + Buffer.from(chunk).toString('utf8')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) process.stdout.write(`${prefix}${line}\n`)
    }
  } catch {
    // The pod is gone with its log (an attempt that was replaced); the next attempt's is followed.
  }
  if (rest !== '') process.stdout.write(`${prefix}${rest}\n`)
}

/** 0 when the job succeeded, else the exit code of the worker that failed (128 + n for a signal, 127 as a shell's for one that could not start). */
async function codeOf(client: Client, job: TrainingJob): Promise<number> {
  if (job.status?.phase === 'Succeeded') return exit.ok
  const pods = await client.list('Pod', {
    namespace: job.metadata.namespace,
    labels: `${label.job}=${job.metadata.name}`,
  })
  const named = pods.items.find((pod) => pod.metadata.name === job.status?.lastFailure?.pod)
  const codes = (named === undefined ? pods.items : [named, ...pods.items]).map(exitCodeIn)
  return codes.find((code) => code !== 0) ?? exit.failed
}

function exitCodeIn(pod: Pod): number {
  const ended = pod.status?.containerStatuses?.[0]?.state?.terminated
  return ended?.reason === 'StartError' ? 127 : (ended?.exitCode ?? 0)
}

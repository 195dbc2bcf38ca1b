import { ApiError, type Client } from '../../api/client.ts'
import { messageOf } from '../../base/errors.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { LogOptions, Pod } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { annotation, label } from '../../model/names.ts'
import { wholeNumber } from '../arguments.ts'
import { connect, sayPresence } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { paint, plain } from '../output.ts'
import { podsOf } from '../pods-of.ts'
import { printLog } from '../print-log.ts'
import { isUnreachable } from '../transport.ts'

interface Options {
  follow?: boolean
  tail?: string
  rank?: string
  timestamps?: boolean
}

export async function logs(name: string, options: Options, global: Global): Promise<void> {
  const { client, namespace } = await connect(global, options.follow ? sayPresence() : undefined)
  const read = {
    ...(options.follow ? { follow: true } : {}),
    ...(options.tail === undefined ? {} : { tailLines: wholeNumber('--tail', options.tail, 0, 1_000_000) }),
    ...(options.timestamps ? { timestamps: true } : {}),
  }
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  const pod = await client.get('Pod', { namespace, name })
  if (pod !== undefined) return await printLog(client, pod, read, '', stop.signal)
  const job = await client.get('TrainingJob', { namespace, name })
  if (job !== undefined && options.follow) return await followJob(client, job, read, options.rank, stop.signal)
  const service = await client.get('InferenceService', { namespace, name })
  if (service !== undefined && options.follow) return await followService(client, service, read, stop.signal)
  const owner = job ?? service ?? (await client.get('Gang', { namespace, name }))
  const pods = podsNamed(name, namespace, owner === undefined ? [] : await podsOf(client, owner), options.rank)
  await Promise.all(pods.map((one) => printLog(client, one, read, prefixOf(one, pods.length), stop.signal)))
}

const prefixOf = (pod: Pod, count: number) => (count > 1 ? `[${pod.metadata.name}] ` : '')

/** The newest attempt's output, then that of each attempt after it, until the job is over. */
async function followJob(
  client: Client,
  job: TrainingJob,
  read: LogOptions,
  rank: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace = 'default' } = job.metadata
  const printing = new Map<string, Promise<void>>()
  let attempt = 0
  let options = read
  const scope = { namespace, fields: `metadata.name=${name}` }
  for await (const { type, object } of client.watch('TrainingJob', scope, signal)) {
    // Where the factory has just gone away, the watch brings the job again when it is back.
    const pods = type === 'DELETED' ? [] : newestOf(await podsOf(client, object).catch(noneIfAway))
    if (pods.length > 0 && rank !== undefined && ofRank(pods, rank).length === 0 && pods.every(isSeated))
      throw noRank(name, rank, pods)
    const begun = (rank === undefined ? pods : ofRank(pods, rank)).filter(hasBegun)
    const newest = Math.max(attempt, ...begun.map(attemptOf))
    if (attempt > 0 && newest > attempt) {
      await Promise.all(printing.values())
      console.error(paint.dim(`--- attempt ${newest} ---`))
      options = { ...read, tailLines: undefined }
    }
    attempt = newest
    for (const pod of begun) {
      if (!printing.has(uidOf(pod)))
        printing.set(uidOf(pod), printApart(client, pod, options, prefixOf(pod, pods.length), signal))
    }
    if (type === 'DELETED' || object.status?.phase === 'Succeeded' || object.status?.phase === 'Failed') break
  }
  await Promise.all(printing.values())
}

function noneIfAway(error: unknown): Pod[] {
  if (isUnreachable(error)) return []
  throw error
}

/**
 * The output of every replica, those that come later too, until the service is deleted. A line always says of which
 * replica it is: the next may come any moment.
 */
async function followService(
  client: Client,
  service: InferenceService,
  read: LogOptions,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace = 'default' } = service.metadata
  const present = new Set((await podsOf(client, service)).map(uidOf))
  const printing = new Map<string, Promise<void>>()
  const deleted = untilDeleted(client, service, signal)
  const scope = { namespace, labels: `${label.service}=${name}` }
  for await (const { type, object: pod } of client.watch('Pod', scope, deleted)) {
    if (type === 'DELETED' || !hasBegun(pod) || printing.has(uidOf(pod))) continue
    const options = present.has(uidOf(pod)) ? read : { ...read, tailLines: undefined }
    printing.set(uidOf(pod), printApart(client, pod, options, `[${pod.metadata.name}] `, signal))
  }
  await Promise.all(printing.values())
}

/** Aborts with `signal`, and when the service is no more. */
function untilDeleted(client: Client, service: InferenceService, signal: AbortSignal): AbortSignal {
  const { name, namespace = 'default', uid } = service.metadata
  const over = new AbortController()
  const until = AbortSignal.any([signal, over.signal])
  void (async () => {
    for await (const { type, object } of client.watch(
      'InferenceService',
      { namespace, fields: `metadata.name=${name}` },
      until,
    ))
      if (type === 'DELETED' || object.metadata.uid !== uid) over.abort()
  })().catch(() => over.abort()) // whoever watches its pods hears why
  return until
}

/** One of many: what is wrong with its output is said at once and fails the command, and the others go on. */
async function printApart(client: Client, pod: Pod, read: LogOptions, prefix: string, signal: AbortSignal) {
  try {
    await printLog(client, pod, read, prefix, signal)
  } catch (error) {
    if (error instanceof ApiError && error.code === 404) return // it went before its output was asked for
    console.error(`millwright: the output of ${pod.metadata.name}: ${plain(messageOf(error))}`)
    process.exitCode = exit.failed
  }
}

/** The newest attempt's pods of a job, a service or a gang. */
function podsNamed(name: string, namespace: string, pods: readonly Pod[], rank?: string): Pod[] {
  const present = newestOf(pods)
  if (present.length === 0)
    throw new Exit(
      exit.notFound,
      `no pod, job or service "${name}" with pods in namespace ${namespace}; \`millwright get pods\` lists them.`,
    )
  if (rank === undefined) return present
  const wanted = ofRank(present, rank)
  if (wanted.length === 0) throw noRank(name, rank, present)
  return wanted
}

/** Of each gang. */
function newestOf(pods: readonly Pod[]): Pod[] {
  const newest = new Map<string, number>()
  for (const pod of pods) newest.set(gangOf(pod), Math.max(newest.get(gangOf(pod)) ?? 0, attemptOf(pod)))
  return pods.filter((pod) => attemptOf(pod) === newest.get(gangOf(pod)))
}

const uidOf = (pod: Pod) => pod.metadata.uid ?? pod.metadata.name
const gangOf = (pod: Pod) => pod.metadata.labels?.[label.gang] ?? ''
const attemptOf = (pod: Pod) => Number(pod.metadata.labels?.[label.attempt] ?? 0)
const isSeated = (pod: Pod) => pod.spec.nodeName !== undefined
const hasBegun = (pod: Pod) => isSeated(pod) && (pod.status?.phase ?? 'Pending') !== 'Pending'
const ofRank = (pods: readonly Pod[], rank: string) =>
  pods.filter((pod) => pod.metadata.annotations?.[annotation.rank] === rank)

function noRank(name: string, rank: string, pods: readonly Pod[]): Exit {
  return new Exit(exit.notFound, `"${name}" has no rank ${rank}; it has ${pods.length} worker(s).`)
}

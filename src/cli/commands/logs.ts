import type { Client } from '../../api/client.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { annotation, label } from '../../model/names.ts'
import { wholeNumber } from '../arguments.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'

interface LogOptions {
  follow?: boolean
  tail?: string
  rank?: string
  timestamps?: boolean
}

export async function logs(name: string, options: LogOptions, global: Global): Promise<void> {
  const { client, namespace } = await connect(global)
  const pods = await podsNamed(client, namespace, name, options.rank)
  const read = {
    ...(options.follow ? { follow: true } : {}),
    ...(options.tail === undefined ? {} : { tailLines: wholeNumber('--tail', options.tail, 0, 1_000_000) }),
    ...(options.timestamps ? { timestamps: true } : {}),
  }
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  const prefixed = pods.length > 1
  await Promise.all(pods.map((pod) => print(client, pod, read, prefixed ? `[${pod.metadata.name}] ` : '', stop.signal)))
}

/** A pod by its name, or the newest attempt's pods of a job or service. */
export async function podsNamed(client: Client, namespace: string, name: string, rank?: string): Promise<Pod[]> {
  const pod = await client.get('Pod', { namespace, name })
  if (pod !== undefined) return [pod]
  const all = (await client.list('Pod', { namespace })).items.filter(
    (one) =>
      one.metadata.labels?.[label.job] === name ||
      one.metadata.labels?.[label.service] === name ||
      one.metadata.labels?.[label.gang] === name,
  )
  if (all.length === 0)
    throw new Exit(
      exit.notFound,
      `no pod, job or service "${name}" with pods in namespace ${namespace}; \`millwright get pods\` lists them.`,
    )
  const attemptOf = (one: Pod) => Number(one.metadata.labels?.[label.attempt] ?? 0)
  const newest = new Map<string, number>()
  for (const one of all) {
    const gang = one.metadata.labels?.[label.gang] ?? ''
    newest.set(gang, Math.max(newest.get(gang) ?? 0, attemptOf(one)))
  }
  const present = all.filter((one) => attemptOf(one) === newest.get(one.metadata.labels?.[label.gang] ?? ''))
  const wanted =
    rank === undefined ? present : present.filter((one) => one.metadata.annotations?.[annotation.rank] === rank)
  if (wanted.length === 0)
    throw new Exit(exit.notFound, `"${name}" has no rank ${rank}; it has ${present.length} worker(s).`)
  return wanted
}

async function print(client: Client, pod: Pod, read: object, prefix: string, signal: AbortSignal): Promise<void> {
  const ref = { namespace: pod.metadata.namespace, name: pod.metadata.name }
  let rest = ''
  for await (const chunk of client.logs(ref, read, signal)) {
    if (prefix === '') {
      process.stdout.write(chunk)
      continue
    }
    const lines = (rest + Buffer.from(chunk).toString('utf8')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) process.stdout.write(`${prefix}${line}\n`)
  }
  if (rest !== '') process.stdout.write(`${prefix}${rest}\n`)
}

import { setTimeout as pause } from 'node:timers/promises'
import { humanAge, humanDuration } from '../../api/age.ts'
import type { Client } from '../../api/client.ts'
import { conditionOf } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { failuresOf, lemonScore } from '../../model/lemons.ts'
import { closedBecause } from '../../model/nodes.ts'
import { milliHeld, seatsNow } from '../../model/seats.ts'
import { oneOf } from '../arguments.ts'
import { connect, sayPresence } from '../connect.ts'
import type { Global } from '../global.ts'
import { paint, plain, table } from '../output.ts'
import { isUnreachable } from '../transport.ts'

export async function status(options: { watch?: boolean; output?: string }, global: Global): Promise<void> {
  const output = oneOf('--output', options.output, ['text', 'json'], 'text')
  const factory = await connect(global, options.watch ? sayPresence() : undefined)
  const show = async () => {
    const seen = await look(factory.client)
    if (output === 'json') return console.log(JSON.stringify(seen))
    const screen = draw(seen, factory.url, factory.gateway.url)
    process.stdout.write(options.watch && process.stdout.isTTY ? `\u001b[H\u001b[2J${screen}\n` : `${screen}\n`)
  }
  await show()
  if (!options.watch) return
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  while (!stop.signal.aborted) {
    await pause(1000, undefined, { signal: stop.signal }).catch(() => undefined)
    if (!stop.signal.aborted) await show().catch(unlessAway)
  }
}

/** It said so already; the next look may find it again. */
function unlessAway(error: unknown): void {
  if (!isUnreachable(error)) throw error
}

async function look(client: Client) {
  const [jobs, services, gangs, nodes, pools, models] = await Promise.all([
    client.list('TrainingJob', {}),
    client.list('InferenceService', {}),
    client.list('Gang', {}),
    client.list('Node', {}),
    client.list('Pool', {}),
    client.list('Model', {}),
  ])
  return {
    jobs: jobs.items,
    services: services.items,
    gangs: gangs.items,
    nodes: nodes.items,
    pools: pools.items,
    models: models.items,
  }
}

type Seen = Awaited<ReturnType<typeof look>>

function draw(seen: Seen, url: string, gatewayUrl: string | undefined): string {
  const now = Date.now()
  const used = acceleratorsInUse(seen.gangs)
  const spares = new Set(seen.pools.flatMap(({ status }) => status?.spares?.nodes ?? []))
  const blocks: string[] = [
    `${paint.bold('factory')} ${url}${gatewayUrl === undefined ? '' : `   gateway ${gatewayUrl}/v1`}`,
  ]
  blocks.push(
    table(
      ['NODE', 'READY', 'IN USE', 'SLOTS'],
      seen.nodes.map((node) => [
        node.metadata.name,
        `${conditionOf(node.status?.conditions ?? [], 'Ready')?.status ?? 'Unknown'}${node.spec?.unschedulable ? ', cordoned' : ''}${spares.has(node.metadata.name) ? ', spare' : ''}`,
        String(used.get(node.metadata.name) ?? 0),
        String(node.status?.allocatable?.['nvidia.com/gpu'] ?? node.status?.allocatable?.['millwright.dev/cpu'] ?? '?'),
      ]),
    ),
  )
  const troubles = seen.nodes.flatMap((node) => troubleOf(node, now))
  for (const trouble of troubles.slice(0, troublesMax)) blocks.push(paint.yellow(plain(trouble)))
  if (troubles.length > troublesMax)
    blocks.push(`and ${troubles.length - troublesMax} more nodes: millwright get nodes`)
  const { jobs, hidden } = shownJobs(seen.jobs)
  if (jobs.length > 0) {
    blocks.push(
      table(
        ['JOB', 'PHASE', 'WORKERS', 'STEP', 'LOSS', 'TOKENS/S', 'CHECKPOINT', 'RESTARTS', 'LOST', 'ENDS IN', 'AGE'],
        jobs.map((job) => [
          job.metadata.name,
          job.status?.phase ?? 'Pending',
          String(job.status?.workers ?? job.spec.workers ?? ''),
          String(job.status?.step ?? '-'),
          job.status?.loss?.toFixed(3) ?? '-',
          job.status?.tokensPerSecond?.toFixed(0) ?? '-',
          job.status?.checkpoint === undefined ? '-' : String(job.status.checkpoint.step),
          String(job.status?.restarts ?? 0),
          job.status?.lostSeconds === undefined ? '-' : `${job.status.lostSeconds.toFixed(1)}s`,
          job.status?.expectedEnd === undefined || job.status.phase !== 'Running'
            ? '-'
            : humanDuration(Math.max(0, Date.parse(job.status.expectedEnd) - now)),
          humanAge(job.metadata.creationTimestamp, now),
        ]),
      ) + (hidden > 0 ? `\nand ${hidden} more finished` : ''),
    )
  }
  if (seen.services.length > 0) {
    blocks.push(
      table(
        ['SERVICE', 'PHASE', 'READY', 'MODEL', 'AGE'],
        seen.services.map((service) => [
          service.metadata.name,
          service.status?.phase ?? 'Pending',
          `${service.status?.readyReplicas ?? 0}/${service.status?.wantedReplicas ?? service.spec.minReplicas}`,
          service.status?.model ?? '-',
          humanAge(service.metadata.creationTimestamp, now),
        ]),
      ),
    )
  }
  const waiting = seen.gangs.filter((gang) => !gang.spec.suspend && seated(gang).length === 0)
  for (const gang of waiting)
    blocks.push(
      paint.yellow(
        plain(
          `${gang.metadata.name} waits: ${conditionOf(gang.status?.conditions ?? [], 'Scheduled')?.message ?? 'not looked at yet'}`,
        ),
      ),
    )
  if (seen.jobs.length + seen.services.length === 0)
    blocks.push('No work yet. `millwright run -- echo hello` or `millwright apply -f FILE`.')
  return blocks.join('\n\n')
}

/** By node; a share of one counts as such. */
export function acceleratorsInUse(gangs: readonly Gang[]): Map<string, number> {
  const milli = new Map<string, number>()
  for (const gang of gangs)
    for (const seat of seated(gang)) milli.set(seat.node, (milli.get(seat.node) ?? 0) + milliHeld([seat]))
  return new Map([...milli].map(([node, held]) => [node, held / 1000]))
}

const finishedMax = 10

/** What runs and what waits, as it was made; then what finished last. */
export function shownJobs(jobs: readonly TrainingJob[]): { jobs: TrainingJob[]; hidden: number } {
  const isOver = (job: TrainingJob) => job.status?.phase === 'Succeeded' || job.status?.phase === 'Failed'
  const madeMs = (job: TrainingJob) => Date.parse(job.metadata.creationTimestamp ?? '') || 0
  const endedMs = (job: TrainingJob) => Date.parse(job.status?.completionTime ?? '') || madeMs(job)
  const unfinished = jobs.filter((job) => !isOver(job)).toSorted((a, b) => madeMs(a) - madeMs(b))
  const finished = jobs.filter(isOver).toSorted((a, b) => endedMs(b) - endedMs(a))
  return {
    jobs: [...unfinished, ...finished.slice(0, finishedMax)],
    hidden: Math.max(0, finished.length - finishedMax),
  }
}

const seated = (gang: Gang) => seatsNow(gang)?.members ?? []

export async function queue(global: Global): Promise<void> {
  const { client } = await connect(global)
  const gangs = [...(await client.list('Gang', {})).items].filter((gang) => !gang.spec.suspend)
  gangs.sort(
    (a, b) =>
      b.spec.priority - a.spec.priority ||
      (String(a.metadata.creationTimestamp) < String(b.metadata.creationTimestamp) ? -1 : 1),
  )
  const rows = gangs.map((gang) => [
    gang.spec.queue,
    gang.metadata.name,
    String(gang.spec.priority),
    seated(gang).length > 0
      ? `running on ${[...new Set(seated(gang).map((seat) => seat.node))].join(', ')}`
      : plain(conditionOf(gang.status?.conditions ?? [], 'Scheduled')?.message ?? 'waiting'),
  ])
  if (rows.length === 0) return console.log('Nothing runs and nothing waits.')
  console.log(table(['QUEUE', 'GANG', 'PRIORITY', 'STATE'], rows))
}

const troublesMax = 3

/** Why a node takes no work, or soon may not. */
export function troubleOf(node: Node, nowMs: number): string[] {
  const {
    metadata: { name },
    status,
  } = node
  const ready = conditionOf(status?.conditions, 'Ready')
  if (ready !== undefined && ready.status !== 'True')
    return [`node/${name}: ${ready.message ?? ready.reason ?? 'is not ready'}`]
  const because = closedBecause(node)
  if (because === undefined) {
    const { isNear, said } = lemonScore(failuresOf(node), nowMs)
    return isNear ? [`node/${name} fails often: ${said}`] : []
  }
  return [`node/${name} was closed by recovery: ${because} (millwright uncordon ${name})`]
}

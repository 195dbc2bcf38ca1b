import { setTimeout as pause } from 'node:timers/promises'
import { ApiError, type Client } from '../../api/client.ts'
import { conditionOf } from '../../model/conditions.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import { leavingTaint } from '../../model/names.ts'
import { drained, gone, handedOver, leavingBy, opened, withoutTaints, withTaint } from '../../model/nodes.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { shortList } from '../output.ts'

/** A node takes no new work; with `gone`, what ran there is given up as well. */
export async function cordon(
  name: string,
  { gone: isGone = false }: { gone?: boolean },
  global: Global,
): Promise<void> {
  const { client } = await connect(global)
  const ref = await changed(client, name, (node) => {
    const isHeard = conditionOf(node.status?.conditions, 'Ready')?.status !== 'Unknown'
    if (isGone && isHeard)
      throw new Exit(
        exit.failed,
        `node ${node.metadata.name} is heard of, so what runs there can be told to stop; only a silent node is given up. Without --gone it takes no new work.`,
      )
    const taints = isGone ? withTaint(node, gone) : withoutTaints(node, leavingTaint)
    return { metadata: handedOver, spec: { unschedulable: true, taints: taints.length === 0 ? null : taints } }
  })
  const runs = isGone ? 'what ran there is given up' : 'what runs there goes on'
  console.log(`node ${ref.name} takes no new work, ${runs}; \`millwright uncordon ${ref.name}\` opens it again`)
}

/** What runs there leaves in order: jobs with a checkpoint, replicas once others serve in their place. */
export async function drain(name: string, { wait }: { wait: boolean }, global: Global): Promise<void> {
  const { client } = await connect(global)
  const ref = await changed(client, name, (node) => {
    return { metadata: handedOver, spec: { unschedulable: true, taints: withTaint(node, leavingBy(drained)) } }
  })
  console.log(
    `node ${ref.name} takes no new work, and what runs there leaves; \`millwright uncordon ${ref.name}\` ends that`,
  )
  if (wait) await whenEmpty(client, ref.name)
}

async function whenEmpty(client: Client, node: string): Promise<void> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  for (let said = ''; !stop.signal.aborted; ) {
    const pods = (await client.list('Pod')).items.filter(
      ({ spec, status }) => spec.nodeName === node && !isOver(status),
    )
    if (pods.length === 0) return console.log(`node ${node} is empty`)
    const text = shortList(pods.map((pod) => pod.metadata.name))
    if (text !== said) console.error(`waits for ${text}`)
    said = text
    await pause(500, undefined, { signal: stop.signal }).catch(() => undefined)
  }
  console.error(`node ${node} goes on being drained; \`millwright drain ${node}\` waits for it again`)
  process.exitCode = exit.interrupted
}

function isOver(status: Pod['status']): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
}

/** It takes work again, whoever closed it. */
export async function uncordon(name: string, global: Global): Promise<void> {
  const { client } = await connect(global)
  const ref = await changed(client, name, opened)
  console.log(`node ${ref.name} takes work again`)
}

/** As it is when that is written: agents and recovery write to nodes as well, and taints are one list. */
async function changed(
  client: Client,
  word: string,
  edit: (node: Node) => { metadata: object; spec: object },
): Promise<{ name: string }> {
  for (let tries = 1; ; tries++) {
    const node = await found(client, word)
    const { name, resourceVersion } = node.metadata
    const { metadata, spec } = edit(node)
    try {
      await client.patch('Node', { name }, { metadata: { ...metadata, resourceVersion }, spec })
      return { name }
    } catch (error) {
      if (!isConflict(error) || tries === triesMax) throw error
    }
  }
}

const triesMax = 20

function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.status.reason === 'Conflict'
}

async function found(client: Client, word: string): Promise<Node> {
  const name = word.replace(/^.*\//, '')
  const node = await client.get('Node', { name })
  if (node !== undefined) return node
  const names = (await client.list('Node')).items.map(({ metadata }) => metadata.name)
  throw new Exit(
    exit.notFound,
    `there is no node "${name}"; there ${names.length === 1 ? 'is' : 'are'} ${shortList(names)}.`,
  )
}

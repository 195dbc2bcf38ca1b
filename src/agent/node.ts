import { setCondition } from '../model/conditions.ts'
import type { Node } from '../model/kinds/kubernetes.ts'
import { annotation, cpuSlot, gpuResource, label } from '../model/names.ts'
import { gpusHealthy } from '../model/node-conditions.ts'
import { formatMilli } from '../model/quantity.ts'
import type { Store } from '../store/contract.ts'
import type { NodeDescription } from './contract.ts'

/** Makes the Node, or brings it up to date; what others wrote to it (cordon, taints, labels of theirs) stays. */
export async function registerNode(store: Store, node: NodeDescription, nowMs: number): Promise<void> {
  const metadata = {
    name: node.name,
    labels: {
      ...node.labels,
      [label.hostname]: node.name,
      [label.pool]: node.pool,
      [label.accelerator]: node.gpus[0]?.model ?? 'cpu',
    },
    annotations: {
      [annotation.nodeDevices]: JSON.stringify(node.gpus),
      [annotation.portRange]: `${node.ports.from}-${node.ports.to}`,
    },
  }
  const conditionsFor = (known: Node | undefined) => withGpus(conditions(known, nowMs), node, nowMs)
  const status = { ...statusOf(node), conditions: conditionsFor(undefined) }
  const object: Node = { apiVersion: 'v1', kind: 'Node', metadata, spec: {}, status }
  const made = await store.create('Node', object, { withStatus: true })
  if (made !== 'exists') return
  const ref = { name: node.name }
  await store.patch('Node', ref, { metadata: { labels: metadata.labels, annotations: metadata.annotations } })
  const known = await store.get('Node', ref)
  // A merge patch keeps what it does not name: cards that are gone must be named to go.
  const none = node.gpus.length > 0 ? {} : { [gpuResource]: null }
  const patch = {
    ...status,
    capacity: { ...status.capacity, ...none },
    allocatable: { ...status.allocatable, ...none },
    conditions: conditionsFor(known),
  }
  await store.patch('Node', ref, { status: patch }, { status: true })
}

/** The sign of life: Ready, with the time. */
export async function heartbeat(store: Store, name: string, nowMs: number, ready = true): Promise<'ok' | 'missing'> {
  const known = await store.get('Node', { name })
  if (known === undefined) return 'missing'
  const patch = { status: { conditions: conditions(known, nowMs, ready) } }
  return (await store.patch('Node', { name }, patch, { status: true })) === 'missing' ? 'missing' : 'ok'
}

function conditions(
  node: Node | undefined,
  nowMs: number,
  ready = true,
): NonNullable<NonNullable<Node['status']>['conditions']> {
  const reason = ready ? 'AgentReady' : 'AgentStopped'
  const message = ready ? 'the agent runs' : 'the agent was stopped; it comes back with the next start'
  const list = setCondition(
    node?.status?.conditions,
    { type: 'Ready', status: ready ? 'True' : 'False', reason, message },
    nowMs,
  )
  const at = new Date(nowMs).toISOString()
  return list.map((each) => (each.type === 'Ready' ? { ...each, lastHeartbeatTime: at } : each))
}

/** Beside Ready, which is the agent's: whether all its cards can be used. Not there where there is no card. */
function withGpus(list: ReturnType<typeof conditions>, node: NodeDescription, nowMs: number): typeof list {
  if (node.gpus.length === 0 && node.gpuProblem === undefined) return list.filter(({ type }) => type !== gpusHealthy)
  const broken = node.gpus.filter((gpu) => !gpu.healthy)
  const isHealthy = broken.length === 0 && node.gpuProblem === undefined
  const reason = isHealthy ? 'AllUsable' : node.gpuProblem === undefined ? 'GPUBroken' : 'DriverProblem'
  const words = broken.map((gpu) => `${gpu.id} (${gpu.model}): ${gpu.reason ?? 'unhealthy'}`)
  const message = isHealthy ? '' : (node.gpuProblem ?? words.join('; '))
  return setCondition(list, { type: gpusHealthy, status: isHealthy ? 'True' : 'False', reason, message }, nowMs)
}

function statusOf(node: NodeDescription): NonNullable<Node['status']> {
  const healthy = node.gpus.filter((gpu) => gpu.healthy).length
  const common = {
    cpu: formatMilli(node.cpuMilli),
    memory: `${Math.floor(node.memoryBytes / 1024)}Ki`,
    pods: String(node.podsMax),
    [cpuSlot]: String(node.slots),
  }
  return {
    capacity: { ...common, ...(node.gpus.length > 0 ? { [gpuResource]: String(node.gpus.length) } : {}) },
    allocatable: { ...common, ...(node.gpus.length > 0 ? { [gpuResource]: String(healthy) } : {}) },
    addresses: [
      { type: 'InternalIP', address: node.address },
      { type: 'Hostname', address: node.name },
    ],
    nodeInfo: node.info,
  }
}

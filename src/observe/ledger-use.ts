import { countedModels } from '../model/accelerators.ts'
import { conditionOf, isTrue } from '../model/conditions.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Device, Node, Pod } from '../model/kinds/kubernetes.ts'
import { annotation, label } from '../model/names.ts'
import { closedBecause } from '../model/nodes.ts'
import { countOf } from '../model/quantity.ts'
import { keyOf } from '../model/refs.ts'
import { seatsOn } from '../model/seats.ts'

/** Pure: what each slot of a node is used for at one moment. */

/** Every slot-millisecond is in exactly one (DESIGN §1). `provisional` becomes productive, checkpointing, starting or lost. */
export const buckets = [
  'productive',
  'provisional',
  'checkpointing',
  'starting',
  'lost',
  'serving',
  'headroom',
  'draining',
  'reserved',
  'fragmented',
  'unhealthy',
  'idle',
  'unobserved',
] as const
export type Bucket = (typeof buckets)[number]

/** What a slot was doing in each, for people. */
export const meanings: Readonly<Record<Bucket, string>> = {
  productive: 'training that is in a durable checkpoint or in a job that succeeded',
  provisional:
    'training since the last durable checkpoint: productive with the next one, lost if its attempt ends first',
  checkpointing: 'training stood still while a checkpoint was written',
  starting:
    'taken by a pod that does not work yet: preparing, loading, before its first step, not ready, or regrouping',
  lost: 'training in no durable checkpoint when its attempt failed or was evicted, or its job failed or was deleted',
  serving: 'a replica with requests under way',
  headroom: 'a replica that is ready and has none',
  draining: 'taken by a pod on its way out',
  reserved: 'free, on a node that is kept as a spare or that somebody closed to new work',
  fragmented: 'free, and enough for a gang that waits, but lying where its members do not fit',
  unhealthy: 'on a node or device that is broken, silent or suspected',
  idle: 'free, and nobody that could use it waits',
  unobserved: 'nobody looked: the control plane was down or stopped',
}

export interface Use {
  bucket: Bucket
  queue: string
  owner: string
  /** For provisional time: whose (`namespace/name`), and whether a first step was seen. */
  gang?: string
  stepping?: boolean
}

export interface Share {
  use: Use
  /** Thousandths of a slot. */
  milli: number
}

export interface Slot {
  id: string
  model: string
  healthy: boolean
}

/** What is known around a node. */
export interface Scene {
  node: Node
  /** Its pool keeps it for who loses a node. */
  isSpare: boolean
  gangs: readonly Gang[]
  pods: readonly Pod[]
  podOf(gang: Gang, name: string): Pod | undefined
  /** Requests under way at a service's pod, by the gateway's report. */
  inFlightOf(pod: Pod): number
  /** Whether some member of the gang was seen to step in its present attempt. */
  steps(gang: Gang): boolean
  /** Whether this pod was. */
  hasStepped(pod: Pod): boolean
}

/** The node's slots as the scheduler names them: listed by the agent, or counted where only counts are known. */
export function slotsOf(node: Node): Slot[] {
  const listed = listedDevices(node).map(({ id, model, healthy }) => ({ id, model, healthy }))
  const allocatable = node.status?.allocatable ?? {}
  const counted = (resource: string, model: string): Slot[] => {
    if (listed.some((device) => device.model === model)) return []
    const count = Math.floor(countOf(allocatable[resource] ?? 0))
    return Array.from({ length: count }, (_, index) => ({ id: `${model}-${index}`, model, healthy: true }))
  }
  const models = countedModels(node.metadata.labels, allocatable)
  return [...listed, ...models.flatMap(({ resource, model }) => counted(resource, model))]
}

/** The shares of all slots of one accelerator model; they add up to its slots. */
export function sharesOf(slots: readonly Slot[], scene: Scene): Share[] {
  const claims = claimsOn(scene)
  const shares: Share[] = []
  for (const slot of slots) {
    let free = 1000
    for (const claim of claims.get(slot.id) ?? []) {
      const milli = Math.min(free, claim.milli)
      if (milli > 0) shares.push({ use: claim.use, milli })
      free -= milli
    }
    if (free > 0) shares.push({ use: freeUse(slot, scene), milli: free })
  }
  return shares
}

export function ownerOf({ metadata }: Gang | Pod): string {
  const namespace = metadata.namespace ?? 'default'
  const job = metadata.labels?.[label.job]
  if (job !== undefined) return `TrainingJob/${namespace}/${job}`
  const service = metadata.labels?.[label.service]
  if (service !== undefined) return `InferenceService/${namespace}/${service}`
  return `Gang/${namespace}/${metadata.labels?.[label.gang] ?? metadata.name}`
}

/** Pods that hold devices first: what runs is more certain than what was promised. */
function claimsOn(scene: Scene): Map<string, Share[]> {
  const { node, gangs, pods } = scene
  const claims = new Map<string, Share[]>()
  const add = (id: string, share: Share) => {
    const known = claims.get(id)
    if (known === undefined) claims.set(id, [share])
    else known.push(share)
  }
  const seated = new Set<string>()
  const queues = new Map(gangs.map((gang) => [gang.metadata.name, gang.spec.queue]))
  for (const gang of gangs) {
    if (gang.spec.suspend || gang.status?.seats?.attempt !== gang.spec.attempt) continue
    for (const member of seatsOn(gang.status.seats.members, node.metadata.name)) {
      const pod = scene.podOf(gang, member.pod)
      if (pod !== undefined) seated.add(pod.metadata.uid ?? '')
      const use = useOf(gang, pod, member.joined === true, scene)
      for (const device of member.devices) add(device.id, { use, milli: device.milli })
    }
  }
  for (const pod of pods) {
    // Still on its devices, though nothing wants it there any more.
    if (seated.has(pod.metadata.uid ?? '') || hasEnded(pod)) continue
    const queue = queues.get(pod.metadata.labels?.[label.gang] ?? '') ?? ''
    const use: Use = { bucket: 'draining', queue, owner: ownerOf(pod) }
    for (const id of pod.metadata.annotations?.[annotation.devices]?.split(',') ?? []) {
      claims.set(id, [{ use, milli: 1000 }, ...(claims.get(id) ?? [])])
    }
  }
  return claims
}

/** What a seat is used for. */
function useOf(gang: Gang, pod: Pod | undefined, joins: boolean, scene: Scene): Use {
  const who = { queue: gang.spec.queue, owner: ownerOf(gang) }
  if (pod === undefined || pod.status?.phase === 'Failed') return { bucket: 'starting', ...who }
  if (hasEnded(pod) || pod.metadata.deletionTimestamp !== undefined) return { bucket: 'draining', ...who }
  if (gang.metadata.labels?.[label.service] !== undefined) {
    if (!isTrue(pod.status?.conditions, 'Ready')) return { bucket: 'starting', ...who }
    return { bucket: scene.inFlightOf(pod) > 0 ? 'serving' : 'headroom', ...who }
  }
  if (pod.status?.phase !== 'Running' || (joins && !scene.hasStepped(pod))) return { bucket: 'starting', ...who }
  return { bucket: 'provisional', ...who, gang: keyOf(gang), stepping: scene.steps(gang) }
}

/** Whether what is idle is fragmented cannot be told of one node alone. */
function freeUse(slot: Slot, { node, isSpare }: Scene): Use {
  const nobody = { queue: '', owner: '' }
  const ready = conditionOf(node.status?.conditions, 'Ready')
  if (!slot.healthy || (ready !== undefined && ready.status !== 'True')) return { bucket: 'unhealthy', ...nobody }
  if (closedBecause(node) !== undefined) return { bucket: 'unhealthy', ...nobody }
  if (isSpare || node.spec?.unschedulable === true) return { bucket: 'reserved', ...nobody }
  return { bucket: 'idle', ...nobody }
}

export function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

function listedDevices(node: Node): Device[] {
  const text = node.metadata.annotations?.[annotation.nodeDevices]
  if (text === undefined) return []
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value.filter(isDevice) : []
  } catch {
    return [] // written by an agent that we do not know: its counts still hold
  }
}

function isDevice(value: unknown): value is Device {
  if (typeof value !== 'object' || value === null) return false
  return 'id' in value && typeof value.id === 'string' && 'model' in value && typeof value.model === 'string'
}

/** One share per use. */
export function merged(shares: readonly Share[]): Share[] {
  const found: Share[] = []
  for (const { use, milli } of shares) {
    const same = found.find((share) => isSameUse(share.use, use))
    if (same === undefined) found.push({ use, milli })
    else Object.assign(same, { use, milli: milli + same.milli })
  }
  return found
}

function isSameUse(a: Use, b: Use): boolean {
  return a.bucket === b.bucket && a.queue === b.queue && a.owner === b.owner && a.gang === b.gang
}

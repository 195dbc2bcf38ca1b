import { assert } from '../base/errors.ts'
import type { Device, Node, Pod } from '../model/kinds/kubernetes.ts'
import { annotation, cpuSlot, gpuResource, label } from '../model/names.ts'
import { bytesOf, milliOf } from '../model/quantity.ts'

/**
 * What the nodes have and who holds it. A claim is counted once per pod, whether it is known from committed seats, from
 * the live pod, or from both.
 */
export class Fleet {
  readonly nodes = new Map<string, NodeState>()
  /** Rises whenever something that did not fit before might fit now. */
  generation = 0
  readonly #claims = new Map<string, Sources>()
  #models: readonly string[] | undefined
  readonly #usage = new Map<string, Map<string, number>>()

  setNode(object: Node): void {
    const before = this.nodes.get(object.metadata.name)
    if (before !== undefined && sameNode(before.object, object)) {
      before.object = object
      return
    }
    const node = nodeFrom(object)
    for (const [key, claim] of before?.claims ?? this.#claimsOn(object.metadata.name)) take(node, key, claim)
    if (before !== undefined) node.nextPort = before.nextPort
    this.nodes.set(node.name, node)
    this.#models = undefined
    this.generation++
  }

  removeNode(name: string): void {
    this.nodes.delete(name)
    this.#models = undefined
  }

  /** Sets or clears what `pod` holds according to one source; seats win where both are known. */
  setClaim(pod: string, source: 'seat' | 'pod', claim: Claim | undefined): void {
    const sources = this.#claims.get(pod) ?? {}
    const before = effective(sources)
    if (claim === undefined) delete sources[source]
    else sources[source] = claim
    const after = effective(sources)
    if (after === undefined) this.#claims.delete(pod)
    else this.#claims.set(pod, sources)
    if (before === after) return
    if (before !== undefined) this.#drop(pod, before)
    if (after !== undefined) this.#add(pod, after)
  }

  /** Accelerator models that the nodes have, sorted. */
  models(): readonly string[] {
    this.#models ??= [
      ...new Set([...this.nodes.values()].flatMap((node) => [...node.devices.values()].map((device) => device.model))),
    ].toSorted()
    return this.#models
  }

  claimOf(pod: string): Claim | undefined {
    return effective(this.#claims.get(pod) ?? {})
  }

  /** Milli-accelerators of `model` that the gangs of `queue` hold. */
  usage(queue: string, model: string): number {
    return this.#usage.get(queue)?.get(model) ?? 0
  }

  /** Every claim, by pod. */
  *claims(): IterableIterator<[string, Claim]> {
    for (const [pod, sources] of this.#claims) {
      const claim = effective(sources)
      if (claim !== undefined) yield [pod, claim]
    }
  }

  #add(pod: string, claim: Claim): void {
    const node = this.nodes.get(claim.node)
    if (node !== undefined) take(node, pod, claim)
    this.#count(claim, 1)
  }

  #drop(pod: string, claim: Claim): void {
    const node = this.nodes.get(claim.node)
    if (node !== undefined) give(node, pod, claim)
    this.#count(claim, -1)
    this.generation++
  }

  #count(claim: Claim, sign: 1 | -1): void {
    if (claim.queue === undefined) return
    const models = this.#usage.get(claim.queue) ?? new Map<string, number>()
    this.#usage.set(claim.queue, models)
    for (const device of claim.devices) {
      models.set(claim.model, (models.get(claim.model) ?? 0) + sign * device.milli)
    }
  }

  *#claimsOn(node: string): IterableIterator<[string, Claim]> {
    for (const [pod, claim] of this.claims()) if (claim.node === node) yield [pod, claim]
  }
}

/** What one pod holds of one node. */
export interface Claim {
  node: string
  model: string
  devices: readonly { id: string; milli: number }[]
  cpuMilli: number
  memoryBytes: number
  ports: readonly number[]
  gang?: string | undefined
  queue?: string | undefined
}

interface Sources {
  seat?: Claim
  pod?: Claim
}

export interface DeviceState {
  id: string
  model: string
  /** What CUDA_VISIBLE_DEVICES calls it. */
  visible: string
  healthy: boolean
  usedMilli: number
}

export interface NodeState {
  name: string
  object: Node
  /** Nodes near each other sort near each other. */
  place: string
  labels: Readonly<Record<string, string>>
  /** Why nothing new may start here; undefined when it may. */
  closed: string | undefined
  address: string
  devices: Map<string, DeviceState>
  cpuMilli: number
  cpuMilliFree: number
  memoryBytes: number
  memoryBytesFree: number
  ports: { from: number; to: number } | undefined
  portsUsed: Map<number, number>
  /** Ports are given in turn, so that a port that was just freed rests before it is used again. */
  nextPort: number
  claims: Map<string, Claim>
}

/** Seats win: they are the decision, and the pod's annotations repeat them. */
function effective(sources: Sources): Claim | undefined {
  return sources.seat ?? sources.pod
}

/** Takes what the claim names. Not limited to what is free: what others already hold is a fact, whatever it sums to. */
export function take(node: NodeState, pod: string, claim: Claim): void {
  assert(!node.claims.has(pod), `pod ${pod} claims on node ${node.name} twice`)
  node.claims.set(pod, claim)
  shift(node, claim, 1)
}

export function give(node: NodeState, pod: string, claim: Claim): void {
  assert(node.claims.delete(pod), `pod ${pod} gives back what it never held on node ${node.name}`)
  shift(node, claim, -1)
}

function shift(node: NodeState, claim: Claim, sign: 1 | -1): void {
  for (const held of claim.devices) {
    const device = node.devices.get(held.id)
    if (device !== undefined) device.usedMilli += sign * held.milli
  }
  node.cpuMilliFree -= sign * claim.cpuMilli
  node.memoryBytesFree -= sign * claim.memoryBytes
  for (const port of claim.ports) {
    const uses = (node.portsUsed.get(port) ?? 0) + sign
    if (uses > 0) node.portsUsed.set(port, uses)
    else node.portsUsed.delete(port)
  }
}

function nodeFrom(object: Node): NodeState {
  const { name } = object.metadata
  const labels = object.metadata.labels ?? {}
  const allocatable = object.status?.allocatable ?? object.status?.capacity ?? {}
  const cpuMilli = milliOf(allocatable['cpu'] ?? 0)
  const memoryBytes = bytesOf(allocatable['memory'] ?? 0)
  const ports = portRange(object)
  return {
    name,
    object,
    place: [labels[label.zone] ?? '', labels[label.rack] ?? '', name].join('\u0000'),
    labels,
    closed: closedBecause(object),
    address: object.status?.addresses?.find((address) => address.type === 'InternalIP')?.address ?? '127.0.0.1',
    devices: new Map(devicesOf(object, allocatable).map((device) => [device.id, device])),
    cpuMilli,
    cpuMilliFree: cpuMilli,
    memoryBytes,
    memoryBytesFree: memoryBytes,
    ports,
    portsUsed: new Map(),
    nextPort: ports?.from ?? 0,
    claims: new Map(),
  }
}

/** The agent lists its accelerators; where only counts are known (device plugins), they get numbers. */
function devicesOf(object: Node, allocatable: Readonly<Record<string, string | number>>): DeviceState[] {
  const listed = listedDevices(object).map((device) => ({
    id: device.id,
    model: device.model,
    visible: device.model === 'cpu' ? '' : (device.uuid ?? device.id),
    healthy: device.healthy,
    usedMilli: 0,
  }))
  const counted = (resource: string, model: string, visible: boolean): DeviceState[] => {
    if (listed.some((device) => device.model === model)) return []
    const count = Math.floor(milliOf(allocatable[resource] ?? 0) / 1000)
    return Array.from({ length: count }, (_, index) => ({
      id: `${model}-${index}`,
      model,
      visible: visible ? String(index) : '',
      healthy: true,
      usedMilli: 0,
    }))
  }
  const gpu = object.metadata.labels?.[label.accelerator] ?? 'gpu'
  return [...listed, ...counted(gpuResource, gpu, true), ...counted(cpuSlot, 'cpu', false)]
}

/** What CUDA_VISIBLE_DEVICES becomes for a member that holds these devices of the node; empty for slots. */
export function visibleDevices(node: Node, ids: readonly string[]): string {
  const known = new Map(devicesOf(node, node.status?.allocatable ?? {}).map((device) => [device.id, device.visible]))
  return ids.flatMap((id) => known.get(id) || []).join(',')
}

function listedDevices(object: Node): Device[] {
  const text = object.metadata.annotations?.[annotation.nodeDevices]
  if (text === undefined) return []
  try {
    const parsed: unknown = JSON.parse(text)
    return Array.isArray(parsed) ? parsed.filter(isDevice) : []
  } catch {
    return [] // an agent of another version, or a hand that edited the node: it offers nothing
  }
}

function isDevice(value: unknown): value is Device {
  return (
    typeof value === 'object' &&
    value !== null &&
    'id' in value &&
    typeof value.id === 'string' &&
    'model' in value &&
    typeof value.model === 'string' &&
    'healthy' in value &&
    typeof value.healthy === 'boolean'
  )
}

function portRange(object: Node): { from: number; to: number } | undefined {
  const match = /^([0-9]{1,5})-([0-9]{1,5})$/.exec(object.metadata.annotations?.[annotation.portRange] ?? '')
  if (match === null) return undefined
  const [from, to] = [Number(match[1]), Number(match[2])]
  return from >= 1 && from <= to && to <= 65_535 ? { from, to } : undefined
}

function closedBecause(object: Node): string | undefined {
  if (object.metadata.deletionTimestamp !== undefined) return 'is being removed'
  if (object.spec?.unschedulable === true) return 'is cordoned'
  const ready = object.status?.conditions?.find((condition) => condition.type === 'Ready')
  if (ready !== undefined && ready.status !== 'True') return 'is not ready'
  return undefined
}

/** Whether nothing that placement reads has changed: agents write their nodes every few seconds just to be heard. */
function sameNode(a: Node, b: Node): boolean {
  return a === b || signature(a) === signature(b)
}

function signature(node: Node): string {
  const { labels, annotations } = node.metadata
  return JSON.stringify([
    labels,
    annotations?.[annotation.nodeDevices],
    annotations?.[annotation.portRange],
    node.spec?.taints,
    closedBecause(node),
    node.status?.allocatable ?? node.status?.capacity,
    node.status?.addresses,
  ])
}

/** What a pod that is bound and has not ended holds; undefined when it holds nothing. */
export function claimFromPod(
  pod: Pod,
  queue: string | undefined,
  model: (id: string) => string | undefined,
): Claim | undefined {
  const node = pod.spec.nodeName
  if (node === undefined || hasEnded(pod)) return undefined
  const annotations = pod.metadata.annotations ?? {}
  const ids = split(annotations[annotation.devices])
  const gang = pod.metadata.labels?.[label.gang]
  return {
    node,
    model: (ids[0] === undefined ? undefined : model(ids[0])) ?? 'cpu',
    devices: ids.map((id) => ({ id, milli: 1000 })),
    cpuMilli: requested(pod, (resources) => milliOf(resources['cpu'] ?? 0)),
    memoryBytes: requested(pod, (resources) => bytesOf(resources['memory'] ?? 0)),
    ports: split(annotations[annotation.ports]).map(Number),
    gang: gang === undefined ? undefined : `${pod.metadata.namespace ?? 'default'}/${gang}`,
    queue,
  }
}

export function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

function split(text: string | undefined): string[] {
  return text === undefined || text === '' ? [] : text.split(',')
}

function requested(pod: Pod, read: (resources: Readonly<Record<string, string | number>>) => number): number {
  return pod.spec.containers.reduce(
    (sum, one) => sum + read({ ...one.resources?.limits, ...one.resources?.requests }),
    0,
  )
}

import { countedModels } from '../../model/accelerators.ts'
import { capacityTypeOf } from '../../model/capacity.ts'
import type { Device, Node } from '../../model/kinds/kubernetes.ts'
import { annotation, gpuResource } from '../../model/names.ts'
import { bytesOf, milliOf } from '../../model/quantity.ts'
import { placeOf } from './fabric.ts'
import type { DeviceState, NodeState } from './nodes.ts'

/** A node as Kubernetes, or the agent of this machine, describes it; nothing is held of it yet. */
export function nodeFrom(object: Node): NodeState {
  const { name } = object.metadata
  const labels = object.metadata.labels ?? {}
  const allocatable = object.status?.allocatable ?? object.status?.capacity ?? {}
  const cpuMilli = milliOf(allocatable['cpu'] ?? 0)
  const memoryBytes = bytesOf(allocatable['memory'] ?? 0)
  const ports = portRange(object)
  const devices = devicesOf(object, allocatable)
  return {
    name,
    object,
    index: -1,
    place: placeOf(labels),
    labels,
    capacityType: capacityTypeOf(labels),
    closed: closedBecause(object),
    address: object.status?.addresses?.find((address) => address.type === 'InternalIP')?.address ?? '127.0.0.1',
    devices: new Map(devices.map((device) => [device.id, device])),
    banks: banksOf(devices),
    cpuMilli,
    cpuMilliFree: cpuMilli,
    memoryBytes,
    memoryBytesFree: memoryBytes,
    ports,
    portsUsed: new Map(),
    isSliced: labels[migStrategy] === 'single',
    podsMax: allocatable['pods'] === undefined ? undefined : Math.floor(milliOf(allocatable['pods']) / 1000),
    nextPort: ports?.from ?? 0,
    claims: new Map(),
  }
}

/** NVIDIA's GPU Operator: with "single", what a node counts as its GPUs are slices of them, all alike. */
const migStrategy = 'nvidia.com/mig.strategy'

function banksOf(devices: readonly DeviceState[]): Map<string, DeviceState[]> {
  const banks = new Map<string, DeviceState[]>()
  for (const device of devices) {
    const bank = banks.get(device.model)
    if (bank === undefined) banks.set(device.model, [device])
    else bank.push(device)
  }
  return banks
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
  const models = countedModels(object.metadata.labels, allocatable)
  return [...listed, ...models.flatMap(({ resource, model }) => counted(resource, model, resource === gpuResource))]
}

/** What CUDA_VISIBLE_DEVICES becomes for a member that holds these devices of the node; empty for slots. */
export function visibleDevices(node: Node, ids: readonly string[]): string {
  const known = new Map(devicesOf(node, node.status?.allocatable ?? {}).map((device) => [device.id, device.visible]))
  return ids.flatMap((id) => known.get(id) || []).join(',')
}

/** The devices that its agent tells. */
export function listedDevices(object: Node): Device[] {
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
export function sameNode(a: Node, b: Node): boolean {
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

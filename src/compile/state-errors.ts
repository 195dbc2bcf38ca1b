import { countedModels } from '../model/accelerators.ts'
import { fieldError, shown } from '../model/field-error.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import type { Queue } from '../model/kinds/queue.ts'
import { migProfile } from '../model/mig.ts'
import { annotation, cpuSlot, gpuResource, label } from '../model/names.ts'
import { nearest } from '../model/nearest.ts'
import { milliOf, readQuantity } from '../model/quantity.ts'
import type { DocumentError, WrittenDocument } from './documents.ts'

/** An object, and the document that it was written in or made from. */
export interface Placed<T> {
  object: T
  document: WrittenDocument
}

export interface PlacedState {
  nodes: Placed<Node>[]
  queues: Placed<Queue>[]
  gangs: Placed<Gang>[]
  pods: Placed<Pod>[]
}

type At = readonly (string | number)[]
interface Problem {
  at: At
  message: string
  found?: string
  suggestion?: string | undefined
}

/**
 * What is wrong with a state although each of its objects is right: what it names is not there, is promised twice, or is
 * more than any machine has. The scheduler may rely on the rest.
 */
export function stateErrors(state: PlacedState): DocumentError[] {
  const devices = new Map(state.nodes.map(({ object }) => [object.metadata.name, devicesOf(object)]))
  const promised = new Map<string, Promise>()
  const models = new Set<string>()
  return [
    ...queueErrors(state.queues),
    ...state.nodes.flatMap((node) => placed(node, nodeProblems(node.object, models))),
    ...state.gangs.flatMap((gang) => placed(gang, gangProblems(gang, devices, promised))),
    ...state.pods.flatMap((pod) => placed(pod, podProblems(pod.object, devices))),
  ].slice(0, errorsMax)
}

/** Nobody mends more in one go. */
const errorsMax = 1000
const devicesMax = 1024
const modelsMax = 256
const queueDepthMax = 64

function placed({ document }: Placed<unknown>, problems: Iterable<Problem>): DocumentError[] {
  const errors: DocumentError[] = []
  for (const { at, message, found, suggestion } of problems) {
    errors.push({ ...fieldError(at, message, { found, suggestion }), file: document.file, ...document.positionOf(at) })
  }
  return errors
}

// ---- queues ----

/** Parents that are not there; each cycle once, at the first of its queues; and trees that nobody would draw. */
function queueErrors(queues: readonly Placed<Queue>[]): DocumentError[] {
  const byName = new Map(queues.map((queue) => [queue.object.metadata.name, queue]))
  const depths = new Map<string, number>()
  return queues.flatMap((queue) => {
    const { parent } = queue.object.spec
    if (parent !== undefined && !byName.has(parent)) {
      return placed(queue, [
        {
          at: ['spec', 'parent'],
          message: 'names a Queue that is not in this state',
          found: shown(parent),
          suggestion: nearest(parent, [...byName.keys()]),
        },
      ])
    }
    const path = new Set<string>()
    let name: string | undefined = queue.object.metadata.name
    while (name !== undefined && !depths.has(name) && !path.has(name)) {
      path.add(name)
      name = byName.get(name)?.object.spec.parent
    }
    const isCycle = name !== undefined && path.has(name)
    let depth = name === undefined ? 0 : (depths.get(name) ?? 0)
    for (const one of [...path].toReversed()) depths.set(one, isCycle ? 0 : ++depth)
    if (isCycle && name !== undefined) {
      const names = [...path]
      const cycle = [...names.slice(names.indexOf(name)).slice(0, queueDepthMax), name]
      return placed(queue, [{ at: ['spec', 'parent'], message: `makes a cycle of queues: ${cycle.join(' → ')}` }])
    }
    if ((depths.get(queue.object.metadata.name) ?? 0) <= queueDepthMax) return []
    return placed(queue, [{ at: ['spec', 'parent'], message: `is nested deeper than ${queueDepthMax} queues` }])
  })
}

// ---- nodes ----

function* nodeProblems({ metadata, status }: Node, models: Set<string>): Iterable<Problem> {
  for (const field of ['capacity', 'allocatable'] as const) {
    for (const [name, value] of Object.entries(status?.[field] ?? {})) {
      const at = ['status', field, name]
      const read = readQuantity(value)
      if ('problem' in read) yield { at, message: read.problem, found: shown(value) }
      else if (isCounted(name) && milliOf(value) > devicesMax * 1000) {
        yield { at, message: `must be at most ${devicesMax}: no machine has more`, found: shown(value) }
      }
    }
  }
  const at = ['metadata', 'annotations', annotation.nodeDevices]
  const listed = listedDevices(metadata.annotations?.[annotation.nodeDevices])
  if (typeof listed === 'string') yield { at, message: listed }
  const own = metadata.labels?.[label.accelerator]
  if (own !== undefined) models.add(own)
  if (typeof listed !== 'string') for (const { model } of listed) models.add(model)
  if (models.size <= modelsMax) return
  models.clear()
  yield {
    at: own === undefined ? at : ['metadata', 'labels', label.accelerator],
    message: `makes more than ${modelsMax} accelerator models`,
  }
}

function isCounted(resource: string): boolean {
  return resource === gpuResource || resource === cpuSlot || migProfile(resource) !== undefined
}

function listedDevices(text: string | undefined): { id: string; model: string }[] | string {
  const listed = text === undefined ? [] : parsed(text)
  const wanted = 'must be a JSON list of {"id", "model", "healthy"}'
  if (!Array.isArray(listed)) return wanted
  if (listed.length > devicesMax) return `lists more than ${devicesMax} devices: no machine has more`
  const ids = new Set<string>()
  for (const device of listed) {
    if (!isDevice(device)) return wanted
    if (ids.has(device.id)) return `lists device ${shown(device.id)} twice`
    ids.add(device.id)
  }
  return listed
}

function isDevice(value: unknown): value is { id: string; model: string; healthy: boolean } {
  if (typeof value !== 'object' || value === null) return false
  if (!('id' in value && 'model' in value && 'healthy' in value)) return false
  return typeof value.id === 'string' && typeof value.model === 'string' && typeof value.healthy === 'boolean'
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Ids of the node's devices: those that it lists, and numbers where it only counts. */
function devicesOf({ metadata, status }: Node): ReadonlySet<string> {
  const listed = parsed(metadata.annotations?.[annotation.nodeDevices] ?? '[]')
  const ids = new Set(Array.isArray(listed) ? listed.filter(isDevice).map(({ id }) => id) : [])
  const allocatable = status?.allocatable ?? status?.capacity ?? {}
  const count = (resource: string, model: string) => {
    const read = readQuantity(allocatable[resource] ?? 0)
    const devices = 'nano' in read ? Math.min(devicesMax, Math.floor(milliOf(allocatable[resource] ?? 0) / 1000)) : 0
    for (let index = 0; index < devices; index++) ids.add(`${model}-${index}`)
  }
  for (const { resource, model } of countedModels(metadata.labels, allocatable)) count(resource, model)
  return ids
}

// ---- gangs ----

type Devices = ReadonlyMap<string, ReadonlySet<string>>
interface Promise {
  milli: number
  to: string
}

function* gangProblems(
  { object: gang, document }: Placed<Gang>,
  devices: Devices,
  promised: Map<string, Promise>,
): Iterable<Problem> {
  const { spec, status } = gang
  if (document.admitted.kind !== 'Gang') return // made here
  const names = new Set<string>()
  for (const [i, { name }] of spec.groups.entries()) {
    if (names.has(name))
      yield { at: ['spec', 'groups', i, 'name'], message: 'is taken by another group', found: shown(name) }
    names.add(name)
  }
  yield* timeProblems(gang)
  if (status?.seats !== undefined) {
    yield* seatProblems(status.seats.members, ['status', 'seats', 'members'], devices)
    yield* promiseProblems(gang, promised)
  }
  if (status?.hold !== undefined) yield* seatProblems(status.hold.members, ['status', 'hold', 'members'], devices)
}

/** Prices and ends are reckoned from these. */
function* timeProblems({ status }: Gang): Iterable<Problem> {
  const times: [At, string | undefined][] = [
    [['status', 'seats', 'at'], status?.seats?.at],
    [['status', 'hold', 'at'], status?.hold?.at],
    [['status', 'checkpoint', 'at'], status?.checkpoint?.at],
    [['status', 'expectedEnd'], status?.expectedEnd],
    [['status', 'expectedEndRange', 'earliest'], status?.expectedEndRange?.earliest],
    [['status', 'expectedEndRange', 'latest'], status?.expectedEndRange?.latest],
  ]
  for (const [at, text] of times) {
    if (text === undefined || !Number.isNaN(Date.parse(text))) continue
    yield { at, message: 'must be a time such as 2026-01-01T00:00:00Z', found: shown(text) }
  }
}

type Members = NonNullable<NonNullable<Gang['status']>['seats']>['members']

function* seatProblems(members: Members, at: At, devices: Devices): Iterable<Problem> {
  const pods = new Set<string>()
  for (const [i, member] of members.entries()) {
    if (pods.has(member.pod)) yield { at: [...at, i, 'pod'], message: 'sits twice', found: shown(member.pod) }
    pods.add(member.pod)
    if (devices.size === 0) continue
    const there = devices.get(member.node)
    if (there === undefined) yield { at: [...at, i, 'node'], ...unknownNode(member.node, devices) }
    for (const [j, { id }] of member.devices.entries()) {
      if (there === undefined || there.has(id)) continue
      yield { at: [...at, i, 'devices', j, 'id'], message: `is no device of node ${member.node}`, found: shown(id) }
    }
  }
}

function* promiseProblems({ metadata, status }: Gang, promised: Map<string, Promise>): Iterable<Problem> {
  const name = `${metadata.namespace ?? 'default'}/${metadata.name}`
  for (const [i, member] of (status?.seats?.members ?? []).entries()) {
    for (const [j, { id, milli }] of member.devices.entries()) {
      const key = `${member.node}/${id}`
      const before = promised.get(key)
      promised.set(key, { milli: milli + (before?.milli ?? 0), to: name })
      if (before === undefined || before.milli + milli <= 1000) continue
      yield {
        at: ['status', 'seats', 'members', i, 'devices', j, 'id'],
        message: `of node ${member.node} is promised twice: gang ${before.to} has it too`,
        found: shown(id),
      }
    }
  }
}

// ---- pods ----

function* podProblems({ metadata, spec, status }: Pod, devices: Devices): Iterable<Problem> {
  const hasEnded = status?.phase === 'Succeeded' || status?.phase === 'Failed'
  if (spec.nodeName === undefined || hasEnded || devices.size === 0) return
  const there = devices.get(spec.nodeName)
  if (there === undefined) {
    yield { at: ['spec', 'nodeName'], ...unknownNode(spec.nodeName, devices) }
    return
  }
  const ids = metadata.annotations?.[annotation.devices]?.split(',') ?? []
  const unknown = ids.find((id) => id !== '' && !there.has(id))
  if (unknown === undefined) return
  const at = ['metadata', 'annotations', annotation.devices]
  yield { at, message: `names what is no device of node ${spec.nodeName}`, found: shown(unknown) }
}

function unknownNode(name: string, devices: Devices): Omit<Problem, 'at'> {
  return {
    message: 'names a Node that is not in this state; add it, or leave this out',
    found: shown(name),
    suggestion: nearest(name, [...devices.keys()]),
  }
}

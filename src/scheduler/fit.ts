import { assert } from '../base/errors.ts'
import { anyGpu, cpuModel } from '../model/accelerators.ts'
import type { Gang } from '../model/kinds/gang.ts'
import { type Claim, type Fleet, give, type NodeState, take } from './fleet.ts'

/** Nodes that a gang further up the line waits for, by accelerator model, and that gang. */
export type Reserved = ReadonlyMap<string, ReadonlyMap<string, string>>

export interface FitRequest {
  gang: string
  object: Gang
  /** Milli-accelerators of each model that its queue's quota still leaves; absent means unlimited. */
  quotaLeft: ReadonlyMap<string, number>
  reserved: Reserved
}

export type Fit = { fits: true; placed: Placed[] } | { fits: false; shortage: Shortage }

/** One member's place, before it has a rank. */
export interface Placed {
  group: number
  node: NodeState
  claim: Claim
}

export type Group = Gang['spec']['groups'][number]
export type Alternative = Group['accelerators'][number]

/** What kept a group out, by the last thing that would have had to be different. */
export interface Shortage {
  kind: 'accelerators' | 'cpu' | 'memory' | 'ports' | 'nodes' | 'quota' | 'behind' | 'never'
  group: Group
  alternative: Alternative
  /** Members of the group that would fit now. */
  membersFit: number
  /** Nodes that members could sit on if they were empty: what the gang waits for. */
  nodes: ReadonlySet<string>
  /** For 'behind': the gang further up the line. */
  ahead?: string | undefined
}

/**
 * Seats every member or none: half a gang burns accelerators waiting for its other half. Groups are placed in order,
 * each on the first of its alternatives that holds at least `min` members, on as few nodes as possible. Leaves the
 * fleet as it was; the caller claims what it takes.
 */
export function fitGang(fleet: Fleet, request: FitRequest): Fit {
  const placed: Placed[] = []
  const quotaLeft = new Map(request.quotaLeft)
  let shortage: Shortage | undefined
  for (const [index, group] of request.object.spec.groups.entries()) {
    const choice = chooseNodes(fleet, request.reserved, group, quotaLeft)
    if ('shortage' in choice) {
      shortage = choice.shortage
      break
    }
    for (const node of choice.nodes) {
      const claim = claimOn(node, request, group, choice.alternative)
      take(node, scratchPod(placed.length), claim)
      placed.push({ group: index, node, claim })
    }
  }
  for (const [index, { node, claim }] of placed.entries()) give(node, scratchPod(index), claim)
  return shortage === undefined ? { fits: true, placed } : { fits: false, shortage }
}

/** No pod is called that: a claim under it lasts only while a gang is being fitted. */
const scratchPod = (index: number) => `\u0000${index}`

/** The node of each member and the alternative taken, or why the most preferred alternative that could ever fit does not. */
function chooseNodes(
  fleet: Fleet,
  reserved: Reserved,
  group: Group,
  quotaLeft: Map<string, number>,
): { nodes: NodeState[]; alternative: Alternative } | { shortage: Shortage } {
  const shortages: Shortage[] = []
  for (const alternative of group.accelerators.flatMap((one) => concrete(fleet, one))) {
    const perMember = Math.ceil(alternative.count * 1000)
    const quota = quotaLeft.get(alternative.model)
    const byQuota = quota === undefined || perMember === 0 ? group.max : Math.max(0, Math.floor(quota / perMember))
    const survey = surveyNodes(fleet, group, alternative, reserved.get(alternative.model))
    const members = Math.min(group.max, survey.members, byQuota)
    if (members >= group.min) {
      if (quota !== undefined) quotaLeft.set(alternative.model, quota - members * perMember)
      return { nodes: spread(survey.rooms, members), alternative }
    }
    shortages.push(shortageOf(fleet, group, alternative, survey, byQuota))
  }
  const shortage = shortages.find((one) => one.kind !== 'never') ?? shortages[0]
  assert(shortage !== undefined, 'a group names at least one accelerator')
  return { shortage }
}

/** "Any GPU" means one model for all members of the group, whichever has room. */
function concrete(fleet: Fleet, alternative: Alternative): Alternative[] {
  if (alternative.model !== anyGpu) return [alternative]
  const models = fleet.models().filter((model) => model !== cpuModel)
  return models.length === 0 ? [alternative] : models.map((model) => ({ ...alternative, model }))
}

interface Survey {
  rooms: { node: NodeState; members: number }[]
  members: number
  /** Members that would fit if no node were kept for a gang further up the line. */
  membersUnreserved: number
  /** Nodes where at least one member would fit were they empty, and how many members in all. */
  could: Set<string>
  couldMembers: number
  /** The gang that the first of those nodes is kept for. */
  ahead: string | undefined
}

function surveyNodes(
  fleet: Fleet,
  group: Group,
  alternative: Alternative,
  reserved: ReadonlyMap<string, string> | undefined,
): Survey {
  const survey: Survey = {
    rooms: [],
    members: 0,
    membersUnreserved: 0,
    could: new Set(),
    couldMembers: 0,
    ahead: undefined,
  }
  for (const node of fleet.nodes.values()) {
    if (!admits(node, group)) continue
    const whenEmpty = roomOn(node, group, alternative, true)
    if (whenEmpty === 0) continue
    survey.could.add(node.name)
    survey.couldMembers += whenEmpty
    const members = roomOn(node, group, alternative, false)
    if (members === 0) continue
    survey.membersUnreserved += members
    const ahead = reserved?.get(node.name)
    if (ahead !== undefined) {
      survey.ahead ??= ahead
      continue
    }
    survey.rooms.push({ node, members })
    survey.members += members
  }
  return survey
}

/** Whether new members of the group may go to the node at all, however full it is. */
export function admits(node: NodeState, group: Group): boolean {
  if (node.closed !== undefined) return false
  for (const [key, value] of Object.entries(group.nodeSelector)) if (node.labels[key] !== value) return false
  return (node.object.spec?.taints ?? []).every(
    (taint) => taint.effect === 'PreferNoSchedule' || group.tolerations.some((one) => tolerates(one, taint)),
  )
}

function tolerates(
  toleration: Record<string, unknown>,
  taint: { key: string; value?: string | undefined; effect: string },
): boolean {
  const { key, operator, value, effect } = toleration
  if (effect !== undefined && effect !== '' && effect !== taint.effect) return false
  if (key === undefined || key === '') return operator === 'Exists'
  if (key !== taint.key) return false
  return operator === 'Exists' || (value ?? '') === (taint.value ?? '')
}

/** How many members the node has room for, now or were it empty. */
export function roomOn(node: NodeState, group: Group, alternative: Alternative, empty: boolean): number {
  let room = alternative.count === 0 ? group.max : devicesRoom(node, alternative, empty)
  const limit = (free: number, each: number) => {
    if (each > 0) room = Math.min(room, Math.floor(free / each))
  }
  limit(empty ? node.cpuMilli : node.cpuMilliFree, group.cpuMilli)
  limit(empty ? node.memoryBytes : node.memoryBytesFree, group.memoryBytes)
  if (node.ports !== undefined) {
    limit(node.ports.to - node.ports.from + 1 - (empty ? 0 : node.portsUsed.size), group.ports)
  }
  return Math.max(0, Math.min(room, group.max))
}

function devicesRoom(node: NodeState, alternative: Alternative, empty: boolean): number {
  const { whole, milli } = shares(alternative)
  let free = 0
  let pieces = 0
  for (const device of node.devices.values()) {
    if (device.model !== alternative.model || !device.healthy) continue
    const used = empty ? 0 : device.usedMilli
    if (used <= 0) free++
    if (milli > 0) pieces += Math.floor((1000 - Math.min(1000, used)) / milli)
  }
  if (whole === 0) return pieces
  if (milli === 0) return Math.floor(free / whole)
  return Math.floor(free / (whole + 1)) // first form: the fraction beside whole ones gets a device of its own
}

function shares(alternative: Alternative): { whole: number; milli: number } {
  const whole = Math.floor(alternative.count)
  return { whole, milli: Math.ceil((alternative.count - whole) * 1000 - 1e-9) }
}

/** Node of each member: the node that holds all that remain most tightly, else the roomiest first. */
function spread(rooms: { node: NodeState; members: number }[], members: number): NodeState[] {
  const open = rooms.toSorted((a, b) => b.members - a.members || compare(a.node.place, b.node.place))
  const chosen: NodeState[] = []
  for (let remaining = members; remaining > 0; ) {
    const tightest = open.findLast((room) => room.members >= remaining)?.members
    const [room] = open.splice(
      Math.max(
        0,
        open.findIndex((one) => one.members === tightest),
      ),
      1,
    )
    assert(room !== undefined, 'the survey counted room that is not there')
    for (let taken = Math.min(room.members, remaining); taken > 0; taken--, remaining--) chosen.push(room.node)
  }
  return chosen
}

function claimOn(node: NodeState, request: FitRequest, group: Group, alternative: Alternative): Claim {
  return {
    node: node.name,
    model: alternative.model,
    devices: pickDevices(node, alternative),
    cpuMilli: group.cpuMilli,
    memoryBytes: group.memoryBytes,
    ports: pickPorts(node, group.ports),
    gang: request.gang,
    queue: request.object.spec.queue,
  }
}

/** Whole devices in the node's order; a share goes to the fullest device that still holds it. */
function pickDevices(node: NodeState, alternative: Alternative): Claim['devices'] {
  const { whole, milli } = shares(alternative)
  const devices = [...node.devices.values()].filter((one) => one.model === alternative.model && one.healthy)
  const picked = devices
    .filter((one) => one.usedMilli <= 0)
    .slice(0, whole)
    .map(({ id }) => ({ id, milli: 1000 }))
  assert(picked.length === whole, `node ${node.name} has fewer free devices than were counted`)
  if (milli === 0) return picked
  const open = devices.filter((one) => one.usedMilli + milli <= 1000 && !picked.some((taken) => taken.id === one.id))
  const fullest = open.toSorted((a, b) => b.usedMilli - a.usedMilli)[0]
  assert(fullest !== undefined, `node ${node.name} has no device left for a share that was counted`)
  return [...picked, { id: fullest.id, milli }]
}

function pickPorts(node: NodeState, count: number): number[] {
  const range = node.ports
  if (range === undefined) return []
  const size = range.to - range.from + 1
  const ports: number[] = []
  for (let tried = 0; tried < size && ports.length < count; tried++) {
    const port = node.nextPort
    node.nextPort = port === range.to ? range.from : port + 1
    if (!node.portsUsed.has(port)) ports.push(port)
  }
  assert(ports.length === count, `node ${node.name} has fewer free ports than were counted`)
  return ports
}

function shortageOf(fleet: Fleet, group: Group, alternative: Alternative, survey: Survey, byQuota: number): Shortage {
  const shortage = { group, alternative, membersFit: Math.min(survey.members, byQuota), nodes: survey.could }
  if (survey.couldMembers < group.min) return { ...shortage, kind: neverOrClosed(fleet, group, alternative) }
  if (byQuota < group.min) return { ...shortage, kind: 'quota' }
  if (survey.membersUnreserved >= group.min) return { ...shortage, kind: 'behind', ahead: survey.ahead }
  return { ...shortage, kind: scarceOn(fleet, survey.could, group, alternative) }
}

/** What is scarce: the first thing without which the members would fit. */
function scarceOn(fleet: Fleet, could: ReadonlySet<string>, group: Group, alternative: Alternative): Shortage['kind'] {
  const fits = (relaxed: Group, count: number) => {
    let members = 0
    for (const name of could) {
      const node = fleet.nodes.get(name)
      if (node !== undefined) members += roomOn(node, relaxed, { ...alternative, count }, false)
    }
    return members >= group.min
  }
  if (!fits({ ...group, cpuMilli: 0, memoryBytes: 0, ports: 0 }, alternative.count)) return 'accelerators'
  if (fits({ ...group, cpuMilli: 0 }, alternative.count)) return 'cpu'
  if (fits({ ...group, memoryBytes: 0 }, alternative.count)) return 'memory'
  if (fits({ ...group, ports: 0 }, alternative.count)) return 'ports'
  return 'cpu'
}

/** Not even an empty fleet holds it: either the machines are not there, or they are closed, tainted or not selected. */
function neverOrClosed(fleet: Fleet, group: Group, alternative: Alternative): 'never' | 'nodes' {
  let members = 0
  for (const node of fleet.nodes.values()) members += roomOn(node, group, alternative, true)
  return members >= group.min ? 'nodes' : 'never'
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

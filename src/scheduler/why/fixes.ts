import { assert } from '../../base/errors.ts'
import { servingCapacity } from '../../model/capacity.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { demandsOf } from '../fit/demand.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { NodeState } from '../fleet/nodes.ts'
import { withPodPreferences } from '../fleet/pod-terms.ts'
import { roomIfOpen } from '../fleet/rooms.ts'
import { wantsOf } from '../gangs.ts'
import { nothingReserved } from '../line/reservations.ts'
import { Nodes } from '../preemption/stage.ts'
import { candidateOrder, type Candidate as Leaver } from '../quota/candidates.ts'
import { counted } from './counted.ts'
import { listed, sparesOf, titleOf } from './reasons.ts'
import type { Edit, Scene } from './what-if.ts'

/** An edit that may start a gang that waits, in words. */
export interface Candidate {
  says: string
  edit: Edit
}

/** Edits of `from` to `count`, from the smallest to the largest: where one helps, those after it do too. */
export interface Family {
  from: number
  count: number
  at(size: number): Candidate
  /** Where each is made of parts, of which some may not be needed: the same without the part at `index`. */
  without?(candidate: Candidate, index: number): Candidate | undefined
}

export function* families(scene: Scene, key: string, gang: Gang, nowMs: number): Iterable<Family> {
  yield fewerMembers(gang)
  for (const sizes of plainFamilies(scene, gang)) yield listOf(sizes)
  yield openNodes(scene, gang)
  for (const fewer of fewerSpares(scene, gang)) yield listOf(fewer)
  yield listOf([
    { says: `let others move for it: queue ${scene.quota.rootOf(gang.spec.queue)}`, edit: { moves: true } },
  ])
  yield suspendedHolders(scene, key, gang, nowMs)
}

function listOf(sizes: readonly Candidate[]): Family {
  return {
    from: 1,
    count: sizes.length,
    at: (size) => {
      const candidate = sizes[size - 1]
      assert(candidate !== undefined, `there are ${sizes.length} edits, and ${size} is one of them`)
      return candidate
    },
  }
}

function* plainFamilies(scene: Scene, gang: Gang): Iterable<readonly Candidate[]> {
  yield* wider(gang)
  yield* lessStrict(gang)
  for (const one of otherCapacity(gang)) yield [one]
  yield* otherModels(scene, gang)
  yield* queueEdits(scene, gang)
  yield* otherQueues(scene, gang)
  if (!gang.spec.preemptible)
    yield [{ says: 'let it be displaced (preemptible: true)', edit: edited(gang, { preemptible: true }) }]
  yield higherPriority(scene, gang)
}

function fewerMembers(gang: Gang): Family {
  const [group, ...others] = gang.spec.groups
  if (group === undefined || others.length > 0) return listOf([])
  return {
    from: 1,
    count: group.min - 1,
    at: (less) => {
      const members = group.min - less
      return {
        says: `ask for ${counted(members, 'worker')} instead of ${group.min}`,
        edit: edited(gang, { groups: [{ ...group, min: members, max: members }] }),
      }
    },
  }
}

/** What is required of the fabric becomes a preference, then nothing. */
function* wider(gang: Gang): Iterable<Candidate[]> {
  const { topology, groups } = gang.spec
  const says = (where: string, required: string) => `prefer ${required} instead of requiring it (${where})`
  if (topology?.required !== undefined) {
    const { required, ...rest } = topology
    yield [
      { says: says('spec.topology', required), edit: edited(gang, { topology: { ...rest, preferred: required } }) },
    ]
  }
  for (const [index, group] of groups.entries()) {
    const { required, ...rest } = group.topology ?? {}
    if (required === undefined) continue
    const eased = { ...group, topology: { ...rest, preferred: required } }
    yield [
      {
        says: says(`topology of group ${group.name}`, required),
        edit: edited(gang, { groups: groups.map((one, at) => (at === index ? eased : one)) }),
      },
    ]
  }
}

/** What is required of who else is there becomes a preference. */
function* lessStrict(gang: Gang): Iterable<Candidate[]> {
  const { groups } = gang.spec
  for (const [index, group] of groups.entries()) {
    const eased = withPodPreferences(group)
    if (eased === undefined) continue
    yield [
      {
        says: `prefer its pod affinity and spread instead of requiring them (group ${group.name})`,
        edit: edited(gang, { groups: groups.map((one, at) => (at === index ? eased : one)) }),
      },
    ]
  }
}

/** Types of capacity that it does not name. */
function otherCapacity(gang: Gang): Candidate[] {
  const { groups } = gang.spec
  const named = groups.flatMap(({ capacityTypes = servingCapacity }) => capacityTypes)
  return servingCapacity
    .filter((type) => groups.some(({ capacityTypes }) => capacityTypes?.includes(type) === false))
    .map((type) => ({
      says: `let it use ${type} nodes, too (spec.capacityType)`,
      edit: edited(gang, {
        groups: groups.map((group) =>
          group.capacityTypes === undefined ? group : { ...group, capacityTypes: [...new Set([...named, type])] },
        ),
      }),
    }))
}

function* otherModels({ fleet }: Scene, gang: Gang): Iterable<Candidate[]> {
  const { groups } = gang.spec
  for (const model of fleet.models()) {
    if (groups.every(({ accelerators }) => accelerators.some((one) => one.model === model))) continue
    const others = groups.map((group) => ({
      ...group,
      accelerators: group.accelerators.slice(0, 1).map(({ count }) => ({ model, count })),
    }))
    const says = `ask for ${model} instead of ${groups[0]?.accelerators[0]?.model ?? 'its model'}`
    yield [{ says, edit: edited(gang, { groups: others }) }]
  }
}

function* queueEdits({ queues, quota }: Scene, gang: Gang): Iterable<Candidate[]> {
  const own = queues.get(gang.spec.queue)
  if (own === undefined) return
  const { name } = own.metadata
  const namespace = gang.metadata.namespace ?? 'default'
  const changed = (says: string, spec: Partial<typeof own.spec>): Candidate[] => [
    { says, edit: { queue: { ...own, spec: { ...own.spec, ...spec } } } },
  ]
  if (own.spec.stopPolicy !== 'None')
    yield changed(`start queue ${name} again (spec.stopPolicy: None)`, { stopPolicy: 'None' })
  if (!own.spec.namespaces.some((one) => one === '*' || one === namespace)) {
    const namespaces = [...own.spec.namespaces, namespace]
    yield changed(`let namespace ${namespace} use queue ${name} (spec.namespaces)`, { namespaces })
  }
  if (own.spec.nominalQuota === undefined) return
  const needed = { ...own.spec.nominalQuota }
  for (const { min, accelerators } of gang.spec.groups) {
    const [one] = accelerators
    if (one === undefined || needed[one.model] === undefined) continue
    const firmLeft = gang.spec.preemptible ? Number.POSITIVE_INFINITY : quota.firmLeft(name, one.model)
    const left = Math.min(quota.available(name, one.model), firmLeft)
    const lacks = Math.max(0, min * one.count - left / 1000)
    needed[one.model] = (needed[one.model] ?? 0) + lacks
  }
  const raised = Object.keys(needed).filter((model) => needed[model] !== own.spec.nominalQuota?.[model])
  if (raised.length === 0) return
  const counts = raised.map((model) => `${needed[model]} × ${model}`).join(', ')
  yield changed(`raise spec.nominalQuota of queue ${name} to ${counts}`, { nominalQuota: needed })
}

/** Of so many queues, those with most of their own left are tried. */
const queuesTried = 5

function* otherQueues({ queues, quota }: Scene, gang: Gang): Iterable<Candidate[]> {
  const model = gang.spec.groups[0]?.accelerators[0]?.model ?? ''
  const others = [...queues.keys()]
    .filter((name) => name !== gang.spec.queue)
    .map((name) => ({ name, idle: Math.floor(quota.nominalLeft(name, model) / 1000) }))
    .toSorted((a, b) => b.idle - a.idle)
  for (const { name, idle } of others.slice(0, queuesTried)) {
    const why = idle > 0 ? `, which has ${idle} × ${model} of its own idle` : ''
    yield [{ says: `use queue ${name}${why}`, edit: edited(gang, { queue: name }) }]
  }
}

/** Cordoned nodes that have room for a member, the roomiest first. */
function openNodes({ fleet }: Scene, gang: Gang): Family {
  const demands = demandsOf(fleet, gang)
  const roomIn = (node: NodeState) =>
    demands.reduce((most, demand) => Math.max(most, roomIfOpen(fleet, node, demand)), 0)
  const cordoned = [...fleet.nodes.values()].filter(
    (node) => node.object.spec?.unschedulable === true && roomIn(node) > 0,
  )
  return familyOf(
    cordoned.toSorted((a, b) => roomIn(b) - roomIn(a)),
    1,
    (open) => ({
      says: `uncordon ${open.length === 1 ? 'node' : 'nodes'} ${listed(open.map(({ name }) => name))}`,
      edit: { open },
    }),
  )
}

/** Of the pools whose spares it could use. */
function fewerSpares({ fleet }: Scene, gang: Gang): Candidate[][] {
  const models = gang.spec.groups.flatMap(({ accelerators }) => accelerators.map(({ model }) => model))
  const keeping = new Set(models.flatMap((model) => sparesOf(fleet, model)))
  return [...keeping].map(({ pool, wanted }) =>
    Array.from({ length: wanted }, (_, index) => wanted - 1 - index).map((spares) => ({
      says: `keep ${counted(spares, 'spare node')} instead of ${wanted} (spec.spares of pool ${pool})`,
      edit: { spares: { pool, spares } },
    })),
  )
}

/** Above the next in line or the next that holds something, and so on. */
function higherPriority(scene: Scene, gang: Gang): Candidate[] {
  const own = gang.spec.priority
  const above = new Set<number>()
  for (const { waiting } of scene.line.lanes()) above.add((waiting[0]?.gang.spec.priority ?? own) + 1)
  for (const queue of scene.queues.keys()) {
    for (const priority of scene.seatedIn(queue)?.priorities() ?? []) above.add(Math.floor(priority) + 1)
  }
  return [...above]
    .filter((priority) => priority > own)
    .toSorted((a, b) => a - b)
    .map((priority) => ({ says: `set its priority to ${priority}`, edit: edited(gang, { priority }) }))
}

/** More than these at once are not what a person would do. */
const suspendedMax = 16

/** Those whose leaving loses least, on nodes that could be of use: of the lowest priority, then of the lowest price. */
function suspendedHolders(scene: Scene, key: string, gang: Gang, nowMs: number): Family {
  const { gangs, fleet, queues } = scene
  const nodes = new Nodes(scene, { key, object: gang, reserved: nothingReserved })
  const found: Leaver[] = []
  for (const queue of queues.keys()) {
    let count = 0
    for (const leaver of scene.seatedIn(queue)?.staying(nowMs) ?? []) {
      if (count === suspendedMax) break
      if (leaver.key === key || !nodes.helps(leaver.key)) continue
      found.push(leaver)
      count++
    }
  }
  const order = candidateOrder('')
  const least = found.sort(order).slice(0, suspendedMax)
  const missing = missingOf(fleet, gang)
  let held = 0
  const enough = least.findIndex(({ holds }) => {
    for (const milli of holds.values()) held += milli
    return held >= missing
  })
  if (enough < 0) return listOf([])
  return familyOf(least, enough + 1, (some) => ({
    says: `suspend ${listed(some.map((one) => titleOf(one.key, gangs.get(one.key)?.object)))}`,
    edit: { without: some.map((one) => one.key) },
  }))
}

/** Milli-accelerators that it lacks at least. */
function missingOf(fleet: Fleet, gang: Gang): number {
  let missing = 0
  for (const [model, milli] of wantsOf(gang)) missing += Math.max(0, milli - 1000 * fleet.countOf(model).free)
  return missing
}

/** The first `from` of the parts, one more, and so on. */
function familyOf<T>(parts: readonly T[], from: number, of: (some: readonly T[]) => Candidate): Family {
  const partsOf = new Map<Candidate, readonly T[]>()
  const make = (some: readonly T[]): Candidate => {
    const candidate = of(some)
    partsOf.set(candidate, some)
    return candidate
  }
  return {
    from,
    count: parts.length,
    at: (size) => make(parts.slice(0, size)),
    without: (candidate, index) => {
      const some = partsOf.get(candidate)
      return some === undefined || index >= some.length || some.length === 1
        ? undefined
        : make(some.toSpliced(index, 1))
    },
  }
}

function edited(gang: Gang, spec: Partial<Gang['spec']>): Edit {
  return { gang: { ...gang, spec: { ...gang.spec, ...spec } } }
}

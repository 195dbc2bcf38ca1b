import fc from 'fast-check'
import { expect, test } from 'vitest'
import { levelNamed, nodeLevel } from '../../model/fabric.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import { Fleet } from '../fleet/fleet.ts'
import type { NodeState } from '../fleet/nodes.ts'
import type { Slice } from '../fleet/rooms.ts'
import { groupOf } from '../gang.fixture.ts'
import { demandOf } from './demand.ts'
import { type Choosing, domainsFor, isInside, type Within } from './domains.ts'
import { nodeWith } from './node.fixture.ts'
import type { Part, Place } from './parts.ts'

/** Checked against the rule, written down plainly over nodes and their labels. */

interface Machine {
  block: string | undefined
  rack: string | undefined
  row: string | undefined
  isLiked: boolean
  gpus: Readonly<Record<Model, number>>
}
type Model = 'H100' | 'A100'

interface Group {
  min: number
  more: number
  models: readonly Model[]
  hasWishes: boolean
}

const machines = fc.array(
  fc.record<Machine>({
    block: fc.constantFrom('b0', 'b1', undefined),
    rack: fc.constantFrom('r0', 'r1', undefined),
    row: fc.constantFrom('x', 'y', undefined),
    isLiked: fc.boolean(),
    gpus: fc.record({ H100: fc.integer({ min: 0, max: 5 }), A100: fc.integer({ min: 0, max: 3 }) }),
  }),
  { minLength: 1, maxLength: 10 },
)
const groups = fc.array(
  fc.record<Group>({
    min: fc.integer({ min: 1, max: 3 }),
    more: fc.integer({ min: 0, max: 4 }),
    models: fc.constantFrom<readonly Model[]>(['H100'], ['H100', 'A100']),
    hasWishes: fc.boolean(),
  }),
  { minLength: 1, maxLength: 2 },
)
const names = fc.constantFrom('block', 'rack', 'node', 'row', undefined)
const slices = fc.constantFrom<readonly Slice[] | undefined>(
  undefined,
  undefined,
  [{ size: 2, level: 2 }],
  [{ size: 2, level: nodeLevel }],
  [
    { size: 4, level: 1 },
    { size: 2, level: nodeLevel },
  ],
)
/** Whether it is tried all over the fleet, inside its first domain of a level, or among nodes of a row. */
const outers = fc.constantFrom('all', 'all', 'block', 'rack', 'row')

test('domains are tried from the preferred level out to what is required, each that could hold all, the best first', () => {
  fc.assert(
    fc.property(
      fc.record({ machines, groups, required: names, preferred: names, slices, outer: outers, shut: fc.nat(9) }),
      ({ machines: drawn, groups: asked, required, preferred, slices: cut, outer: around, shut }) => {
        const fleet = fleetOf(drawn)
        const closed = fleet.order.filter(({ index }) => index === shut)
        const outer = outerOf(fleet, around)
        const choosing = asked.map((group) => choosingOf(group, cut, closed))
        const part: Part = {
          required: placeNamed(required),
          preferred: placeNamed(preferred),
          groups: asked.map((_, index) => index),
          parts: [],
          isSet: false,
        }
        const tried = [...domainsFor(fleet, part, choosing, outer)].map((within) => nodesIn(fleet, within))
        const state = { drawn, closed, groups: asked, slices: cut ?? [] }
        expect(tried).toEqual(plainly(fleet, part, outer, state))
      },
    ),
    { numRuns: 400 },
  )
})

const nodesIn = (fleet: Fleet, within: Within) =>
  fleet.order.filter((node) => isInside(node, within)).map(({ name }) => name)

interface State {
  drawn: readonly Machine[]
  closed: readonly NodeState[]
  groups: readonly Group[]
  slices: readonly Slice[]
}

/** The nodes of each place that is tried, in turn. */
function plainly(fleet: Fleet, { required, preferred }: Part, outer: Within, state: State): string[][] {
  const inOuter = fleet.order.filter((node) => isInside(node, outer))
  const around = outer.domain?.level ?? -1
  const floor = required !== undefined && 'level' in required ? required.level : -1
  const isKnown = (nodes: readonly NodeState[]) =>
    floor < 0 || nodes.every((node) => nameAt(node, floor) !== '') || nodes.length === 0
  const found: NodeState[][] = []
  const domains = (level: number) =>
    placesBy(
      fleet.order.filter((node) => isInside(node, { domain: outer.domain })),
      (node) => (nameAt(node, level) === '' ? undefined : pathTo(node, level)),
    )
  const try_ = (places: readonly NodeState[][]) => {
    const inside = places.map((nodes) => nodes.filter((node) => outer.nodes?.has(node) !== false))
    found.push(...bestFirst(fleet, inside, state))
  }
  const byLabel = (name: string) => placesBy(inOuter, ({ labels }) => labels[name])
  if (preferred !== undefined && 'label' in preferred) try_(byLabel(preferred.label))
  if (preferred !== undefined && 'level' in preferred) {
    for (let level = preferred.level; level > floor && level > around; level--) try_(domains(level).filter(isKnown))
  }
  if (floor > around) try_(domains(floor))
  else if (required !== undefined && 'label' in required) try_(byLabel(required.label))
  else if (isKnown(inOuter)) found.push(inOuter)
  return found.map((nodes) => nodes.map(({ name }) => name))
}

/** Most members first, then those that are liked, then the tightest. */
function bestFirst(fleet: Fleet, places: readonly NodeState[][], { drawn, closed, groups: all, slices: cut }: State) {
  const rated = places.flatMap((nodes) => {
    let [members, liked, room] = [0, 0, 0]
    for (const { min, more, models, hasWishes } of all) {
      const rooms = models.map((model) => {
        const on = (node: NodeState) => (closed.includes(node) ? 0 : (drawn[numberOf(node)]?.gpus[model] ?? 0))
        return wholeRoom(fleet, nodes, cut, on)
      })
      const most = rooms.reduce((a, b) => (b.total > a.total ? b : a))
      if (most.total < min) return []
      const taken = Math.min(min + more, most.total)
      members += taken
      room += most.total
      let [weight, sum] = [0, 0]
      for (const [node, here] of most.on) {
        sum += here
        weight += hasWishes && drawn[numberOf(node)]?.isLiked === true ? 10 * here : 0
      }
      liked += taken * (sum === 0 ? 0 : weight / sum)
    }
    return [{ nodes, members, liked, room }]
  })
  return rated
    .toSorted((a, b) => b.members - a.members || b.liked - a.liked || a.room - b.room)
    .map(({ nodes }) => nodes)
}

/** Members in whole slices that the nodes hold, counted from the nodes up; and what each node holds of them. */
function wholeRoom(
  fleet: Fleet,
  nodes: readonly NodeState[],
  cut: readonly Slice[],
  on: (node: NodeState) => number,
): { total: number; on: [NodeState, number][] } {
  let here = nodes.map((node): [NodeState, number] => [node, on(node)])
  let own: [NodeState, number][] = []
  for (let level = nodeLevel; level >= 0; level--) {
    const size = cut.find((slice) => slice.level === level)?.size ?? 1
    const sums = new Map<string, [NodeState, number]>()
    for (const [node, room] of here) {
      const sum = sums.get(pathTo(node, level)) ?? [node, 0]
      sums.set(pathTo(node, level), [sum[0], sum[1] + room])
    }
    here = [...sums.values()].map(([node, sum]) => {
      const isReal = size === 1 || nameAt(node, level) !== ''
      return [fleet.order[node.index] ?? node, isReal ? sum - (sum % size) : 0]
    })
    if (level === nodeLevel) own = here
  }
  return { total: here.reduce((sum, [, room]) => sum + room, 0), on: own }
}

function placesBy(nodes: readonly NodeState[], of: (node: NodeState) => string | undefined): NodeState[][] {
  const places = new Map<string, NodeState[]>()
  for (const node of nodes) {
    const name = of(node)
    if (name !== undefined) places.set(name, [...(places.get(name) ?? []), node])
  }
  return [...places.values()]
}

const nameAt = ({ name, place }: NodeState, level: number) => (level === nodeLevel ? name : (place[level] ?? ''))
const pathTo = (node: NodeState, level: number) =>
  Array.from({ length: level + 1 }, (_, at) => nameAt(node, at)).join('/')
const numberOf = ({ name }: NodeState) => Number(name.slice(1))

function placeNamed(name: string | undefined): Place | undefined {
  if (name === undefined) return undefined
  const level = levelNamed(name)
  return level === undefined ? { label: name, name } : { level, name }
}

function outerOf({ order, fabric }: Fleet, around: string): Within {
  if (around === 'all') return {}
  if (around === 'row') return { nodes: new Set(order.filter(({ labels }) => labels['row'] === 'x')) }
  const domain = fabric.domains[levelNamed(around) ?? 0]?.find(({ isReal }) => isReal)
  return domain === undefined ? {} : { domain }
}

function choosingOf(
  { min, more, models, hasWishes }: Group,
  cut: readonly Slice[] | undefined,
  closed: readonly NodeState[],
): Choosing {
  const preference = { matchExpressions: [{ key: 'disk', operator: 'In', values: ['nvme'] }] }
  const affinity = {
    nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 10, preference }] },
  }
  const group = groupOf(min, { ports: 0, ...(hasWishes ? { affinity } : {}) })
  const demands = models.map((model) => ({
    demand: demandOf(group, { model, count: 1 }, cut),
    closed: closed.length === 0 ? undefined : new Set(closed),
  }))
  return { min, max: min + more, demands, isBalanced: false }
}

function fleetOf(drawn: readonly Machine[]): Fleet {
  const fleet = new Fleet()
  for (const [index, machine] of drawn.entries()) fleet.setNode(nodeOf(`n${index}`, machine))
  return fleet
}

function nodeOf(name: string, { block, rack, row, isLiked, gpus }: Machine): Node {
  const devices = Object.entries(gpus).flatMap(([model, count]) =>
    Array.from({ length: count }, (_, index) => ({ id: `${model}-${index}`, model, healthy: true })),
  )
  const labels = { [label.block]: block, [label.rack]: rack, row, disk: isLiked ? 'nvme' : undefined }
  return nodeWith(name, labels, devices)
}

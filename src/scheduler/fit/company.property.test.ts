import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import { Fleet } from '../fleet/fleet.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { fitGang } from './fit.ts'
import { claimsOf, seatsOf } from './seats.ts'

/** Checked against Kubernetes' rules, written down plainly and asked node by node. */

const keys = [label.hostname, label.rack, label.zone] as const
type Kind = 'apart' | 'beside' | 'even'

interface Rule {
  kind: Kind
  app: string
  key: (typeof keys)[number]
}

interface Pod {
  app: string
  rules: readonly Rule[]
  node: string
}

interface World {
  nodes: ReadonlyMap<string, { labels: Record<string, string>; room: number }>
  pods: readonly Pod[]
}

const domainOf = ({ nodes }: World, node: string, key: string) =>
  key === label.hostname ? node : nodes.get(node)?.labels[key]

function sharing(world: World, node: string, key: string): readonly Pod[] {
  const domain = domainOf(world, node, key)
  return domain === undefined ? [] : world.pods.filter((pod) => domainOf(world, pod.node, key) === domain)
}

/** Whether Kubernetes would let such a pod onto the node. */
function isAllowed(world: World, { app, rules }: Omit<Pod, 'node'>, node: string): boolean {
  if (world.pods.filter((pod) => pod.node === node).length >= (world.nodes.get(node)?.room ?? 0)) return false
  const isKeptOff = world.pods.some((pod) =>
    pod.rules.some((rule) => rule.kind === 'apart' && rule.app === app && sharing(world, node, rule.key).includes(pod)),
  )
  if (isKeptOff) return false
  return rules.every((rule) => {
    const count = (at: string) => sharing(world, at, rule.key).filter((pod) => pod.app === rule.app).length
    if (rule.kind === 'apart') return count(node) === 0
    if (domainOf(world, node, rule.key) === undefined) return false
    const isOwn = rule.app === app
    // Pods on nodes without the label are in no domain: Kubernetes does not see them.
    const isThere = (pod: Pod) => pod.app === rule.app && domainOf(world, pod.node, rule.key) !== undefined
    if (rule.kind === 'beside') return count(node) > 0 || (isOwn && !world.pods.some(isThere))
    const all = [...world.nodes.keys()].filter((at) => domainOf(world, at, rule.key) !== undefined)
    return count(node) + (isOwn ? 1 : 0) - Math.min(...all.map(count)) <= 1
  })
}

/** Whether so many such pods find nodes, one after the other, in some order. */
function findPlaces(world: World, pod: Omit<Pod, 'node'>, members: number): boolean {
  if (members === 0) return true
  return [...world.nodes.keys()].some(
    (node) =>
      isAllowed(world, pod, node) &&
      findPlaces({ ...world, pods: [...world.pods, { ...pod, node }] }, pod, members - 1),
  )
}

const app = fc.constantFrom('a', 'b')
const rule = fc.record({ kind: fc.constantFrom<Kind>('apart', 'beside', 'even'), app, key: fc.constantFrom(...keys) })
/** Racks lie in zones: where domains cut across each other, one after the other does not find every way to sit. */
const nodes = fc.uniqueArray(
  fc.record({
    place: fc.constantFrom(
      { zone: 'z0', rack: 'r0' },
      { zone: 'z0', rack: 'r1' },
      { zone: 'z1', rack: 'r2' },
      { zone: undefined, rack: 'r3' },
    ),
    name: fc.constantFrom('n0', 'n1', 'n2', 'n3', 'n4'),
    room: fc.integer({ min: 0, max: 3 }),
  }),
  { minLength: 1, maxLength: 5, selector: ({ name }) => name },
)
const move = fc.record({
  app,
  members: fc.integer({ min: 1, max: 3 }),
  rules: fc.array(rule, { maxLength: 2 }),
  /** Who leaves before it comes. */
  leaves: fc.option(fc.nat(5), { nil: undefined }),
})

test('a gang sits exactly where Kubernetes would let each of its pods go, and waits where it would not', () => {
  fc.assert(
    fc.property(nodes, fc.array(move, { minLength: 1, maxLength: 6 }), (machines, moves) => {
      const fleet = new Fleet()
      const world = new Map<string, { labels: Record<string, string>; room: number }>()
      for (const { place, name, room } of machines) {
        const { zone, rack } = place
        const labels = { [label.rack]: rack, ...(zone === undefined ? {} : { [label.zone]: zone }) }
        world.set(name, { labels, room })
        fleet.setNode(nodeOf(name, labels, room))
      }
      const sitting: { pods: Pod[]; keys: string[] }[] = []
      for (const [index, { app: own, members, rules, leaves }] of moves.entries()) {
        for (const key of sitting.splice(leaves ?? sitting.length, 1).flatMap((one) => one.keys)) {
          fleet.setClaim(key, 'seat', undefined)
        }
        const object = gangOf(`g${index}`, own, members, rules)
        const state = { nodes: world, pods: sitting.flatMap(({ pods }) => pods) }
        const found = fitGang(fleet, {
          gang: `default/g${index}`,
          object,
          quotaLeft: new Map(),
          reserved: { of: () => undefined },
        })
        expect(found.fits).toBe(findPlaces(state, { app: own, rules }, members))
        if (!found.fits) continue
        expect(
          inSomeOrder(
            state,
            { app: own, rules },
            found.placed.map(({ node }) => node.name),
          ),
        ).toBe(true)
        const claims = claimsOf(object, seatsOf(object, found.placed), () => 'gpu')
        for (const [key, claim] of claims) fleet.setClaim(key, 'seat', claim)
        const pods = claims.map(([, { node }]) => ({ app: own, rules, node }))
        sitting.push({ pods, keys: claims.map(([key]) => key) })
      }
    }),
    { numRuns: 200 },
  )
})

/** Whether the places are such as pods that come one after the other could have been given. */
function inSomeOrder(world: World, pod: Omit<Pod, 'node'>, places: readonly string[]): boolean {
  if (places.length === 0) return true
  return places.some(
    (node, index) =>
      isAllowed(world, pod, node) &&
      inSomeOrder({ ...world, pods: [...world.pods, { ...pod, node }] }, pod, places.toSpliced(index, 1)),
  )
}

function nodeOf(name: string, labels: Record<string, string>, room: number): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    status: { allocatable: { cpu: '8', memory: '8Gi', 'nvidia.com/gpu': String(room) } },
  }
}

function gangOf(name: string, own: string, members: number, rules: readonly Rule[]): Gang {
  const required = (kind: Kind) => ({
    requiredDuringSchedulingIgnoredDuringExecution: rules.filter((one) => one.kind === kind).map(termOf),
  })
  const group = groupOf(members, {
    labels: { app: own },
    affinity: { podAffinity: required('beside'), podAntiAffinity: required('apart') },
    topologySpreadConstraints: rules
      .filter(({ kind }) => kind === 'even')
      .map((one) => ({ ...termOf(one), maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' })),
  })
  return gangNamed(name, [group])
}

function termOf({ app: other, key }: Rule): object {
  return { topologyKey: key, labelSelector: { matchLabels: { app: other } } }
}

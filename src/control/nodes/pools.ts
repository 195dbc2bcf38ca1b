import { anyGpu } from '../../model/accelerators.ts'
import { canonicalModel } from '../../model/catalogue.ts'
import { conditionOf, isTrue, setCondition } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import { cpuSlot, gpuResource, label } from '../../model/names.ts'
import { poolOf } from '../../model/nodes.ts'
import { countOf } from '../../model/quantity.ts'
import { refOf } from '../../model/refs.ts'
import { sparesFor } from '../../model/reliability.ts'
import { couldBeSpare, sparesWanted } from '../../model/spares.ts'
import { equalJson } from '../../store/json.ts'
import { isLive } from '../gangs.ts'
import { again, type Context, type Reconciler, settled } from '../reconciler.ts'
import { isReady } from './budget.ts'
import { areCutOff, type Observed, observed, observedEveryMs, ratesSeen, whySo } from './pool-reliability.ts'

type KeptSpares = NonNullable<NonNullable<Pool['status']>['spares']>

/** Which nodes are spares is said no more often: who sits down on a large fleet comes member by member. */
const sparesRestMs = 1_000

/** How many nodes and slots a pool has, which nodes it keeps as spares, and whether its nodes are what it says. */
export function createPools({ store, views, clock, ages }: Context): Reconciler {
  const pools = views.of('Pool')
  const nodes = views.of('Node')
  const gangs = views.of('Gang')
  const lookedAtMs = new Map<string, number>()

  return {
    name: 'pools',
    watches: [
      { kind: 'Pool', keys: (pool) => [pool.metadata.name] },
      { kind: 'Node', keys: (node) => [poolOf(node) ?? ''] },
      { kind: 'Pod', keys: (pod) => keepingSpares(pod.spec.nodeName) },
    ],
    workers: 1,
    reconcile: async (name) => {
      const pool = pools.get({ name })
      if (pool === undefined) return settled()
      const keepsSpares = (pool.spec.spares ?? 0) !== 0
      const waitMs = keepsSpares
        ? (lookedAtMs.get(name) ?? Number.NEGATIVE_INFINITY) + sparesRestMs - clock.steadyMs()
        : 0
      if (waitMs > 0) return again(waitMs)
      lookedAtMs.set(name, clock.steadyMs())
      const own = nodes.list().filter((node) => poolOf(node) === name)
      const { spares: _, reliability: __, ...before } = pool.status ?? {}
      const reliability = pool.spec.spares === 'auto' ? seenOf(pool, own) : undefined
      const status = {
        ...before,
        ...(keepsSpares ? { spares: sparesOf(pool, own, reliability) } : {}),
        ...(reliability === undefined ? {} : { reliability }),
        conditions: conditionsOf(pool, own, clock.now()),
        nodes: own.length,
        readyNodes: own.filter((node) => isTrue(node.status?.conditions, 'Ready')).length,
        slots: own.reduce((sum, node) => sum + slotsOf(node, pool.spec.accelerator), 0),
      }
      await Promise.all(own.map((node) => markCapacity(store, node, pool)))
      if (!equalJson(status, pool.status)) await store.updateStatus('Pool', { ...pool, status })
      return reliability === undefined ? settled() : again(observedEveryMs)
    },
  }

  function keepingSpares(node: string | undefined): string[] {
    const object = node === undefined ? undefined : nodes.get({ name: node })
    const name = object === undefined ? undefined : poolOf(object)
    const pool = name === undefined ? undefined : pools.get({ name })
    return (pool?.spec.spares ?? 0) === 0 || name === undefined ? [] : [name]
  }

  /** By our own clock since it was counted last, whoever sets that. */
  function seenOf(pool: Pool, own: readonly Node[]): Observed {
    const before = pool.status?.reliability
    const sinceMs =
      before === undefined ? 0 : ages.of(`${pool.metadata.uid} counted`, Date.parse(before.through), sparesRestMs)
    return observed(before, own, areCutOff(nodes.list()), clock.now(), sinceMs)
  }

  /** They are kept by number (`scheduler/fleet/spares.ts`); those that are named stay so while they are free. */
  function sparesOf(pool: Pool, own: readonly Node[], seen: Observed | undefined): KeptSpares {
    const wanted = seen === undefined ? sparesWanted(pool, own.length) : sparesFor(own.length, ratesSeen(seen))
    const kept = new Set(gangs.list().flatMap(nodesKeptFor))
    const isFree = ({ metadata: { name } }: Node) => !kept.has(name) && !views.podsOnNode(name).some(isOfLiveGang)
    const free = own
      .filter((node) => isReady(node) && node.spec?.unschedulable !== true && couldBeSpare(node) && isFree(node))
      .map(({ metadata }) => metadata.name)
      .toSorted()
    const before = new Set(pool.status?.spares?.nodes)
    const stay = free.filter((name) => before.has(name))
    const others = free.filter((name) => !before.has(name))
    const because = seen === undefined ? {} : { because: whySo(seen) }
    return { wanted, nodes: [...stay, ...others].slice(0, wanted).toSorted(), ...because }
  }
}

/** By its seats, or for the time when others have left. */
function nodesKeptFor({ spec, status }: Gang): string[] {
  const { seats, hold, resize } = status ?? {}
  if (spec.suspend) return []
  return [seats, hold, resize].flatMap((one) => one?.members ?? []).map(({ node }) => node)
}

function isOfLiveGang(pod: Pod): boolean {
  return isLive(pod) && pod.metadata.labels?.[label.gang] !== undefined
}

/** What its nodes are paid for is said where the scheduler reads it. */
async function markCapacity(store: Context['store'], node: Node, { spec }: Pool): Promise<void> {
  const { labels } = node.metadata
  if (labels?.[label.capacityType] === spec.capacityType) return
  await store.patch('Node', refOf(node), { metadata: { labels: { [label.capacityType]: spec.capacityType } } })
}

const matches = 'NodesMatch'
const namedMax = 5

/** Whoever asks for the pool's accelerator waits for ever where its nodes have another. Every node has slots. */
function conditionsOf({ spec, status }: Pool, nodes: readonly Node[], nowMs: number) {
  const wanted = canonicalModel(spec.accelerator)
  const others = wanted === cpu ? [] : nodes.filter((node) => !has(node, wanted))
  const isMatch = others.length === 0
  if (isMatch && conditionOf(status?.conditions, matches) === undefined) return status?.conditions ?? []
  const named = others.slice(0, namedMax).map((node) => `${node.metadata.name} has ${modelOf(node)}`)
  const more = others.length > namedMax ? `, and ${others.length - namedMax} more` : ''
  const message = `the pool says ${spec.accelerator}, but ${named.join(', ')}${more}: correct its spec.accelerator, or the pool of the node`
  const now = isMatch ? { reason: 'AllMatch' } : { reason: 'AcceleratorMismatch', message }
  return setCondition(status?.conditions, { type: matches, status: isMatch ? 'True' : 'False', ...now }, nowMs)
}

const cpu = 'cpu'

function has(node: Node, wanted: string): boolean {
  return wanted === anyGpu ? modelOf(node) !== cpu : modelOf(node) === wanted
}

function modelOf({ metadata }: Node): string {
  return canonicalModel(metadata.labels?.[label.accelerator] ?? cpu)
}

function slotsOf(node: Node, accelerator: string): number {
  const wanted = canonicalModel(accelerator)
  if (wanted !== cpu && !has(node, wanted)) return 0
  return countOf(node.status?.allocatable?.[wanted === cpu ? cpuSlot : gpuResource] ?? 0)
}

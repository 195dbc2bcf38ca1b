import { isTrue } from '../../model/conditions.ts'
import { domainIn, labelsOf } from '../../model/fabric.ts'
import { faults, reachSaid } from '../../model/faults.ts'
import type { Drill } from '../../model/kinds/drill.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { annotation, label } from '../../model/names.ts'
import { keyOf } from '../../model/refs.ts'
import { ownerOf } from '../../observe/ledger-use.ts'
import { gangKeyOf, isLive } from '../gangs.ts'
import type { Context } from '../reconciler.ts'
import { recoveryOf } from '../recovery/record.ts'

type Target = NonNullable<NonNullable<Drill['status']>['target']>

/** `waits`: what is not there yet; `never`: why it will not be. */
export type Chosen = { target: Target } | { waits: string } | { never: string }

/** What a drill strikes: the first of what its spec names, so that the same factory gives the same answer. */
export function choose(context: Context, { metadata, spec }: Drill): Chosen {
  const { fault, target: wanted = {} } = spec
  const { strikes } = faults[fault.kind]
  if (strikes === 'control plane') return { target: targetOf(context, [], []) }
  if (strikes === 'storage') return { target: { ...targetOf(context, [], seated(context)), pods: [] } }
  const namespace = metadata.namespace ?? 'default'
  const pods = candidates(context, namespace, wanted)
  const [first] = pods
  if (strikes === 'node' && wanted.node !== undefined) {
    const problem = problemWithNode(context, wanted.node)
    return problem === undefined ? struckNodes(context, wanted.node, fault.reach) : { waits: problem }
  }
  const node = first?.spec.nodeName
  if (first === undefined || node === undefined) return absent(context, namespace, wanted)
  return strikes === 'node' ? struckNodes(context, node, fault.reach) : { target: targetOf(context, [node], [first]) }
}

/** Whoever sits anywhere: all of them store something, or will. */
function seated({ views }: Context): Pod[] {
  return views.of('Pod').list().filter(runs)
}

/** Pods that run, the lowest rank first. */
function candidates({ views }: Context, namespace: string, wanted: NonNullable<Drill['spec']['target']>): Pod[] {
  const { job, rank = 0, service, labels, node } = wanted
  const isMeant = ({ metadata, spec }: Pod): boolean => {
    const has = metadata.labels ?? {}
    if (job !== undefined) return has[label.job] === job && rankOf(metadata.annotations) === rank
    if (service !== undefined) return has[label.service] === service
    if (labels !== undefined) return Object.entries(labels).every(([name, value]) => has[name] === value)
    return spec.nodeName === node
  }
  return views
    .of('Pod')
    .list(namespace)
    .filter((pod) => runs(pod) && isMeant(pod))
    .toSorted(
      (a, b) =>
        rankOf(a.metadata.annotations) - rankOf(b.metadata.annotations) || (a.metadata.name < b.metadata.name ? -1 : 1),
    )
}

function runs(pod: Pod): boolean {
  return isLive(pod) && pod.status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined
}

function rankOf(annotations: Record<string, string> | undefined): number {
  return Number(annotations?.[annotation.rank] ?? 0)
}

function problemWithNode({ views }: Context, name: string): string | undefined {
  const node = views.of('Node').get({ name })
  if (node === undefined) return `there is no node ${name}`
  return isTrue(node.status?.conditions, 'Ready') ? undefined : `node ${name} is not ready`
}

function struckNodes(context: Context, name: string, reach: Drill['spec']['fault']['reach']): Chosen {
  const all = context.views.of('Node').list()
  const domainOf = (node: string) =>
    reach === undefined
      ? node
      : domainIn(all.find(({ metadata }) => metadata.name === node)?.metadata.labels ?? {}, reach)
  const domain = domainOf(name)
  if (domain === undefined) {
    const level = reach ?? 'rack'
    return { never: `node ${name} has no label ${labelsOf[level].join(' or ')}: nobody knows its ${reachSaid(level)}` }
  }
  const nodes = all.map(({ metadata }) => metadata.name).filter((node) => domainOf(node) === domain)
  return {
    target: targetOf(context, nodes.toSorted(), nodes.flatMap((node) => context.views.podsOnNode(node)).filter(isLive)),
  }
}

function targetOf(context: Context, nodes: string[], pods: readonly Pod[]): Target {
  const { views, epoch } = context
  const keys = new Set(pods.flatMap(gangKeyOf))
  const gangs = views
    .of('Gang')
    .list()
    .filter((gang) => keys.has(keyOf(gang)))
  return {
    nodes,
    pods: pods.map(({ metadata: { name, namespace = 'default', uid = '' } }) => ({ name, namespace, uid })),
    gangs: gangs.map((gang) => ({
      name: keyOf(gang),
      owner: ownerOf(gang),
      attempt: gang.spec.attempt,
      lostSeconds: recoveryOf(gang).lostSeconds,
      stepSeconds: slowestStep(context, gang, gang.spec.attempt),
    })),
    epoch,
  }
}

/** Mean of the recent steps of its slowest rank in that attempt, in seconds; undefined where it tells none. */
export function slowestStep({ views }: Context, gang: Gang, attempt: number): number | undefined {
  const reports = views.reportsOf(gang).filter(({ spec }) => spec.attempt === attempt)
  const means = reports.flatMap(({ status }) => status?.stepSeconds ?? [])
  return means.length === 0 ? undefined : Math.max(...means)
}

/** Nothing of what it names runs now. */
function absent({ views }: Context, namespace: string, wanted: NonNullable<Drill['spec']['target']>): Chosen {
  const { job, rank = 0, service, labels, node } = wanted
  if (job !== undefined) {
    const found = views.of('TrainingJob').get({ name: job, namespace })
    if (found === undefined) return { waits: `there is no job ${job}` }
    const phase = found.status?.phase ?? 'Pending'
    if (phase === 'Succeeded' || phase === 'Failed') return { never: `job ${job} has ended (${phase})` }
    const { workers = rank + 1 } = found.status ?? {}
    if (rank >= workers) return { never: `job ${job} has no rank ${rank}: its ${workers} workers count from 0` }
    return { waits: `rank ${rank} of job ${job} does not run (${phase})` }
  }
  if (service !== undefined)
    return views.of('InferenceService').get({ name: service, namespace }) === undefined
      ? { waits: `there is no service ${service}` }
      : { waits: `no replica of service ${service} runs` }
  if (labels !== undefined) {
    const words = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
    return { waits: `no pod with the labels ${words.join(', ')} runs` }
  }
  return { waits: `nothing of namespace ${namespace} runs on node ${node}` }
}

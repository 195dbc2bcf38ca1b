import type { Gang } from '../model/kinds/gang.ts'
import type { Queue } from '../model/kinds/queue.ts'
import type { Change, Verdict, Why } from './contract.ts'
import type { Fleet } from './fleet.ts'
import type { Blocked, Line } from './line.ts'
import { acceleratorsHeld, countOf, type Described, holdersOf, type Scene, titleOf } from './reasons.ts'

/** What explaining needs of a scheduler. */
export interface Explained extends Scene {
  gangs: ReadonlyMap<string, { object: Gang }>
  queues: ReadonlyMap<string, Queue>
  fleet: Fleet
  line: Line
  livePodsOf(gang: string): ReadonlySet<string>
  apply(change: Change): void
  decide(nowMs: number): Verdict[]
  fork(): Explained
  /** After `decide`: why a waiting gang waits. */
  blockedOf(gang: string): Blocked | undefined
  describe(gang: Gang, blocked: Blocked): Described
}

/** Computed on request, on a fork: what is missing, who holds it, and edits that were tried and would start it now. */
export function explain(scheduler: Explained, key: string, nowMs: number): Why {
  const gang = scheduler.gangs.get(key)?.object
  if (gang === undefined) return unknown(key)
  const fork = scheduler.fork()
  const started = startedBy(fork.decide(nowMs), key)
  const blocked = fork.blockedOf(key)
  const about = whyBase(scheduler, key, gang)
  if (gang.spec.suspend)
    return { ...about, state: 'suspended', reason: 'Suspended', message: 'it is suspended or has ended' }
  if (started || blocked === undefined) {
    return { ...about, state: 'seated', reason: 'Scheduled', message: seatedMessage(gang, started) }
  }
  const placeInLine = scheduler.line.placeOf(key) ?? fork.line.placeOf(key)
  return {
    ...about,
    state: 'waiting',
    ...fork.describe(gang, blocked),
    ...(placeInLine === undefined ? {} : { placeInLine }),
    fixes: verifiedFixes(scheduler, key, gang, about.holders, nowMs),
  }
}

const fixesMax = 5
const triesMax = 40

interface Fix {
  says: string
  changes: Change[]
}

function verifiedFixes(
  scheduler: Explained,
  key: string,
  gang: Gang,
  holders: Why['holders'],
  nowMs: number,
): string[] {
  const found: string[] = []
  let tries = 0
  for (const family of candidates(scheduler, key, gang, holders)) {
    for (const fix of family) {
      if (found.length >= fixesMax || tries++ >= triesMax) return found
      const fork = scheduler.fork()
      for (const change of fix.changes) fork.apply(change)
      if (!startedBy(fork.decide(nowMs), key)) continue
      found.push(fix.says)
      break // the smallest of its family
    }
  }
  return found
}

/** Families of edits, each from the smallest to the largest. */
function candidates(scheduler: Explained, key: string, gang: Gang, holders: Why['holders']): Iterable<Fix>[] {
  return [
    fewerMembers(gang),
    otherModels(scheduler, gang),
    queueEdits(scheduler, gang),
    openNodes(scheduler),
    higherPriority(scheduler, gang),
    suspendedHolders(scheduler, key, holders),
  ]
}

function* fewerMembers(gang: Gang): Iterable<Fix> {
  const [group, ...others] = gang.spec.groups
  if (group === undefined || others.length > 0) return
  for (let members = group.min - 1; members > 0; members--) {
    const smaller = { ...group, min: members, max: members }
    yield {
      says: `ask for ${members} ${members === 1 ? 'worker' : 'workers'} instead of ${group.min}`,
      changes: [edited(gang, { groups: [smaller] })],
    }
  }
}

function* otherModels(scheduler: Explained, gang: Gang): Iterable<Fix> {
  for (const model of scheduler.fleet.models()) {
    const groups = gang.spec.groups.map((group) => ({
      ...group,
      accelerators: group.accelerators.slice(0, 1).map(({ count }) => ({ model, count })),
    }))
    if (gang.spec.groups.every((group) => group.accelerators.some((one) => one.model === model))) continue
    yield {
      says: `ask for ${model} instead of ${gang.spec.groups[0]?.accelerators[0]?.model ?? 'its model'}`,
      changes: [edited(gang, { groups })],
    }
  }
}

function* queueEdits(scheduler: Explained, gang: Gang): Iterable<Fix> {
  const own = scheduler.queues.get(gang.spec.queue)
  const namespace = gang.metadata.namespace ?? 'default'
  if (own !== undefined) {
    const { nominalQuota: _, ...unlimited } = own.spec
    const changed = (spec: typeof own.spec): Change[] => [{ kind: 'Queue', object: { ...own, spec } }]
    yield {
      says: `start queue ${own.metadata.name} again (spec.stopPolicy: None)`,
      changes: changed({ ...own.spec, stopPolicy: 'None' }),
    }
    yield {
      says: `let namespace ${namespace} use queue ${own.metadata.name} (spec.namespaces)`,
      changes: changed({ ...own.spec, namespaces: [...own.spec.namespaces, namespace] }),
    }
    if (own.spec.nominalQuota !== undefined) {
      yield { says: `raise spec.nominalQuota of queue ${own.metadata.name}`, changes: changed(unlimited) }
    }
  }
  for (const queue of scheduler.queues.keys()) {
    if (queue !== gang.spec.queue) yield { says: `use queue ${queue}`, changes: [edited(gang, { queue })] }
  }
}

function* openNodes(scheduler: Explained): Iterable<Fix> {
  for (const { object, name } of scheduler.fleet.nodes.values()) {
    if (object.spec?.unschedulable !== true) continue
    const opened = { ...object, spec: { ...object.spec, unschedulable: false } }
    yield { says: `uncordon node ${name}`, changes: [{ kind: 'Node', object: opened }] }
  }
}

function* higherPriority(scheduler: Explained, gang: Gang): Iterable<Fix> {
  let highest = gang.spec.priority
  for (const lane of scheduler.line.lanes()) highest = Math.max(highest, lane.waiting[0]?.gang.spec.priority ?? highest)
  const priority = highest + 1
  yield { says: `set its priority to ${priority}`, changes: [edited(gang, { priority })] }
}

/** One holder alone, then the least important ones together. */
function* suspendedHolders(scheduler: Explained, key: string, holders: Why['holders']): Iterable<Fix> {
  const least = holders
    .filter((holder) => holder.gang !== key && scheduler.gangs.has(holder.gang))
    .toSorted((a, b) => a.priority - b.priority || a.accelerators - b.accelerators)
  for (const holder of least) yield suspend(scheduler, [holder])
  for (let count = 2; count <= least.length; count++) yield suspend(scheduler, least.slice(0, count))
}

function suspend(scheduler: Explained, holders: Why['holders']): Fix {
  const titles = holders.map(({ gang }) => titleOf(gang, scheduler.gangs.get(gang)?.object))
  const changes = holders.flatMap(({ gang }): Change[] => [
    ...[...scheduler.livePodsOf(gang)].map((pod): Change => ({ kind: 'Pod', deleted: pod })),
    { kind: 'Gang', deleted: gang },
  ])
  return { says: `suspend ${titles.join(' and ')}`, changes }
}

function edited(gang: Gang, spec: Partial<Gang['spec']>): Change {
  const metadata = { ...gang.metadata, resourceVersion: `${gang.metadata.resourceVersion ?? ''}+` }
  return { kind: 'Gang', object: { ...gang, metadata, spec: { ...gang.spec, ...spec } } }
}

function startedBy(verdicts: readonly Verdict[], key: string): boolean {
  return verdicts.some((verdict) => verdict.kind === 'bind' && verdict.gang === key)
}

function whyBase(scheduler: Explained, key: string, gang: Gang): Why {
  const models = [...new Set(gang.spec.groups.flatMap((group) => group.accelerators.map((one) => one.model)))]
  return {
    gang: key,
    state: 'unknown',
    reason: '',
    message: '',
    asked: {
      members: gang.spec.groups.reduce((sum, group) => sum + group.min, 0),
      accelerators: totals(gang),
    },
    free: models.map((model) => {
      const { free, total } = countOf(scheduler.fleet, model)
      return { model, count: free, total }
    }),
    holders: models
      .flatMap((model) => holdersOf(scheduler, acceleratorsHeld(model)))
      .map(({ gang: holder, queue, held, priority }) => ({ gang: holder, queue, accelerators: held, priority })),
    fixes: [],
  }
}

/** By each group's preferred alternative. */
function totals(gang: Gang): { model: string; count: number }[] {
  const sums = new Map<string, number>()
  for (const { min, accelerators } of gang.spec.groups) {
    const [first] = accelerators
    if (first !== undefined) sums.set(first.model, (sums.get(first.model) ?? 0) + min * first.count)
  }
  return [...sums].map(([model, count]) => ({ model, count }))
}

function seatedMessage(gang: Gang, startsNow: boolean): string {
  const members = gang.status?.seats?.members ?? []
  if (startsNow) return 'there is room: it is being seated now'
  const nodes = [...new Set(members.map((member) => member.node))]
  return `${members.length} ${members.length === 1 ? 'member sits' : 'members sit'} on ${nodes.join(', ')}`
}

function unknown(key: string): Why {
  return {
    gang: key,
    state: 'unknown',
    reason: 'NotFound',
    message: `there is no gang ${key}`,
    asked: { members: 0, accelerators: [] },
    free: [],
    holders: [],
    fixes: [],
  }
}

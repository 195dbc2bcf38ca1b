import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { keyOf } from '../model/refs.ts'
import type { KindMap, KindName } from '../model/registry.ts'
import type { Ref, Store } from '../store/contract.ts'
import { createInformer, type Informer } from '../store/informer.ts'

/** Informers of one term, one per kind, made when first asked for. Every kind is also filed under its owners' uids. */
export interface Views {
  of<K extends KindName>(kind: K): Informer<KindMap[K]>
  /** Pods of this very gang, of any attempt; those of an older one of its name may still be ending. */
  podsOf(gang: KindMap['Gang']): readonly KindMap['Pod'][]
  podsOnNode(node: string): readonly KindMap['Pod'][]
  /** What this term has just written is known at once: it never decides on less than it did itself. */
  wrote<K extends KindName>(kind: K, object: KindMap[K]): void
  /** What the store itself was asked for, and has no more: nothing is made for it, however late its watch is. */
  gone(kind: KindName, ref: Ref, uid: string): void
  /** Reports of those pods. */
  reportsOf(gang: KindMap['Gang']): KindMap['Report'][]
  /** Reports of pods of gangs of that name that tell of steps or checkpoints. */
  tellingOf(gang: KindMap['Gang']): readonly KindMap['Report'][]
  /** Starts all and waits until each has listed once. */
  start(): Promise<void>
  stop(): void
}

export interface ViewsOptions {
  store: Store
  clock: Clock
  random: Random
  log: Log
  /** No view begins with what was before this revision. */
  notBefore?: string | undefined
}

export function createViews({ store, clock, random, log, notBefore }: ViewsOptions): Views {
  const informers = new Map<KindName, { start(): void; stop(): void; synced(): Promise<void> }>()
  const made: { [K in KindName]?: Informer<KindMap[K]> } = {}
  let started = false

  function of<K extends KindName>(kind: K): Informer<KindMap[K]> {
    const known: Informer<KindMap[K]> | undefined = made[kind]
    if (known !== undefined) return known
    const indexes = { ...ownerIndex, ...indexesOf(kind) }
    const informer = createInformer<K>({ store, clock, random: random.split(kind), log, kind, indexes, notBefore })
    remember(kind, informer)
    informers.set(kind, informer)
    if (started) informer.start()
    return informer
  }

  function podsOf({ metadata: { uid } }: KindMap['Gang']): readonly KindMap['Pod'][] {
    return uid === undefined ? [] : of('Pod').by('owner', uid)
  }

  function remember<K extends KindName>(kind: K, informer: Informer<KindMap[K]>): void {
    const slot: { [P in K]?: Informer<KindMap[P]> } = made
    slot[kind] = informer
  }

  return {
    of,
    podsOf,
    podsOnNode: (node) => of('Pod').by('node', node),
    wrote: <K extends KindName>(kind: K, object: KindMap[K]) => {
      const informer: Informer<KindMap[K]> | undefined = made[kind]
      informer?.wrote(object)
    },
    gone: (kind, ref, uid) => made[kind]?.gone(ref, uid),
    reportsOf: (gang) => {
      const uids = new Set(podsOf(gang).map((pod) => pod.metadata.uid))
      const named = of('Report').by('gang', keyOf(gang))
      return named.filter(({ spec }) => spec.pod !== undefined && uids.has(spec.pod.uid))
    },
    tellingOf: (gang) => of('Report').by('telling', keyOf(gang)),
    start: async () => {
      started = true
      for (const informer of informers.values()) informer.start()
      await Promise.all([...informers.values()].map((informer) => informer.synced()))
    },
    stop: () => {
      started = false
      for (const informer of informers.values()) informer.stop()
    },
  }
}

const ownerIndex = {
  owner: (object: KindMap[KindName]) => (object.metadata.ownerReferences ?? []).map((owner) => owner.uid),
}

type Indexes<K extends KindName> = Record<string, (object: KindMap[K]) => string[]>

const podIndexes: Indexes<'Pod'> = {
  node: (pod) => (pod.spec.nodeName === undefined ? [] : [pod.spec.nodeName]),
}
const reportIndexes: Indexes<'Report'> = {
  gang: (report) => inNamespace(report.metadata.namespace, report.spec.gang),
  telling: (report) => (tells(report.status) ? inNamespace(report.metadata.namespace, report.spec.gang) : []),
}
/** Of steps or checkpoints. Of thousands of ranks mostly the first alone does. */
function tells(status: KindMap['Report']['status']): boolean {
  if (status === undefined) return false
  const { step, firstStepAtMs, stepSeconds, samplesPerSecond, tokensPerSecond, checkpoints, damaged } = status
  const progress = step ?? firstStepAtMs ?? stepSeconds ?? samplesPerSecond ?? tokensPerSecond
  return progress !== undefined || checkpoints.length > 0 || damaged !== undefined
}

const ownIndexes: { [K in KindName]?: Indexes<K> } = { Pod: podIndexes, Report: reportIndexes }

function indexesOf<K extends KindName>(kind: K): Indexes<K> {
  const own: { [P in K]?: Indexes<P> } = ownIndexes
  return own[kind] ?? {}
}

function inNamespace(namespace: string | undefined, name: string | undefined): string[] {
  return name === undefined ? [] : [`${namespace ?? 'default'}/${name}`]
}

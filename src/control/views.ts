import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { label } from '../model/names.ts'
import type { KindMap, KindName } from '../model/registry.ts'
import type { Store } from '../store/contract.ts'
import { createInformer, type Informer } from '../store/informer.ts'

/** Informers of one term, one per kind, made when first asked for. Every kind is also filed under its owners' uids. */
export interface Views {
  of<K extends KindName>(kind: K): Informer<KindMap[K]>
  /** Pods of a gang (`namespace/name`), of any attempt. */
  podsOfGang(key: string): KindMap['Pod'][]
  podsOnNode(node: string): KindMap['Pod'][]
  /** Reports of a gang's pods (`namespace/name`), of any attempt. */
  reportsOfGang(key: string): KindMap['Report'][]
  /** Starts all and waits until each has listed once. */
  start(): Promise<void>
  stop(): void
}

export interface ViewsOptions {
  store: Store
  clock: Clock
  random: Random
  log: Log
}

export function createViews({ store, clock, random, log }: ViewsOptions): Views {
  const informers = new Map<KindName, { start(): void; stop(): void; synced(): Promise<void> }>()
  const made: { [K in KindName]?: Informer<KindMap[K]> } = {}
  let started = false

  function of<K extends KindName>(kind: K): Informer<KindMap[K]> {
    const known: Informer<KindMap[K]> | undefined = made[kind]
    if (known !== undefined) return known
    const indexes = { ...ownerIndex, ...indexesOf(kind) }
    const informer = createInformer<K>({ store, clock, random: random.split(kind), log, kind, indexes })
    remember(kind, informer)
    informers.set(kind, informer)
    if (started) informer.start()
    return informer
  }

  function remember<K extends KindName>(kind: K, informer: Informer<KindMap[K]>): void {
    const slot: { [P in K]?: Informer<KindMap[P]> } = made
    slot[kind] = informer
  }

  return {
    of,
    podsOfGang: (key) => of('Pod').by('gang', key),
    podsOnNode: (node) => of('Pod').by('node', node),
    reportsOfGang: (key) => of('Report').by('gang', key),
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
  gang: (pod) => inNamespace(pod.metadata.namespace, pod.metadata.labels?.[label.gang]),
  node: (pod) => (pod.spec.nodeName === undefined ? [] : [pod.spec.nodeName]),
}
const reportIndexes: Indexes<'Report'> = {
  gang: (report) => inNamespace(report.metadata.namespace, report.spec.gang),
}
const ownIndexes: { [K in KindName]?: Indexes<K> } = { Pod: podIndexes, Report: reportIndexes }

function indexesOf<K extends KindName>(kind: K): Indexes<K> {
  const own: { [P in K]?: Indexes<P> } = ownIndexes
  return own[kind] ?? {}
}

function inNamespace(namespace: string | undefined, name: string | undefined): string[] {
  return name === undefined ? [] : [`${namespace ?? 'default'}/${name}`]
}

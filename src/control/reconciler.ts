import type { Ages } from '../base/ages.ts'
import type { Cancel, Clock } from '../base/clock.ts'
import type { Liveness } from '../base/liveness.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Blobs } from '../blob/contract.ts'
import type { Sources } from '../blob/sources.ts'
import type { KindMap, KindName } from '../model/registry.ts'
import type { Store } from '../store/contract.ts'
import type { Change } from '../store/informer.ts'
import type { Events } from './events.ts'
import type { Leaving } from './nodes/leaving.ts'
import type { NodeSigns } from './nodes/signs.ts'
import type { Closing } from './recovery/closing.ts'
import type { MembersOf } from './recovery/members.ts'
import type { DecisionSink } from './scheduling/decisions.ts'
import type { Views } from './views.ts'

/**
 * One concern of the control plane. Level-triggered: it looks at what is, not at what happened; safe to crash between
 * any two lines and to run twice. A key is never worked on twice at once.
 *
 * A write that comes back 'stale' needs no retry of its own: the newer state arrives through the watch and brings the
 * key back. Operating failures are thrown with their policy.
 */
export interface Reconciler {
  name: string
  /** Whose changes bring which keys here. At the start everything that exists counts as changed. */
  watches: readonly Watch[]
  reconcile(key: string): Promise<Outcome>
  /** Called when work begins: `wake` brings a key here for a reason that no resource shows. Returns how to end that. */
  start?(wake: (key: string) => void): Cancel
  /** Every key seen comes back after so long even if nothing changed. */
  resyncMs?: number
  /** Keys worked on at once; 8 when left out. */
  workers?: number
}

export type Watch = { [K in KindName]: WatchOf<K> }[KindName]
export interface WatchOf<K extends KindName> {
  kind: K
  /** `previous`: what was known before. */
  keys(object: KindMap[K], change: Change<KindMap[K]>['type'], previous: KindMap[K] | undefined): readonly string[]
}

export type Outcome = ({ kind: 'settled' } | { kind: 'again'; afterMs: number }) & {
  /** Other keys of this reconciler that want work now. */
  wake?: readonly string[]
}

export const settled = (): Outcome => ({ kind: 'settled' })
/** Come back after `afterMs`, or earlier if something changes. */
export const again = (afterMs: number): Outcome => ({ kind: 'again', afterMs })
/** The sooner of two. */
export function sooner(a: Outcome, b: Outcome): Outcome {
  const wake = [...(a.wake ?? []), ...(b.wake ?? [])]
  if (a.kind === 'settled') return { ...b, wake }
  if (b.kind === 'settled') return { ...a, wake }
  return { ...(a.afterMs <= b.afterMs ? a : b), wake }
}

/** What reconcilers are made from, for one term of leadership. */
export interface Context {
  /** Every write carries the term's fence. */
  store: Store
  /** Shared informers: what is known of each kind, a moment behind the store. Ask for all that you read when you are made. */
  views: Views
  blobs: Blobs
  /** Reads data that lies on this machine; undefined where nothing does. */
  sources?: Sources | undefined
  clock: Clock
  /** Of times that were written: who waits for one to be old enough counts here. */
  ages: Ages
  liveness: Liveness
  /** When nodes were last heard of. */
  signs: NodeSigns
  /** Which nodes work is to leave. */
  leaving: Leaving
  /** Takes nodes out of service: all of recovery shares one budget. */
  closing: Closing
  /** How members of gangs ended: who makes pods sees what recovery is to decide about. */
  members: MembersOf
  random: Random
  log: Log
  events: Events
  /** The term's fencing epoch. */
  epoch: number
  /** Where services are reached; undefined where no gateway runs. */
  gatewayUrl?: string | undefined
  /** Where the scheduler's decisions are recorded, if anywhere. */
  decisions?: DecisionSink | undefined
}

export type ReconcilerFactory = (context: Context) => Reconciler

import type { NodeDescription } from '../../agent/contract.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import type { ToldXid } from '../../model/told-xids.ts'
import type { Performance } from '../work/workload.ts'

/** What happens in one history, all of it: a function of the seed. */
export interface History {
  /** Left out: the twin's own. */
  startMs?: number
  nodes: NodeDescription[]
  queues: Queue[]
  /** Control planes that stand by. */
  standbys: number
  leaseSeconds: number
  fencing: boolean
  /** How often the ledger writes its pages; left out: every ten seconds, and after each change. */
  ledgerEveryMs?: number
  /** Changes that the store keeps for watchers. */
  history: number
  /** Most that an answer or event is late, and how often it is. */
  delay: { chance: number; msMax: number }
  arrivals: Arrival[]
  faults: Fault[]
  /** Requests, while there are faults. */
  traffic?: HistoryTraffic[]
  /** When faults end, and what is broken is mended. */
  safetyMs: number
}

export type Fault = {
  atMs: number
  forMs: number
} /** The leader's answers come so much later, be what it asks for carried out at once. */ & (
  | { kind: 'late control'; lateMs: number }
  /** It lists anew, from a server that is so many writes behind. */
  | { kind: 'stale control' | 'stale ledger' | 'stale gateway'; writes: number }
  | { kind: 'stale agent'; node: string; writes: number }
  | { kind: 'crash control' | 'pause control' | 'cut control' | 'break control' | 'pause standby' | 'cut standby' }
  /** The store starts anew: all watches of all processes end. */
  | { kind: 'break all' }
  /** At its n-th write from then on, before or after it got through; `of`: of that kind. Left out: at anybody's. */
  | { kind: 'crash control at write'; writes: number; point: 'before' | 'after'; of?: 'any' | 'Gang' | 'Pod' }
  /** Between its last look at its lease and its n-th write: that goes out when it wakes. */
  | { kind: 'pause control at write'; writes: number }
  | { kind: 'crash agent at write'; node: string; writes: number; point: 'before' | 'after' }
  | {
      kind:
        | 'crash agent'
        | 'pause agent'
        | 'cut agent'
        | 'break agent'
        | 'lose node'
        | 'lose rack'
        | 'cut rack'
        | 'slow node'
        /** What starts there ends soon, again and again. */
        | 'lemon'
        /** Its agent is replaced, and then one that runs there hangs. */
        | 'hang under a new agent'
        /** It says that it will be gone soon, and is not. */
        | 'warn node'
      node: string
    }
  /** `node`: of those that run there. */
  | { kind: 'kill rank' | 'hang rank' | 'fail rank'; pick: number; node?: string }
  /** One of the next gang that is asked to stop, so long after that. */
  | { kind: 'kill rank at stop'; afterMs: number; pick: number }
  /** So long after others are next to leave for a gang, all at once. */
  | { kind: 'at hold'; afterMs: number; acts: AtHold[] }
  | { kind: 'crash ledger' | 'pause ledger' | 'cut ledger' | 'break ledger' }
  /** An object of storage is not what was written. */
  | { kind: 'rot checkpoint'; pick: number }
  /** A copy in some node's memory is not what was written. */
  | { kind: 'rot copy'; pick: number }
  /** As in scenarios. */
  | { kind: 'storage-slow'; slowness: number }
  | { kind: 'storage-outage' | 'storage-full' }
  | { kind: 'network-flap'; node: string }
  | { kind: 'disk-full'; node: string }
  /** The node tells `xid` of one of its GPUs; whoever looks after it has done what that asks for when this is over. */
  | { kind: 'gpu-error'; node: string; pick: number; xid: number; action?: ToldXid['action'] }
  /** One of its GPUs, that of one of its pods if there is any; its node says so so much later. */
  | { kind: 'gpu-loss'; node: string; pick: number; toldAfterMs: number }
  | { kind: 'network-partition'; node: string; reach?: 'rack' }
  | { kind: 'clock-jump'; node: string; byMs: number }
  | { kind: 'control-plane-clock-jump'; byMs: number }
  | { kind: 'jump ledger' | 'jump gateway'; byMs: number }
  /** What people do. */
  | { kind: 'suspend job' | 'evict pod'; pick: number }
  | { kind: 'cordon node'; node: string }
  /** Its Node goes, as of one that is taken out of the fleet; `isLost`: the machine as well, and another comes under its name. */
  | { kind: 'delete node'; node: string; isLost: boolean }
  /** So much of what two queues own is the first one's from now on. */
  | { kind: 'share quota'; percent: number }
  /** What a slot costs from now on, and how many nodes are kept as spares. */
  | { kind: 'edit pool'; price: number; spares: number }
  /** A job or a service, done or not; `again`: when that is over somebody makes another under its name. */
  | { kind: 'delete work'; pick: number; again: boolean }
  /** Somebody wants another number than before: `priority` of a job, `workers` while it stops for that, `replicas` of a service. */
  | { kind: 'edit priority' | 'edit workers' | 'edit replicas'; pick: number; wanted: number }
  | { kind: GatewayFault['kind'] }
)

/** A job or a service that somebody applies in a history, and how it will perform. */
export type Arrival = { atMs: number; performance: Performance } & (
  | { kind: 'TrainingJob'; object: TrainingJob }
  | { kind: 'InferenceService'; object: InferenceService }
)

/** Requests that a service gets while there are faults: so few that they cost little beside the rest of a history. */
export interface HistoryTraffic {
  /** Its name, in `default`. */
  service: string
  /** Per second. */
  rate: number
  burst?: { atMs: number; lastsMs: number; factor: number }
  /** Tokens of a prompt and of an answer. */
  input: number
  output: number
}

export const ofGateway = ['crash gateway', 'pause gateway', 'cut gateway', 'break gateway'] as const
export type GatewayFault = { atMs: number; forMs: number; kind: (typeof ofGateway)[number] }

/** `label victim`: somebody writes to it again and again. */
export const atHold = [
  'crash control',
  'late control',
  'suspend holder',
  'suspend victim',
  'kill victim',
  'label victim',
] as const
export type AtHold = (typeof atHold)[number]

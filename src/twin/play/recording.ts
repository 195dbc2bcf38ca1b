import type { Drill } from '../../model/kinds/drill.ts'
import type { LedgerPage } from '../../model/kinds/ledger-page.ts'
import type { RestoredFrom } from '../../model/kinds/report.ts'
import type { RequestSums } from '../traffic/sums.ts'
import type { Strike } from './injector.ts'

/** What was seen of one run. Times in milliseconds from its start. */
export interface Recording {
  seed: number
  horizonMs: number
  nodes: number
  accelerators: number
  jobs: readonly JobRecord[]
  sittings: readonly Sitting[]
  failures: readonly Failure[]
  evictions: readonly Eviction[]
  strikes: readonly Strike[]
  levels: readonly Level[]
  /** Ranks that started from a checkpoint, by the furthest place that any of it came from. */
  restores: Readonly<Partial<Record<RestoredFrom, number>>>
  /** Terms of leaders that began. */
  leaders: number
  drills: readonly Drill[]
  /** Services that got requests. */
  services: readonly ServiceRecord[]
  pages: readonly LedgerPage[]
}

export interface ServiceRecord {
  /** `namespace/name`. */
  service: string
  requests: RequestSums
  /** Replicas that there were. */
  replicas: ReplicaLevel[]
}

/** So many replicas from `atMs` on. */
export interface ReplicaLevel {
  atMs: number
  count: number
}

export interface JobRecord {
  /** `TrainingJob/namespace/name`, as the ledger names its owner. */
  owner: string
  queue: string
  submittedMs: number
  /** When it first had seats. */
  startedMs: number | undefined
  endedMs: number | undefined
  outcome: 'Succeeded' | 'Failed' | undefined
  /** Accelerator-milliseconds that it held seats, and that it asked for meanwhile without having any. */
  heldMs: number
  outMs: number
}

/** One gang on one node, for one attempt. */
export interface Sitting {
  gang: string
  attempt: number
  node: string
  accelerators: number
  fromMs: number
  toMs: number
}

/** An attempt of a training job that failed. */
export interface Failure {
  gang: string
  attempt: number
  /** The fault that struck it, by name; else what recovery took for the reason. */
  cause: string
  /** Its gang was still down from the failure before: one interruption, two attempts. */
  isAgain: boolean
  reason: string
  accelerators: number
  /** When it struck, when recovery decided, and when the next attempt had done its first step. */
  atMs: number
  decidedMs: number
  backMs: number | undefined
  /** From the decision until it was back, failed again or ended. */
  downMs: number
  /** Accelerator-seconds since its last durable checkpoint, as recovery priced them. */
  lostSeconds: number
}

export interface Eviction {
  atMs: number
  gang: string
  reason: string
}

/** How it stands from `atMs` on. */
export interface Level {
  atMs: number
  /** Accelerators under seats. */
  inUse: number
  /** Gangs that want seats and have none, and the accelerators that they ask for. */
  waiting: number
  asked: number
  /** Nodes that take no work: silent, or closed. */
  nodesOut: number
}

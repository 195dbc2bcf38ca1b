import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Blobs } from '../blob/contract.ts'
import type { Device, Probe } from '../model/kinds/kubernetes.ts'
import type { Report, RestoredFrom } from '../model/kinds/report.ts'
import type { PodWork } from '../model/work.ts'

/**
 * The two seams of the agent: who runs a pod's process, and who moves files beside it. The local and the simulated
 * agent implement only these.
 */

/** Runs the pods of one node. What it started outlives the agent, and is found again. */
export interface PodRunner {
  /** The pod of `uid`, when it was started here before, by this agent or an earlier one; its end is watched from now on. */
  find(uid: string): Promise<RunningPod | undefined>
  /**
   * Starts it once: where an earlier start of the same uid won, that one is given back. Throws 'disk-full', with nothing
   * begun, where there is no room to remember it: whoever waits for room may start it then.
   */
  start(run: PodRun): Promise<RunningPod | Refusal>
  /** Uids of pods of this node that were started here and not removed. */
  known(): Promise<string[]>
  /** One look; undefined: healthy, else what was wrong. */
  probe(run: ProbeRun): Promise<string | undefined>
  /** Forgets an ended pod and its files. Kills what still runs. */
  remove(uid: string): Promise<void>
  /** Lets go of everything without touching the pods. */
  close(): void
}

export interface PodRun {
  uid: string
  namespace: string
  name: string
  node: string
  command: string[]
  /** Whole: nothing is inherited but what the runner adds (PATH, HOME, …) where it is not set here. */
  env: Record<string, string>
  workingDir?: string | undefined
  image?: string | undefined
  /** The command is arguments to the image's own entry point. */
  isArguments?: boolean | undefined
  /** Memory is enforced, as well as the runner can (see its own words); CPU where it can. */
  limits?: { cpuMilli?: number | undefined; memoryBytes?: number | undefined } | undefined
  volumes: Volume[]
}

export interface Volume {
  mountPath: string
  readOnly: boolean
  /** A folder of the machine; undefined for an emptyDir. */
  hostPath?: string | undefined
}

/** Why a pod cannot run here, in the words of its status. */
export interface Refusal {
  refused: true
  reason: string
  message: string
  /** The committed checkpoint that it was to start from, where that is what is wrong. */
  damaged?: { attempt: number; step: number } | undefined
}

export interface RunningPod {
  /** The command's own process (not its shim): what a person would kill. */
  readonly pid: number | undefined
  readonly startedAtMs: number
  /** An earlier agent started it. */
  readonly adopted: boolean
  /** The machine was started anew since it ran: what it wrote last may be there in part only. */
  readonly isTorn?: boolean | undefined
  /** What whoever looks at the pod should know of how it was started. */
  readonly notice?: Notice | undefined
  readonly ended: Promise<PodEnd>
  /** To everything that the pod started. */
  signal(signal: PodSignal): void
}

export type PodSignal = 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'

export interface PodEnd {
  /** By the shim's clock. */
  atMs: number
  exitCode?: number | undefined
  signal?: string | undefined
  /** It was killed for want of memory: the machine's, or its own where `limitBytes` is set. */
  outOfMemory?: OutOfMemory | undefined
  /** The folder of the agent, where its disk was full at a bad end: a likely cause. */
  diskFull?: string | undefined
  /** Nobody saw how it ended. */
  lost?: string | undefined
}

export interface OutOfMemory {
  limitBytes?: number | undefined
  /** What its processes held together when it was over the limit, where somebody looked. */
  seenBytes?: number | undefined
}

export interface ProbeRun {
  uid: string
  probe: Probe
  /** The port that `probe` means on this node. */
  port: number | undefined
  host: string
  timeoutMs: number
  env: Record<string, string>
  /** The command that runs the probe's own where the pod is; left out: it runs here. */
  through?: readonly string[]
}

/** Where the agent's own half of a pod lives: data in, checkpoints and output out, progress read. */
export interface PodFiles {
  beside(place: PodPlace, tools: PodTools): PodBeside
}

/**
 * Copies of checkpoints that nodes keep in memory: a cache beside object storage, under the same keys. Any part of it may be
 * gone at any time, or not be what was written: whoever reads one checks it against what was committed. What a node keeps goes
 * with the node. A call that gets no answer fails; none waits for ever.
 */
export interface Copies {
  /** What a node keeps; undefined where it cannot be reached now. */
  of(node: string): Blobs | undefined
  /** Nothing was ever put there: asking for more is not worth it. */
  isEmpty(node: string): boolean
}

export interface PodTools {
  blobs: Blobs
  /** Left out: no node keeps any. */
  copies?: Copies | undefined
  clock: Clock
  log: Log
}

export interface PodPlace {
  uid: string
  namespace: string
  name: string
  node: string
  /** The other node that keeps a copy of what this rank writes, where one is to. */
  peer?: string | undefined
  rank: number
  worldSize: number
  attempt: number
  work: PodWork
}

export interface PodBeside {
  /**
   * Makes the pod's folders and fills them. May be repeated after a crash, or after it threw. `close` ends it: it throws, and makes
   * nothing any more.
   */
  prepare(): Promise<Prepared | Refusal>
  /**
   * Reads progress and ships checkpoints from now on. `known`: steps that were reported as shipped before; left out: what is
   * there cannot be trusted, and nothing is shipped.
   */
  follow(sink: PodSink, known: readonly number[] | undefined): void
  /** Tells the job what the control plane wants it to know; what was told before is no longer so. */
  tell(word: Word): Promise<void>
  /** After the end: reads the last lines; for a good end ships what is complete, and the output. */
  finish(end: { good: boolean; output: boolean }): Promise<Output | undefined>
  /** The last lines of the log, at most 20 and 4 KB. */
  tail(): Promise<string>
  /** When a checkpoint was last seen being written; a long write is no hang. */
  writingAtMs(): Promise<number | undefined>
  /** Stops following; the files stay. */
  close(): void
}

/** What a job is told through MILLWRIGHT_CONTROL. */
export interface Word {
  /** A checkpoint is wanted at `step` (all ranks are asked for the same), and to stop there. */
  request?: { step: number; stop: boolean } | undefined
  /** Who works together now, by rank; left out where that does not change while they run. */
  members?: readonly Member[] | undefined
}

export interface Member {
  rank: number
  pod: string
  /** Where its node is reached, and at which of its ports. */
  address: string
  ports: readonly number[]
}

export interface Prepared {
  env: Record<string, string>
  restoredStep?: number
  /** Left out where an agent before had restored it. */
  restoredFrom?: RestoredFrom
  /** What whoever looks at the pod should know of it. */
  notice?: Notice
}

export interface Notice {
  type: 'Normal' | 'Warning'
  reason: string
  message: string
}

export interface PodSink {
  /** Lines that were there before anybody followed; of a pod that runs already they may have been told to an earlier agent. */
  found(lines: readonly ProgressLine[], atMs: number): void
  /** Lines come in order; `atMs` is when they were seen. */
  progress(lines: readonly ProgressLine[], atMs: number): void
  shipped(checkpoint: ShippedCheckpoint): void
  notice(notice: Notice): void
}

type ReportStatus = NonNullable<Report['status']>
export type ShippedCheckpoint = ReportStatus['checkpoints'][number]
export type Output = NonNullable<ReportStatus['output']>

/**
 * One line of MILLWRIGHT_PROGRESS. `steps` is how many it will do in all; `samples`, `tokens` and `seconds` are of that step
 * alone. `busySeconds`: so much of it this rank worked by itself, without waiting for another. Ranks compute in step, so that
 * all have the same `seconds`; who of them keeps the others waiting is who is busy for longer.
 */
export interface ProgressLine {
  step?: number
  steps?: number
  loss?: number
  samples?: number
  tokens?: number
  seconds?: number
  busySeconds?: number
  /** So long it stood still before that step, while others left or joined. */
  regroupSeconds?: number
  checkpoint?: boolean
  stallSeconds?: number
  restored?: number
  stopped?: number
}

/** What a node offers. Capacity that no GPU or core stands behind (`slots`) is counted, not reserved. */
export interface NodeDescription {
  name: string
  pool: string
  labels: Record<string, string>
  cpuMilli: number
  memoryBytes: number
  slots: number
  podsMax: number
  gpus: Device[]
  /** Why no card can be asked about, where there is a driver that does not answer. */
  gpuProblem?: string | undefined
  ports: { from: number; to: number }
  address: string
  info: Record<string, string>
}

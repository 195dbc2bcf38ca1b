import type { Clock } from '../../base/clock.ts'
import type { Blobs } from '../../blob/contract.ts'
import { createSimulatedBlobs } from '../../blob/simulated/blobs.ts'
import type { RestoredFrom } from '../../model/kinds/report.ts'
import type { PodEnd, PodPlace, PodRun, PodSignal, ProgressLine } from '../contract.ts'

/**
 * What a pod of a simulated machine does. It is told what a process would be told, and acts through `SimulatedPod`.
 */
export interface Program {
  /** The control file: a checkpoint is wanted at `step`; or is so no more. */
  ask(request: { step: number; stop: boolean } | undefined): void
  signal(signal: PodSignal): void
  /** What a probe of it finds wrong; undefined: healthy. */
  probe(): string | undefined
  /** It was ended from outside, or its machine is gone: nothing that it had planned happens any more. */
  gone(): void
}

/** How long what goes on beside a pod takes, and what the pod does. */
export interface Workload {
  /** Milliseconds until the pod's folders are filled: image pulled, data there. */
  prepareMs(place: PodPlace): number
  /** Until its checkpoint is loaded, from storage where nothing is wrong. */
  restoreMs(place: PodPlace): number
  /** The same from a copy in a node's memory; a copy takes as long to be made. */
  restoreFromCopyMs(place: PodPlace): number
  start(pod: SimulatedPod): Program
}

/** A checkpoint as a rank left it on its machine. */
export interface WrittenCheckpoint {
  step: number
  writtenAtMs: number
  bytes: number
  /** How long it takes to be stored. */
  persistMs: number
}

/** A process and its folder. Both outlive the agent. */
export class SimulatedPod {
  readonly uid: string
  readonly place: PodPlace
  readonly run: PodRun
  readonly startedAtMs: number
  readonly #clock: Clock
  readonly written: WrittenCheckpoint[] = []
  readonly ended: Promise<PodEnd>
  #tellEnd: (end: PodEnd) => void = () => {}
  end: PodEnd | undefined
  /** The power went since it was started. */
  isTorn = false
  program: Program | undefined
  #lines: ProgressLine[] = []
  /** The agent that follows it now. */
  follower: { lines(lines: readonly ProgressLine[]): void; checkpoint(): void } | undefined

  constructor(place: PodPlace, run: PodRun, clock: Clock) {
    this.uid = run.uid
    this.place = place
    this.run = run
    this.#clock = clock
    this.startedAtMs = clock.now()
    this.ended = new Promise((resolve) => {
      this.#tellEnd = resolve
    })
  }

  /** The program ended by itself. */
  exit(end: Omit<PodEnd, 'atMs'>): void {
    if (this.end !== undefined) return
    this.end = { atMs: this.#clock.now(), ...end }
    this.#tellEnd(this.end)
  }

  kill(end: Omit<PodEnd, 'atMs'>): void {
    if (this.end !== undefined) return
    this.program?.gone()
    this.exit(end)
  }

  /** Lines of its progress file. */
  progress(lines: readonly ProgressLine[]): void {
    if (this.follower !== undefined) this.follower.lines(lines)
    else this.#lines.push(...lines)
  }

  checkpoint(written: WrittenCheckpoint): void {
    this.written.push(written)
    if (this.written.length > writtenMax) this.written.shift()
    this.follower?.checkpoint()
  }

  /** What was written while no agent looked. */
  takeLines(): ProgressLine[] {
    const lines = this.#lines
    this.#lines = []
    return lines
  }
}

/** What its disk holds, in words. */
export const podsDir = 'the pods'

/** As beside a real pod: older ones are in the store, or were passed over. */
const writtenMax = 4

/** One part of a checkpoint as a rank has read it, before it starts. */
export interface RestoredPart {
  place: PodPlace
  manifest: string
  digest: string
  from: RestoredFrom
}

/** One machine of the twin. Its agent may be killed and started again; what runs here runs on. */
export class SimulatedMachine {
  readonly clock: Clock
  readonly workload: Workload
  readonly pods = new Map<string, SimulatedPod>()
  /** So many causes fill its disk at once. */
  fills = 0
  /** Pods whose folders are being filled, or were. */
  readonly places = new Map<string, PodPlace>()
  /** Pods whose checkpoint is there. */
  readonly restored = new Set<string>()
  readonly onRestored: (part: RestoredPart) => void
  #copies: Blobs | undefined

  constructor(clock: Clock, workload: Workload, onRestored: (part: RestoredPart) => void = () => {}) {
    this.clock = clock
    this.workload = workload
    this.onRestored = onRestored
  }

  /** Checkpoints in its memory. */
  get copies(): Blobs {
    this.#copies ??= createSimulatedBlobs()
    return this.#copies
  }

  get hasCopies(): boolean {
    return this.#copies !== undefined
  }

  start(run: PodRun): SimulatedPod {
    const known = this.pods.get(run.uid)
    if (known !== undefined) return known
    const pod = new SimulatedPod(this.places.get(run.uid) ?? placeOf(run), run, this.clock)
    this.pods.set(run.uid, pod)
    pod.program = this.workload.start(pod)
    return pod
  }

  /** Nothing of it is left. */
  forget(uid: string): void {
    this.pods.delete(uid)
    this.places.delete(uid)
    this.restored.delete(uid)
  }

  get isDiskFull(): boolean {
    return this.fills > 0
  }

  running(): SimulatedPod[] {
    return [...this.pods.values()].filter(({ end }) => end === undefined)
  }

  /** The power goes: everything that ran has ended, nobody saw how, and memory is empty. */
  lose(): void {
    this.#copies = undefined
    for (const pod of this.pods.values()) {
      pod.kill({ lost: 'the machine started anew' })
      pod.isTorn = true
    }
  }
}

function placeOf({ uid, namespace, name, node }: PodRun): PodPlace {
  return { uid, namespace, name, node, rank: 0, worldSize: 1, attempt: 1, work: { checkpointRanks: 'first' } }
}

import type { PodPlace, PodSignal } from '../../agent/contract.ts'
import type { Program, SimulatedPod, Workload } from '../../agent/simulated/machine.ts'
import type { Cancel, Clock } from '../../base/clock.ts'
import { type Random, seededRandom } from '../../base/random.ts'
import { normalDraws } from '../traffic/draws.ts'
import { Replica, type ReplicaModel } from './replica.ts'
import { type Corruption, Ensemble, type RankHealth, type TrainingModel } from './training.ts'

export interface Performance {
  /** Image pull and data, before a pod starts. */
  prepareMs: number
  /** Reading back its checkpoint, before a rank starts. */
  restoreMs: number
  /** The same from a copy in a node's memory; left out: a thirteenth. */
  restoreFromCopyMs?: number
  training: TrainingModel
  replica: ReplicaModel
}

export interface WorkloadOptions {
  clock: Clock
  /** What is drawn of the steps of jobs, each attempt from a split of its own. */
  random: Random
  /** A pod's steps as a sign of life. */
  beat(who: string, everyMs: number): Cancel
  health: RankHealth
  /** How the pods of a job or service perform. */
  performanceOf(place: PodPlace): Performance
  isReplica(place: PodPlace): boolean
  /** Whether a GPU is gone that it is to compute on. */
  lacksGpu?(pod: SimulatedPod): boolean
}

/** Everything that runs on the twin's machines. */
export class SimulatedWorkload implements Workload {
  readonly #options: WorkloadOptions
  readonly #ensembles = new Map<string, Ensemble>()
  /** By pod uid. */
  readonly #replicas = new Map<string, Replica>()
  /** Checkpoints that hold wrong results, by what names job, attempt and step. */
  readonly #corrupted = new Map<string, Corruption>()
  /** Replicas that ended with an error, of those that perform alike. */
  readonly #crashed = new WeakMap<Performance, number>()

  constructor(options: WorkloadOptions) {
    this.#options = options
  }

  prepareMs(place: PodPlace): number {
    return this.#options.performanceOf(place).prepareMs
  }

  restoreMs(place: PodPlace): number {
    return this.#options.performanceOf(place).restoreMs
  }

  restoreFromCopyMs(place: PodPlace): number {
    const { restoreMs, restoreFromCopyMs = restoreMs / fasterFromMemory } = this.#options.performanceOf(place)
    return restoreFromCopyMs
  }

  start(pod: SimulatedPod): Program {
    const { performanceOf, isReplica, clock, lacksGpu } = this.#options
    const performance = performanceOf(pod.place)
    if (lacksGpu?.(pod) === true) return failing(pod, clock)
    if (isReplica(pod.place))
      return this.#crashes(performance)
        ? crashing(pod, performance.replica, clock)
        : this.#serve(pod, performance.replica)
    return this.#ensembleOf(pod, performance.training).join(pod)
  }

  /** The ranks that a pod computes with; undefined for a replica. */
  ensemble(place: PodPlace): Ensemble | undefined {
    return this.#ensembles.get(attemptOf(place))
  }

  /** What serves in a pod, from its start until it has ended. */
  replica(uid: string): Replica | undefined {
    return this.#replicas.get(uid)
  }

  /** What runs in these pods became slower or faster. */
  paceChanged(pods: readonly SimulatedPod[]): void {
    for (const ensemble of new Set(pods.map(({ place }) => this.ensemble(place)))) ensemble?.paceChanged()
    for (const { uid } of pods) this.#replicas.get(uid)?.paceChanged()
  }

  /** What these pods compute is wrong from now on. */
  corruptionBegan(pods: readonly SimulatedPod[]): void {
    for (const ensemble of new Set(pods.map(({ place }) => this.ensemble(place)))) ensemble?.corruptionBegan()
  }

  /** Ranks in these pods may reach each other no more, or again. */
  networkChanged(pods: readonly SimulatedPod[]): void {
    for (const ensemble of new Set(pods.map(({ place }) => this.ensemble(place)))) ensemble?.networkChanged()
  }

  #serve(pod: SimulatedPod, model: ReplicaModel): Replica {
    const { clock, health } = this.#options
    const replica = new Replica(pod, model, { clock, slowness: () => health.slowness(pod) })
    this.#replicas.set(pod.uid, replica)
    void pod.ended.then(() => this.#replicas.delete(pod.uid))
    return replica
  }

  #crashes(performance: Performance): boolean {
    const crashed = this.#crashed.get(performance) ?? 0
    this.#crashed.set(performance, crashed + 1)
    return crashed < (performance.replica.crashes ?? 0)
  }

  #ensembleOf({ place }: SimulatedPod, model: TrainingModel): Ensemble {
    const key = attemptOf(place)
    const known = this.#ensembles.get(key)
    if (known !== undefined) return known
    const { clock, beat, health, random } = this.#options
    const { restore } = place.work
    const own = random.split(`${place.namespace}/${jobOf(place)} ${place.attempt}`)
    const normal = normalDraws(seededRandom(own.int(0, 0x7fffffff)))
    const kept = (step: number, corruption: Corruption) => void this.#corrupted.set(`${key} ${step}`, corruption)
    const made = new Ensemble({ clock, beat, health, kept, normal }, model, place.worldSize, {
      step: restore?.step ?? 0,
      rejoins: place.work.checkpointRanks === 'any',
      corruption: restore && this.#corrupted.get(`${attemptOf(place, restore.attempt)} ${restore.step}`),
    })
    this.#ensembles.set(key, made)
    // Of each job only the newest attempt matters.
    if (this.#ensembles.size > ensemblesMax)
      for (const [old] of this.#ensembles) {
        this.#ensembles.delete(old)
        break
      }
    return made
  }
}

const ensemblesMax = 10_000

/** GEMINI: recovery from a peer's memory is more than 13 times as fast as from storage (facts/reliability.md §1.3). */
const fasterFromMemory = 13

/** The ranks of one attempt find each other by where they store their checkpoints, which names job and attempt. */
function attemptOf(place: PodPlace, attempt = place.attempt): string {
  const { namespace, name, work } = place
  return work.checkpoints?.replace(/-[0-9]+$/, `-${attempt}`) ?? `${namespace}/${jobOf({ name })}/${attempt}`
}

/** By the name of one of its pods. */
function jobOf({ name }: Pick<PodPlace, 'name'>): string {
  return name.replace(/-[0-9]+-[0-9]+$/, '')
}

/** It looks for a GPU that is not there. */
function failing(pod: SimulatedPod, clock: Clock): Program {
  const cancel = clock.after(lookMs, () => pod.exit({ exitCode: 1 }))
  return { ask: () => {}, probe: () => 'it finds no GPU', signal: () => {}, gone: cancel }
}

const lookMs = 1_000

/** It ends when it should have been ready. */
function crashing(pod: SimulatedPod, { loadMs }: ReplicaModel, clock: Clock): Program {
  const cancel = clock.after(loadMs, () => pod.exit({ exitCode: 1 }))
  return {
    ask: () => {},
    probe: () => 'it is loading its model',
    signal: (signal: PodSignal) => {
      if (signal === 'SIGTERM') pod.exit({ exitCode: 143, signal })
    },
    gone: cancel,
  }
}

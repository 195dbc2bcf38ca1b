import { isLive } from '../../control/gangs.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import type { Twin } from '../twin.ts'
import type { Fault } from './history.ts'
import { pickOf } from './pick.ts'

const ofPeople = [
  'suspend job',
  'evict pod',
  'cordon node',
  'delete work',
  'edit priority',
  'edit workers',
  'edit replicas',
  'share quota',
  'edit pool',
] as const
type Act = Extract<Fault, { kind: (typeof ofPeople)[number] }>

export function isOfPeople(fault: Fault): fault is Act {
  return (ofPeople as readonly string[]).includes(fault.kind)
}

/** What people do with work and nodes that are there, and take back after a while. */
export class People {
  readonly #twin: Twin
  readonly #later: (forMs: number, undo: () => void | Promise<void>) => void

  constructor(twin: Twin, later: (forMs: number, undo: () => void | Promise<void>) => void) {
    this.#twin = twin
    this.#later = later
  }

  async act(act: Act): Promise<void> {
    if (act.kind === 'share quota') await this.#shareQuota(act)
    else if (act.kind === 'edit pool') await this.#editPool(act)
    else if (act.kind === 'cordon node') await this.#cordon(act)
    else if (act.kind === 'delete work') await this.#deleteWork(act)
    else if (act.kind === 'edit replicas') await this.#editService(act)
    else if ('wanted' in act) await this.#editJob(act)
    else if (act.kind === 'suspend job') await this.#suspendJob(act)
    else await this.#evictPod(act)
  }

  /** `again`: another one under its name, later. */
  async #deleteWork({ pick, forMs, again }: Extract<Fault, { kind: 'delete work' }>): Promise<void> {
    const { store } = this.#twin
    const jobs = (await store.list('TrainingJob')).items
    const services = (await store.list('InferenceService')).items
    const chosen = pickOf<TrainingJob | InferenceService>([...jobs, ...services], pick)
    if (chosen === undefined) return
    const { apiVersion, metadata } = chosen
    const { name, namespace, uid } = metadata
    await store.delete(chosen.kind, { name, namespace }, { uid })
    if (!again) return
    const anew = { apiVersion, metadata: { name, namespace } }
    this.#later(forMs, () =>
      chosen.kind === 'TrainingJob'
        ? this.#twin.apply('TrainingJob', { ...anew, kind: chosen.kind, spec: { ...chosen.spec, suspend: false } })
        : this.#twin.apply('InferenceService', {
            ...anew,
            kind: chosen.kind,
            spec: { ...chosen.spec, suspend: false },
          }),
    )
  }

  async #suspendJob({ pick, forMs }: { pick: number; forMs: number }): Promise<void> {
    const job = pickOf(await this.#unfinishedJobs(), pick)
    if (job !== undefined) await this.suspend(job.metadata.name, forMs)
  }

  async #unfinishedJobs(): Promise<TrainingJob[]> {
    const { items } = await this.#twin.store.list('TrainingJob')
    return items.filter(({ status }) => status?.completionTime === undefined)
  }

  /** Fewer workers, for what fits with more of them fits. A job stops for that. */
  async #editJob({ kind, pick, wanted, forMs }: Extract<Fault, { wanted: number }>): Promise<void> {
    const job = pickOf(await this.#unfinishedJobs(), pick)
    if (job === undefined) return
    const { name, namespace } = job.metadata
    const { workers = 1, minWorkers = 1 } = job.spec
    const fewer = { workers: Math.max(minWorkers, Math.min(wanted, workers)), suspend: true }
    const spec = kind === 'edit priority' ? { priority: wanted } : fewer
    await this.#twin.store.patch('TrainingJob', { name, namespace }, { spec })
    if (kind === 'edit workers') this.#later(forMs, () => this.#resume(name))
  }

  async #resume(name: string): Promise<void> {
    await this.#twin.store.patch('TrainingJob', { name, namespace: 'default' }, { spec: { suspend: false } })
  }

  /** Spares are given up again after a while: work that needs all nodes would wait for them for ever. */
  async #editPool({ price, spares, forMs }: Extract<Fault, { kind: 'edit pool' }>): Promise<void> {
    const edit = (spec: object) => this.#twin.store.patch('Pool', { name: 'local' }, { spec })
    await edit({ pricePerSlotHour: price, spares })
    this.#later(forMs, async () => void (await edit({ spares: null })))
  }

  async #shareQuota({ percent }: { percent: number }): Promise<void> {
    const { store } = this.#twin
    const leaves = (await store.list('Queue')).items.filter(({ spec }) => spec.parent !== undefined)
    const owned = leaves.reduce((sum, { spec }) => sum + (spec.nominalQuota?.['cpu'] ?? 0), 0)
    const first = Math.round((owned * percent) / 100)
    for (const [index, { metadata }] of leaves.entries()) {
      const nominalQuota = { cpu: index === 0 ? first : owned - first }
      await store.patch('Queue', { name: metadata.name }, { spec: { nominalQuota } })
    }
  }

  async #editService({ pick, wanted }: { pick: number; wanted: number }): Promise<void> {
    const service = pickOf((await this.#twin.store.list('InferenceService')).items, pick)
    if (service === undefined) return
    const { name, namespace } = service.metadata
    const spec = { minReplicas: Math.min(wanted, 2), maxReplicas: Math.max(wanted, 2) }
    await this.#twin.store.patch('InferenceService', { name, namespace }, { spec })
  }

  /** The job of that name; a replica is nobody's to suspend. */
  async suspend(name: string, forMs: number): Promise<void> {
    const ref = { name, namespace: 'default' }
    await this.#twin.store.patch('TrainingJob', ref, { spec: { suspend: true } })
    this.#later(forMs, () => this.#resume(name))
  }

  /** As `kubectl drain` does. */
  async #evictPod({ pick }: { pick: number }): Promise<void> {
    const { store } = this.#twin
    const pod = pickOf((await store.list('Pod')).items.filter(isLive), pick)
    if (pod === undefined) return
    const { name, namespace, uid } = pod.metadata
    await store.evict({ name, namespace }, { uid })
  }

  async #cordon({ node: name, forMs }: { node: string; forMs: number }): Promise<void> {
    const cordon = (unschedulable: true | null) => this.#twin.store.patch('Node', { name }, { spec: { unschedulable } })
    await cordon(true)
    this.#later(forMs, async () => void (await cordon(null)))
  }
}

import type { Model } from '../../model/kinds/model.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/** What a job made is published once, and stays: a version has one number, its content is not deleted, a job names its own. */
export class Models implements Invariant {
  readonly name = 'models'
  readonly #models = new Map<string, Model>()
  /** By uid of the job. */
  readonly #published = new Map<string, string>()

  check({ kind, type, object }: Entry, _nowMs: number, by: string | undefined): string | undefined {
    if (kind === 'TrainingJob' && type !== 'DELETED') return this.#seeJob(object as TrainingJob)
    if (kind !== 'Model') return undefined
    const model = object as Model
    if (type === 'ADDED') return this.#seeNew(model)
    if (type === 'DELETED') this.#models.delete(keyOf(model))
    else this.#models.set(keyOf(model), model)
    // Somebody may.
    return type === 'DELETED' && by !== undefined ? `${by} deletes model ${keyOf(model)}` : undefined
  }

  /** Whose content goes with an object of storage; undefined: nobody's. */
  deleted(key: string): string | undefined {
    for (const model of this.#models.values())
      if (model.spec.manifest === key) return `${key} is deleted, and model ${keyOf(model)} is made of it`
    return undefined
  }

  #seeNew(model: Model): string | undefined {
    const { model: name, version, lineage } = model.spec
    const twin = [...this.#models.values()].find(
      ({ metadata, spec }) =>
        metadata.namespace === model.metadata.namespace && spec.model === name && spec.version === version,
    )
    this.#models.set(keyOf(model), model)
    if (twin !== undefined) return `models ${keyOf(twin)} and ${keyOf(model)} are both version ${version} of ${name}`
    if (lineage === undefined) return undefined
    const other = this.#published.get(lineage.jobUid)
    this.#published.set(lineage.jobUid, keyOf(model))
    return other === undefined ? undefined : `job ${lineage.job} is published as ${other} and as ${keyOf(model)}`
  }

  #seeJob({ metadata, status }: TrainingJob): string | undefined {
    if (status?.model === undefined) return undefined
    const own = this.#published.get(metadata.uid ?? '')
    const named = `${metadata.namespace}/${status.model}`
    return own === named
      ? undefined
      : `job ${keyOf({ metadata })} names model ${named}, and its own is ${own ?? 'none'}`
  }
}

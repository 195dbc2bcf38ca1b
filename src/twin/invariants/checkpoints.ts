import type { Gang } from '../../model/kinds/gang.ts'
import type { Report } from '../../model/kinds/report.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/**
 * Nothing acknowledged is lost. A committed checkpoint is only followed by a newer one, unless an agent found it damaged;
 * it is committed for the present attempt; what it names stays in storage for as long as the gang may go on from it; and a
 * job that succeeded stays so.
 */
export class Checkpoints implements Invariant {
  readonly name = 'checkpoints'
  readonly #gangs = new Map<string, Gang>()
  /** Checkpoints that agents found damaged, as `attempt step`. */
  readonly #damaged = new Set<string>()
  readonly #succeeded = new Set<string>()

  check({ kind, type, object }: Entry): string | undefined {
    if (kind === 'TrainingJob') return this.#seeJob(object as TrainingJob, type === 'DELETED')
    if (kind === 'Report') this.#seeReport(object as Report)
    if (kind !== 'Gang') return undefined
    return this.#seeGang(object as Gang, type === 'DELETED')
  }

  /** What an object of storage is deleted from under; undefined: nobody. */
  deleted(key: string): string | undefined {
    for (const gang of this.#gangs.values()) {
      if (gang.status?.checkpoint?.manifests.includes(key) === true)
        return `${key} is deleted, and gang ${keyOf(gang)} would go on from it`
    }
    return undefined
  }

  #seeReport({ spec, status }: Report): void {
    const { damaged } = status ?? {}
    if (damaged !== undefined) this.#damaged.add(`${spec.gang} ${damaged.attempt} ${damaged.step}`)
  }

  #seeJob(job: TrainingJob, isGone: boolean): string | undefined {
    const uid = job.metadata.uid ?? ''
    if (isGone) this.#succeeded.delete(uid)
    else if (job.status?.phase === 'Succeeded') this.#succeeded.add(uid)
    else if (this.#succeeded.has(uid)) return `job ${keyOf(job)} had succeeded and is ${job.status?.phase} now`
    return undefined
  }

  #seeGang(gang: Gang, isGone: boolean): string | undefined {
    const key = keyOf(gang)
    const before = this.#gangs.get(key)
    if (isGone) {
      this.#gangs.delete(key)
      return undefined
    }
    this.#gangs.set(key, gang)
    const now = gang.status?.checkpoint
    const was = before?.metadata.uid === gang.metadata.uid ? before?.status?.checkpoint : undefined
    if (was === undefined || (now?.attempt === was.attempt && now.step === was.step)) return undefined
    const isStruck = this.#damaged.has(`${gang.metadata.name} ${was.attempt} ${was.step}`)
    if (now === undefined) return isStruck ? undefined : `gang ${key} lost its checkpoint of step ${was.step}`
    const isNewer = now.attempt > was.attempt || (now.attempt === was.attempt && now.step > was.step)
    if (!isNewer && !isStruck)
      return `the checkpoint of gang ${key} went back from step ${was.step} (attempt ${was.attempt}) to ${now.step} (${now.attempt})`
    if (isNewer && now.attempt !== gang.spec.attempt)
      return `gang ${key} is at attempt ${gang.spec.attempt}, and a checkpoint of attempt ${now.attempt} was committed`
    return undefined
  }
}

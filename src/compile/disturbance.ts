import { trainingJobShape } from '../model/immutable.ts'
import type { InferenceService } from '../model/kinds/inference-service.ts'
import type { Pool } from '../model/kinds/pool.ts'
import type { Queue } from '../model/kinds/queue.ts'
import type { TrainingJob } from '../model/kinds/training-job.ts'
import type { Resource } from '../model/registry.ts'
import type { Difference } from './differences.ts'

/**
 * What a change does to work that runs now, the mildest first: nothing; `rolls`: replicas are replaced one by one and no
 * stream is cut; `restarts`: work stops at a checkpoint and goes on from there; `destroys`: work or service is lost.
 */
export type Disturbs = 'nothing' | 'rolls' | 'restarts' | 'destroys'

export interface Disturbance {
  disturbs: Disturbs
  disturbance: string
  blocked?: string
}

/** What these differences do to the work that `live` stands for, as far as its status tells. */
export function disturbanceOf(live: Resource, differences: readonly Difference[]): Disturbance {
  const changed = new Changed(differences)
  switch (live.kind) {
    case 'TrainingJob':
      return training(live, changed)
    case 'InferenceService':
      return serving(live, changed)
    case 'Pool':
      return pool(live, changed)
    case 'Queue':
      return queue(live, changed)
    case 'Model':
      return changed.any(['']) ? blocked('a Model never changes; publish a new version instead') : nothing
    case 'Drill':
      return changed.any(['']) ? blocked('a Drill strikes once; delete it first, or give it another name') : nothing
    default:
      return nothing
  }
}

const nothing: Disturbance = { disturbs: 'nothing', disturbance: '' }

function blocked(reason: string): Disturbance {
  return { ...nothing, blocked: reason }
}

function training(live: TrainingJob, changed: Changed): Disturbance {
  const { name } = live.metadata
  const phase = live.status?.phase ?? 'Pending'
  const ended = phase === 'Succeeded' || phase === 'Failed'
  const shape = trainingJobShape.filter((field) => changed.any(field.split('.')))
  if (ended) return shape.length > 0 ? blocked(`${name} has ended; run it again under another name`) : nothing
  const suspend = changed.to('suspend') ?? live.spec.suspend
  if (shape.length > 0 && !live.spec.suspend && suspend !== true) {
    return {
      disturbs: 'restarts',
      disturbance: `${shape.join(', ')} can change only while ${name} is suspended; it then goes on from its last checkpoint`,
      blocked: `suspend it first: millwright suspend ${name}`,
    }
  }
  if (suspend === true && !live.spec.suspend && phase !== 'Suspended') {
    return { disturbs: 'restarts', disturbance: `${name} stops at a checkpoint and goes on from there when resumed` }
  }
  const deadline = changed.to('activeDeadlineSeconds')
  const before = live.spec.activeDeadlineSeconds ?? Number.POSITIVE_INFINITY
  if (live.status?.startTime !== undefined && typeof deadline === 'number' && deadline < before) {
    return { disturbs: 'destroys', disturbance: `${name} fails at once if it has run for ${deadline} s already` }
  }
  return nothing
}

/** A change of any of these makes a new revision. */
const revisionFields = [
  'model',
  'engine',
  'command',
  'args',
  'image',
  'workingDir',
  'env',
  'resources',
  'port',
  'template',
  'readinessProbe',
  'livenessProbe',
]

function serving(live: InferenceService, changed: Changed): Disturbance {
  const { name } = live.metadata
  const replicas = live.status?.replicas ?? live.spec.minReplicas
  if (changed.to('suspend') === true && !live.spec.suspend) {
    return { disturbs: 'destroys', disturbance: `${name} drains all its replicas and refuses requests until resumed` }
  }
  if (revisionFields.some((field) => changed.any([field])) && replicas > 0) {
    const count = replicas === 1 ? 'its replica' : `its ${replicas} replicas one by one`
    return { disturbs: 'rolls', disturbance: `${name} replaces ${count}; a new one is ready before an old one drains` }
  }
  const max = changed.to('maxReplicas')
  if (typeof max === 'number' && max < replicas) {
    const leaving = replicas - max
    return { disturbs: 'rolls', disturbance: `${leaving} of ${replicas} replicas of ${name} drain and leave` }
  }
  return nothing
}

function pool(live: Pool, changed: Changed): Disturbance {
  if (changed.any(['accelerator'])) return blocked('the accelerator of a Pool cannot change; make another Pool')
  const max = changed.to('maxNodes')
  const nodes = live.status?.nodes ?? live.spec.maxNodes
  if (typeof max !== 'number' || max >= nodes) return nothing
  return { disturbs: 'destroys', disturbance: `${nodes - max} of ${nodes} nodes leave, with what runs on them` }
}

function queue(live: Queue, changed: Changed): Disturbance {
  const running = live.status?.running ?? 0
  if (changed.to('stopPolicy') === 'HoldAndDrain' && running > 0) {
    return {
      disturbs: 'restarts',
      disturbance: `${running} running gangs of ${live.metadata.name} stop at a checkpoint`,
    }
  }
  const usage = Object.entries(live.status?.usage ?? {})
  const short = usage.filter(([model, used]) => Number(changed.to('nominalQuota', model) ?? used) < used)
  if (short.length === 0) return nothing
  // A quota asks nobody to leave: others do, for what they own. Whether they will, a forecast says.
  const models = short.map(([model, used]) => `${model} (${used} in use)`).join(', ')
  return {
    disturbs: 'nothing',
    disturbance: `work above the new quota of ${models} goes on, and yields when a queue of its tree claims its own`,
  }
}

/** Looks differences up by their path below spec. */
class Changed {
  readonly #differences: readonly Difference[]

  constructor(differences: readonly Difference[]) {
    this.#differences = differences.filter((difference) => difference.at[0] === 'spec')
  }

  /** Whether anything at or below `path` changes; `['']` is all of spec. */
  any(path: readonly string[]): boolean {
    return this.#differences.some(({ at }) => path[0] === '' || path.every((step, i) => at[i + 1] === step))
  }

  /** What the field at exactly `path` becomes; undefined when it stays. */
  to(...path: string[]): unknown {
    return this.#differences.find(
      ({ at }) => at.length === path.length + 1 && path.every((step, i) => at[i + 1] === step),
    )?.after
  }
}

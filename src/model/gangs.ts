import { type CapacityType, capacityTypesOf, servingCapacity } from './capacity.ts'
import type { Gang } from './kinds/gang.ts'
import type { InferenceService } from './kinds/inference-service.ts'
import type { PodTemplate } from './kinds/kubernetes.ts'
import type { TrainingJob } from './kinds/training-job.ts'
import { millwrightVersion } from './metadata.ts'
import { label } from './names.ts'
import { gangGroups, groupsOf } from './pods.ts'

/** What the scheduler sees of a job or a service. Whoever puts these into a store adds who owns them. */

/** A job is one gang, of its own name. */
export function gangOfJob(job: TrainingJob): Gang {
  const { name, namespace } = job.metadata
  return {
    apiVersion: millwrightVersion,
    kind: 'Gang',
    metadata: { name, namespace, labels: { [label.job]: name } },
    spec: { ...followedByGang(job), ...followedBetweenAttempts(job), attempt: 1, suspend: false },
  }
}

/** What the gang takes over from the job whenever it changes. */
export function followedByGang(job: TrainingJob) {
  const { priority, preemptible, topology, together, expectedSeconds } = job.spec
  return {
    priority,
    preemptible,
    ...(topology === undefined ? {} : { topology }),
    ...(together === undefined ? {} : { together }),
    ...(expectedSeconds === undefined ? {} : { expectedSeconds }),
  }
}

/** And what it takes over only while it has no seats: those are of that shape, and charged to that queue. */
export function followedBetweenAttempts(job: TrainingJob) {
  return { queue: job.spec.queue, groups: gangGroups(groupsOf(job)), ...(rejoins(job) ? { rejoins: true } : {}) }
}

/** Whether a worker that fails starts again alone. */
function rejoins({ spec }: TrainingJob): boolean {
  return spec.failurePolicy.restart === 'worker'
}

/** What the gangs of its replicas take over from the service whenever it changes. */
export function followedByReplica({ metadata, spec: { queue, priority, disruptionBudget } }: InferenceService) {
  const of = metadata.name
  return {
    queue,
    priority,
    ...(disruptionBudget === undefined ? {} : { disruptionBudget: { of, ...disruptionBudget } }),
  }
}

/** The one group of a replica. */
export const replicaGroup = 'server'

export function capacityTypesOfReplica({ spec: { capacityType } }: InferenceService): readonly CapacityType[] {
  return capacityType === undefined ? servingCapacity : capacityTypesOf(capacityType)
}

/** A replica is one gang; `name` is its own. */
export function gangOfReplica(service: InferenceService, name: string, template: PodTemplate): Gang {
  const capacityTypes = capacityTypesOfReplica(service)
  return {
    apiVersion: millwrightVersion,
    kind: 'Gang',
    metadata: { name, namespace: service.metadata.namespace, labels: { [label.service]: service.metadata.name } },
    spec: {
      ...followedByReplica(service),
      preemptible: true,
      suspend: false,
      attempt: 1,
      groups: gangGroups([{ name: replicaGroup, replicas: 1, template, capacityTypes }]),
    },
  }
}

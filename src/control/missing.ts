import type { PodTemplate } from '../model/kinds/kubernetes.ts'
import type { Queue } from '../model/kinds/queue.ts'
import type { TrainingJob } from '../model/kinds/training-job.ts'
import { groupsOf } from '../model/pods.ts'
import type { Views } from './views.ts'

/** What a pod cannot start without and that is not there: known before it has a seat, so that it takes none. */
export interface Missing {
  reason: 'DatasetMissing' | 'SecretMissing' | 'ModelMissing' | 'QueueLeaving'
  message: string
}

/** A URI as it is; a name stands for the Dataset of that name in the job's namespace. */
export function dataOf(views: Views, job: TrainingJob): { uri: string | undefined } | Missing {
  const { dataset } = job.spec
  const { namespace = 'default' } = job.metadata
  if (dataset === undefined || /^[a-z][a-z0-9+.-]*:/.test(dataset)) return { uri: dataset }
  const found = views.of('Dataset').get({ name: dataset, namespace })
  if (found !== undefined) return { uri: found.spec.uri }
  const message = `dataset ${dataset} does not exist in namespace ${namespace}; create it (kind: Dataset, spec.uri: file:///path)`
  return { reason: 'DatasetMissing', message }
}

interface Queued {
  metadata: { creationTimestamp?: string | null | undefined }
  spec: { queue: string }
}

/** A queue that is being deleted keeps the work that it has; what is made since waits for another. */
export function leavingQueue(views: Views, work: Queued): Missing | undefined {
  const { queue } = work.spec
  if (!isNewIn(views.of('Queue').get({ name: queue }), work)) return undefined
  return { reason: 'QueueLeaving', message: `queue ${queue} is being deleted; name another (spec.queue)` }
}

export function isNewIn(queue: Queue | undefined, { metadata }: Queued): boolean {
  const since = queue?.metadata.deletionTimestamp
  return since !== undefined && Date.parse(metadata.creationTimestamp ?? '') > Date.parse(since)
}

export function missingSecretOfJob(views: Views, job: TrainingJob): Missing | undefined {
  for (const { template } of groupsOf(job)) {
    const missing = missingSecret(views, template, job.metadata.namespace)
    if (missing !== undefined) return missing
  }
  return undefined
}

export function missingSecret(views: Views, template: PodTemplate, namespace = 'default'): Missing | undefined {
  for (const { variable, secret, key } of secretsOf(template)) {
    const found = views.of('Secret').get({ name: secret, namespace })
    if (found?.data?.[key] !== undefined || found?.stringData?.[key] !== undefined) continue
    const what =
      found === undefined ? `Secret ${secret}, which does not exist` : `key ${key} of Secret ${secret}, which has none`
    const how =
      found === undefined ? `create it (kind: Secret, stringData: {${key}: …})` : `add it (stringData: {${key}: …})`
    const message = `environment variable ${variable} wants ${what} in namespace ${namespace}; ${how}`
    return { reason: 'SecretMissing', message }
  }
  return undefined
}

export function namesSecret(template: PodTemplate, secret: string): boolean {
  return secretsOf(template).some((one) => one.secret === secret)
}

/** Those that it cannot do without. */
function secretsOf({ spec }: PodTemplate): { variable: string; secret: string; key: string }[] {
  return [...(spec.initContainers ?? []), ...spec.containers].flatMap(({ env = [] }) =>
    env.flatMap(({ name, valueFrom }) => {
      const reference = valueFrom?.secretKeyRef
      if (reference === undefined || reference.optional === true) return []
      return [{ variable: name, secret: reference.name, key: reference.key }]
    }),
  )
}

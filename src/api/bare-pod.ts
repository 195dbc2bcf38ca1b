import type { Pod } from '../model/kinds/kubernetes.ts'
import { label } from '../model/names.ts'
import { involvedObjectOf } from '../model/refs.ts'
import type { Resource } from '../model/registry.ts'
import type { Reading } from './read.ts'

const message =
  'no gang owns this pod, so nothing will ever start it here; use a TrainingJob (millwright run -- COMMAND) or an InferenceService'

/** Pods are seated by their gang, and only our own controllers make those: `kubectl run` makes one that waits for ever. */
export function warningOf(object: Resource): string | undefined {
  if (object.kind !== 'Pod' || object.spec.nodeName !== undefined) return undefined
  return object.metadata.labels?.[label.gang] === undefined ? message : undefined
}

/** So that `kubectl describe` says it, too. */
export async function recordBare({ store, clock }: Reading, pod: Pod): Promise<void> {
  const { name, namespace = 'default' } = pod.metadata
  const at = new Date(clock.now()).toISOString()
  await store.create('Event', {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: '', generateName: `${name.slice(0, 200)}.`, namespace },
    involvedObject: involvedObjectOf(pod),
    type: 'Warning',
    reason: 'NoGang',
    message,
    count: 1,
    firstTimestamp: at,
    lastTimestamp: at,
    source: { component: 'api' },
  })
}

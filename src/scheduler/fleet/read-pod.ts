import type { Pod } from '../../model/kinds/kubernetes.ts'
import { annotation, label } from '../../model/names.ts'
import { bytesOf, milliOf } from '../../model/quantity.ts'
import type { Claim } from './nodes.ts'
import { occupantOfPod } from './pod-terms.ts'

/** What a pod that is bound and has not ended holds; undefined when it holds nothing. */
export function claimFromPod(
  pod: Pod,
  queue: string | undefined,
  model: (id: string) => string | undefined,
): Claim | undefined {
  const node = pod.spec.nodeName
  if (node === undefined || hasEnded(pod)) return undefined
  const annotations = pod.metadata.annotations ?? {}
  const ids = split(annotations[annotation.devices])
  const gang = pod.metadata.labels?.[label.gang]
  return {
    node,
    model: (ids[0] === undefined ? undefined : model(ids[0])) ?? 'cpu',
    devices: ids.map((id) => ({ id, milli: 1000 })),
    cpuMilli: requested(pod, (resources) => milliOf(resources['cpu'] ?? 0)),
    memoryBytes: requested(pod, (resources) => bytesOf(resources['memory'] ?? 0)),
    ports: split(annotations[annotation.ports]).map(Number),
    gang: gang === undefined ? undefined : `${pod.metadata.namespace ?? 'default'}/${gang}`,
    queue,
    occupant: occupantOfPod(pod),
  }
}

export function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

function split(text: string | undefined): string[] {
  return text === undefined || text === '' ? [] : text.split(',')
}

function requested(pod: Pod, read: (resources: Readonly<Record<string, string | number>>) => number): number {
  return pod.spec.containers.reduce(
    (sum, one) => sum + read({ ...one.resources?.limits, ...one.resources?.requests }),
    0,
  )
}

import type { KindName } from '../model/registry.ts'

/** Where each kind is served. The registry says the same, but importing it costs the CLI's start forty milliseconds of schemas. */
const roots: { readonly [K in KindName]: { root: string; plural: string; namespaced: boolean } } = {
  Pool: ours('pools', false),
  Queue: ours('queues', false),
  TrainingJob: ours('trainingjobs'),
  InferenceService: ours('inferenceservices'),
  Gang: ours('gangs'),
  Report: ours('reports'),
  Model: ours('models'),
  Dataset: ours('datasets'),
  Drill: ours('drills'),
  LedgerPage: ours('ledgerpages', false),
  Pod: core('pods'),
  Node: core('nodes', false),
  Namespace: core('namespaces', false),
  Secret: core('secrets'),
  Event: core('events'),
  Lease: { root: '/apis/coordination.k8s.io/v1', plural: 'leases', namespaced: true },
}

/** The path of one resource. Without a namespace, a namespaced one is looked for in `default`. */
export function pathOfOne(
  kind: KindName,
  ref: { name: string; namespace?: string | undefined },
  subresource?: string,
): string {
  const { namespaced } = roots[kind]
  const collection = pathOfAll(kind, namespaced ? (ref.namespace ?? 'default') : undefined)
  const one = `${collection}/${encodeURIComponent(ref.name)}`
  return subresource === undefined ? one : `${one}/${subresource}`
}

/** The path of a collection. Without a namespace: of all namespaces. */
export function pathOfAll(kind: KindName, namespace?: string | undefined): string {
  const { root, plural, namespaced } = roots[kind]
  if (!namespaced || namespace === undefined) return `${root}/${plural}`
  return `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`
}

function ours(plural: string, namespaced = true) {
  return { root: '/apis/millwright.dev/v1alpha1', plural, namespaced }
}

function core(plural: string, namespaced = true) {
  return { root: '/api/v1', plural, namespaced }
}

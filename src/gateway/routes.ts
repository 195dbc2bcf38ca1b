import { isTrue } from '../model/conditions.ts'
import type { InferenceService } from '../model/kinds/inference-service.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { annotation, label } from '../model/names.ts'
import { keyOf } from '../model/refs.ts'
import type { Replica, Service } from './contract.ts'
import { closedBreaker } from './decide.ts'

export interface RouteHandles {
  /** A service has a replica more. */
  appeared(service: Service): void
  /** A replica gets no more requests. */
  left(replica: Replica): void
}

/** What is served where, folded from the store's watch. */
export class Routes {
  readonly #services = new Map<string, Service>()
  readonly #pods = new Map<string, Pod>()
  readonly #handles: RouteHandles

  constructor(handles: RouteHandles) {
    this.#handles = handles
  }

  get services(): IterableIterator<Service> {
    return this.#services.values()
  }

  setService(object: InferenceService): Service {
    const key = keyOf(object)
    const service = this.#services.get(key) ?? newService(key, object)
    service.object = object
    this.#services.set(key, service)
    for (const pod of this.#pods.values()) if (serviceKeyOf(pod) === key) this.#place(pod)
    return service
  }

  /** What there was of it, so that what waits for it can be answered. */
  removeService(key: string): Service | undefined {
    const service = this.#services.get(key)
    if (service === undefined) return undefined
    this.#services.delete(key)
    service.isGone = true
    for (const replica of service.replicas.values()) this.#handles.left(replica)
    service.replicas.clear()
    return service
  }

  setPod(pod: Pod): void {
    if (serviceKeyOf(pod) === undefined) return
    this.#pods.set(keyOf(pod), pod)
    this.#place(pod)
  }

  removePod(key: string): void {
    const pod = this.#pods.get(key)
    this.#pods.delete(key)
    if (pod !== undefined) this.#dropReplica(pod)
  }

  /**
   * `namespace/name`, or the name of a service (of the default namespace first), or the model that one serves. A name
   * that means several services means none.
   */
  find(model: string): Service | undefined {
    const exact = this.#services.get(model) ?? this.#services.get(`default/${model}`)
    if (exact !== undefined) return exact
    const named = [...this.#services.values()].filter(({ object }) => object.metadata.name === model)
    if (named.length > 0) return named.length === 1 ? named[0] : undefined
    const serving = [...this.#services.values()].filter(({ object }) => servesModel(object, model))
    return serving.find(({ object }) => object.metadata.namespace === 'default') ?? serving[0]
  }

  close(): void {
    for (const key of [...this.#services.keys()]) this.removeService(key)
  }

  #place(pod: Pod): void {
    const service = this.#services.get(serviceKeyOf(pod) ?? '')
    if (service === undefined) return
    const origin = mayServe(pod) && isOf(pod, service.object) ? originOf(pod, service.object) : undefined
    const { uid = '' } = pod.metadata
    const known = service.replicas.get(uid)
    if (origin === known?.origin) return
    if (known !== undefined) this.#dropReplica(pod)
    if (origin === undefined) return
    service.replicas.set(uid, {
      key: uid,
      pod: pod.metadata.name,
      origin,
      inFlight: 0,
      breaker: closedBreaker,
    })
    this.#handles.appeared(service)
  }

  /** No new requests from here on; streams that run go on until they end. */
  #dropReplica(pod: Pod): void {
    const service = this.#services.get(serviceKeyOf(pod) ?? '')
    const replica = service?.replicas.get(pod.metadata.uid ?? '')
    if (service === undefined || replica === undefined) return
    service.replicas.delete(replica.key)
    this.#handles.left(replica)
  }
}

/** The name that `/v1/models` lists a service under. */
export function publicName(service: Service): string {
  const { name, namespace } = service.object.metadata
  return namespace === undefined || namespace === 'default' ? name : `${namespace}/${name}`
}

function newService(key: string, object: InferenceService): Service {
  return {
    key,
    object,
    isGone: false,
    replicas: new Map(),
    inFlight: new Set(),
    waiting: [],
    traffic: {
      requests: 0,
      promptTokens: 0,
      completionTokens: 0,
      lastRequestAtMs: undefined,
      firstByteMs: 0,
      firstBytes: 0,
      busyMs: 0,
      busySinceMs: 0,
    },
  }
}

function serviceKeyOf(pod: Pod): string | undefined {
  const name = pod.metadata.labels?.[label.service]
  return name === undefined ? undefined : `${pod.metadata.namespace ?? 'default'}/${name}`
}

function servesModel({ spec, status }: InferenceService, model: string): boolean {
  return spec.model === model || status?.model === model
}

/** Not of an older service of its name. Pods that were made before they told of whom are taken for its own. */
function isOf(pod: Pod, { metadata }: InferenceService): boolean {
  const uid = pod.metadata.labels?.[label.serviceUid]
  return uid === undefined || uid === metadata.uid
}

/** A pod that is being deleted may still be Ready: it finishes its streams and gets no more. */
function mayServe(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && isTrue(pod.status?.conditions, 'Ready')
}

/** The port that its seat was given on this machine, else the container's own at the pod's address. */
function originOf(pod: Pod, service: InferenceService): string | undefined {
  const seated = pod.metadata.annotations?.[annotation.ports]?.split(',')[0]
  const port = seated || (pod.spec.containers[0]?.ports?.[0]?.containerPort ?? service.spec.port)
  if (port === undefined) return undefined
  const address = pod.status?.podIP ?? '127.0.0.1'
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`
}

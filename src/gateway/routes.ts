import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Cancel } from '../base/clock.ts'
import { isTrue } from '../model/conditions.ts'
import type { InferenceService } from '../model/kinds/inference-service.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { annotation, label } from '../model/names.ts'
import { keyOf } from '../model/refs.ts'
import { type Breaker, closedBreaker } from './decide.ts'
import { Upstream } from './upstream.ts'

/** A service as the gateway sees it, with what is under way for it. */
export interface Service {
  key: string
  object: InferenceService
  /** The replicas that may be sent requests, by pod uid. */
  replicas: Map<string, Replica>
  /** Requests under way at replicas, also at those that are leaving. */
  inFlight: Set<Exchange>
  /** Requests that wait for a replica, oldest first. */
  waiting: Exchange[]
  traffic: Traffic
}

/** One client's request, from the moment that it is read until the last byte of its answer. */
export interface Exchange {
  id: string
  service: Service
  path: string
  headers: IncomingHttpHeaders
  /** What the replica is sent. */
  body: Uint8Array
  stream: boolean
  /** The gateway asked for the usage event, not the client: it is taken out of the answer again. */
  usageAdded: boolean
  response: ServerResponse
  arrivedMs: number
  /** Stops what is under way upstream. */
  cancelUpstream: ((why: Error) => void) | undefined
  /** Gives back the replica's place that it takes. */
  release: (() => void) | undefined
  timers: Cancel[]
  over: boolean
}

export interface Replica {
  key: string
  pod: string
  origin: string
  inFlight: number
  breaker: Breaker
  upstream: Upstream
}

/** Counted since the gateway started. */
export interface Traffic {
  requests: number
  promptTokens: number
  completionTokens: number
  lastRequestAtMs: number | undefined
  /** Sum and number of the times to the first byte, and the request-milliseconds, since the last report. */
  firstByteMs: number
  firstBytes: number
  busyMs: number
  busySinceMs: number
}

/** What is served where, folded from the store's watch. */
export class Routes {
  readonly #services = new Map<string, Service>()
  readonly #pods = new Map<string, Pod>()
  readonly #onReplica: (service: Service) => void

  constructor(onReplica: (service: Service) => void) {
    this.#onReplica = onReplica
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

  /** The service as it was, so that what waits for it can be answered. */
  removeService(key: string): Service | undefined {
    const service = this.#services.get(key)
    this.#services.delete(key)
    for (const replica of service?.replicas.values() ?? []) replica.upstream.close()
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
    const origin = mayServe(pod) ? originOf(pod, service.object) : undefined
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
      upstream: new Upstream(origin),
    })
    this.#onReplica(service)
  }

  /** No new requests from here on; streams that run go on until they end. */
  #dropReplica(pod: Pod): void {
    const service = this.#services.get(serviceKeyOf(pod) ?? '')
    const replica = service?.replicas.get(pod.metadata.uid ?? '')
    if (service === undefined || replica === undefined) return
    service.replicas.delete(replica.key)
    replica.upstream.close()
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

import { annotation, label } from '../model/names.ts'
import type { KindMap, Resource } from '../model/registry.ts'
import type { Binding, Ref, Store } from '../store/contract.ts'
import { type Answer, type Call, json } from './answer.ts'
import { isObject, type JsonObject } from './body.ts'
import { deleteOptionsOf } from './delete.ts'
import {
  ApiFailure,
  badRequest,
  conflict,
  methodNotAllowed,
  modified,
  notFound,
  succeeded,
  unknownPath,
} from './failure.ts'
import { patched, patchTypeOf } from './patch.ts'
import type { Target } from './path.ts'
import type { ApiPorts } from './ports.ts'
import { getOne, isTrue, type Reading, wholeNumber } from './read.ts'
import { subresourcesOf } from './subresources.ts'
import { isDryRun, patchOne, replace, updateOne } from './write.ts'

/** What is served beside a resource: `…/NAME/SUBRESOURCE`. */
export async function throughDoor(
  reading: Reading,
  ports: ApiPorts,
  target: Target,
  name: string,
  call: Call,
): Promise<Answer> {
  const door = subresourcesOf(target.info).find((sub) => sub.name === target.subresource)
  if (door === undefined || (target.part !== undefined) !== (door.hasParts === true)) throw unknownPath()
  const verb = verbs.get(call.method)
  if (verb === undefined || !door.verbs.includes(verb)) throw methodNotAllowed(call.method)
  switch (door.name) {
    case 'status':
      if (verb === 'get') return getOne(reading, target, name, call)
      return verb === 'update' ? updateOne(reading, target, name, call) : patchOne(reading, target, name, call)
    case 'scale':
      return json(200, await scale(reading.store, target, name, call))
    case 'log':
      return logs(reading.store, ports, target, name, call)
    case 'files':
      return fileOf(reading.store, ports, target, name)
    case 'binding':
      return bind(reading.store, target, name, call)
    case 'eviction':
      return evict(reading.store, target, name, call)
    default:
      return why(reading.store, ports, target, name)
  }
}

const verbs: ReadonlyMap<string, string> = new Map([
  ['GET', 'get'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['POST', 'create'],
])

/** `autoscaling/v1` Scale: the workers of a job, the least replicas of a service. */
async function scale(store: Store, target: Target, name: string, call: Call): Promise<object> {
  if (call.method === 'GET') {
    const object = await store.get(target.info.kind, { name, namespace: target.namespace })
    if (object === undefined) throw notFound(target.info, name)
    return scaleOf(object)
  }
  const main: Target = { ...target }
  delete main.subresource
  const written = await replace(store, main, name, call, (current) => {
    const body =
      call.method === 'PUT' ? call.body : patched(scaleOf(current), call.body, patchTypeOf(call.contentType, true))
    return scaled(current, body)
  })
  return scaleOf(written)
}

function scaleOf(object: Resource): object {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  const { wanted, present, selector } = replicasOf(object)
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: wanted },
    status: { replicas: present, selector },
  }
}

function replicasOf(object: Resource): { wanted: number; present: number; selector: string } {
  const { name } = object.metadata
  if (object.kind === 'TrainingJob') {
    const wanted = object.spec.workers ?? object.spec.groups?.[0]?.replicas ?? 1
    return { wanted, present: object.status?.workers ?? 0, selector: `${label.job}=${name}` }
  }
  if (object.kind === 'InferenceService') {
    return {
      wanted: object.spec.minReplicas,
      present: object.status?.replicas ?? 0,
      selector: `${label.service}=${name}`,
    }
  }
  throw unknownPath()
}

function scaled(current: Resource, body: unknown): JsonObject {
  const spec = isObject(body) && isObject(body['spec']) ? body['spec'] : {}
  const replicas = spec['replicas'] ?? 0
  if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas < 0) {
    throw badRequest('spec.replicas must be a whole number, 0 or more')
  }
  const metadata = { ...current.metadata, ...(isObject(body) && isObject(body['metadata']) && named(body['metadata'])) }
  if (current.kind === 'InferenceService') {
    const maxReplicas = Math.max(current.spec.maxReplicas, replicas)
    return { ...current, metadata, spec: { ...current.spec, minReplicas: replicas, maxReplicas } }
  }
  if (current.kind !== 'TrainingJob') throw unknownPath()
  if (replicas === 0)
    throw badRequest(
      `a training job has at least one worker; to stop it, set spec.suspend (millwright suspend ${current.metadata.name})`,
    )
  const [first, ...others] = current.spec.groups ?? []
  if (first === undefined) return { ...current, metadata, spec: { ...current.spec, workers: replicas } }
  if (others.length > 0) throw badRequest('a job with several groups is not scaled as one; change spec.groups')
  const { workers, ...rest } = current.spec
  const sugar = workers === undefined ? {} : { workers: replicas }
  return { ...current, metadata, spec: { ...rest, ...sugar, groups: [{ ...first, replicas }] } }
}

/** The preconditions that a Scale may carry. */
function named({ resourceVersion, uid }: JsonObject): JsonObject {
  return { ...(resourceVersion ? { resourceVersion } : {}), ...(uid ? { uid } : {}) }
}

/** Of a pod, or of a job: then of rank 0 of its newest attempt (`rank=N` for another). */
async function logs(store: Store, ports: ApiPorts, target: Target, name: string, call: Call): Promise<Answer> {
  const pod = await podOf(store, target, name, wholeNumber(call.query, 'rank') ?? 0)
  const container = call.query.get('container')
  if (container && !pod.spec.containers.some((one) => one.name === container)) {
    throw badRequest(`container ${container.slice(0, 63)} is not valid for pod ${pod.metadata.name}`)
  }
  const chunks = ports.logs(pod, {
    follow: isTrue(call.query, 'follow'),
    timestamps: isTrue(call.query, 'timestamps'),
    previous: isTrue(call.query, 'previous'),
    tailLines: wholeNumber(call.query, 'tailLines'),
    sinceSeconds: wholeNumber(call.query, 'sinceSeconds'),
    limitBytes: wholeNumber(call.query, 'limitBytes'),
    signal: call.signal,
  })
  return { kind: 'stream', type: 'text/plain', chunks, waits: true }
}

async function podOf(store: Store, target: Target, name: string, rank: number): Promise<KindMap['Pod']> {
  if (target.info.kind === 'Pod') {
    const pod = await store.get('Pod', { name, namespace: target.namespace })
    if (pod === undefined) throw notFound(target.info, name)
    return pod
  }
  const job = await store.get('TrainingJob', { name, namespace: target.namespace })
  if (job === undefined) throw notFound(target.info, name)
  const { items } = await store.list('Pod', { namespace: target.namespace, labels: `${label.job}=${name}` })
  const attemptOf = (pod: KindMap['Pod']) => Number(pod.metadata.labels?.[label.attempt] ?? 0)
  const newest = Math.max(0, ...items.map(attemptOf))
  const found = items.find(
    (pod) => attemptOf(pod) === newest && pod.metadata.annotations?.[annotation.rank] === String(rank),
  )
  if (found !== undefined) return found
  const message =
    items.length === 0
      ? `trainingjob "${name}" has no pods yet: it is ${job.status?.phase ?? 'Pending'}`
      : `no pod of trainingjob "${name}" has rank ${rank} yet; millwright why ${name} says what it waits for`
  throw new ApiFailure(404, 'NotFound', message)
}

/** Content of a model, by its checksum; only what the model names. */
async function fileOf(store: Store, ports: ApiPorts, target: Target, name: string): Promise<Answer> {
  const model = await store.get('Model', { name, namespace: target.namespace })
  if (model === undefined) throw notFound(target.info, name)
  const file = model.spec.files.find(({ sha256 }) => sha256 === target.part)
  if (file === undefined)
    throw new ApiFailure(404, 'NotFound', `model "${name}" has no file with that sha256; its spec.files lists them`)
  if (ports.content === undefined) throw unknownPath()
  const chunks = ports.content(file.sha256, file.size)
  return { kind: 'stream', type: 'application/octet-stream', chunks, waits: true }
}

async function bind(store: Store, target: Target, name: string, call: Call): Promise<Answer> {
  const body = isObject(call.body) ? call.body : {}
  const metadata = isObject(body['metadata']) ? body['metadata'] : {}
  const node = isObject(body['target']) ? body['target']['name'] : undefined
  if (typeof node !== 'string' || node === '') throw badRequest('a Binding needs target.name, the node')
  const ref = { name, namespace: target.namespace }
  const binding: Binding = {
    node,
    annotations: annotationsOf(metadata['annotations']),
    uid: optionalText(metadata['uid']),
    resourceVersion: optionalText(metadata['resourceVersion']),
  }
  const outcome = isDryRun(call) ? await wouldBind(store, ref) : await store.bind(ref, binding)
  if (outcome === 'missing') throw notFound(target.info, name)
  if (outcome === 'bound') throw conflict(target.info, name, `pod ${name} is already assigned to a node`)
  if (outcome === 'stale') throw conflict(target.info, name, modified)
  return json(201, succeeded(201))
}

async function wouldBind(store: Store, ref: Ref): Promise<'bound' | 'missing' | undefined> {
  const pod = await store.get('Pod', ref)
  if (pod === undefined) return 'missing'
  return pod.spec.nodeName === undefined ? undefined : 'bound'
}

/** `kubectl drain` names no uid: it means the pod that has the name now. */
async function evict(store: Store, target: Target, name: string, call: Call): Promise<Answer> {
  const body = isObject(call.body) ? call.body : {}
  const asked: Call = { ...call, method: 'DELETE', body: body['deleteOptions'] }
  const options = deleteOptionsOf(asked)
  const ref = { name, namespace: target.namespace }
  const uid = options.uid ?? (await store.get('Pod', ref))?.metadata.uid
  if (uid === undefined) throw notFound(target.info, name)
  if (isDryRun(asked)) return json(201, succeeded(201))
  const outcome = await store.evict(ref, { ...options, uid })
  if (outcome === 'missing') throw notFound(target.info, name)
  if (outcome === 'stale') throw conflict(target.info, name, modified)
  return json(201, succeeded(201))
}

async function why(store: Store, ports: ApiPorts, target: Target, name: string): Promise<Answer> {
  const object = await store.get(target.info.kind, { name, namespace: target.namespace })
  if (object === undefined) throw notFound(target.info, name)
  const answer = await ports.why?.(target.namespace ?? 'default', name)
  if (answer === undefined) throw unknownPath()
  return json(200, answer)
}

function annotationsOf(value: unknown): Record<string, string> {
  if (!isObject(value)) return {}
  return Object.fromEntries(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== 'string') throw badRequest(`annotation ${key.slice(0, 100)} is not a string`)
      return [key, text]
    }),
  )
}

function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

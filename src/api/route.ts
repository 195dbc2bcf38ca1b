import type { Log } from '../base/log.ts'
import { type Answer, type Call, json } from './answer.ts'
import { isObject } from './body.ts'
import { deleteMany, deleteOne } from './delete.ts'
import {
  aggregated,
  coreVersions,
  groupList,
  oneGroup,
  resourceList,
  reviewPlural,
  reviewVersion,
} from './discovery.ts'
import { throughDoor } from './doors.ts'
import { methodNotAllowed, unknownPath } from './failure.ts'
import { openApiDocument, openApiIndex } from './openapi.ts'
import { segmentsOf, type Target, targetOf } from './path.ts'
import type { ApiPorts } from './ports.ts'
import { getOne, isTrue, listAll, type Reading } from './read.ts'
import { watchAll } from './watch.ts'
import { createOne, patchOne, updateOne } from './write.ts'

export interface Served extends Reading {
  ports: ApiPorts
  log: Log
}

/** What anyone on this machine may ask without the token: whether it is up, and which version it speaks. */
export function isOpen(path: string): boolean {
  return ['/healthz', '/livez', '/readyz', '/version'].includes(path)
}

/** Before a body is read: one for a resource that is not served is not read in vain, nor refused for how it is written. */
export function refuseUnknown(method: string, path: string): void {
  const segments = segmentsOf(path)
  if (method !== 'GET' && !isReview(segments)) targetOf(segments)
}

function isReview(segments: readonly string[]): boolean {
  return segments.slice(1).join('/') === `${reviewVersion}/${reviewPlural}`
}

export async function route(served: Served, path: string, call: Call): Promise<Answer> {
  const segments = segmentsOf(path)
  const about = call.method === 'GET' ? await aboutItself(served, segments, call) : undefined
  if (about !== undefined) return about
  if (isReview(segments) && call.method === 'POST') return review(call)
  const target = targetOf(segments)
  if (target.name === undefined) return onCollection(served, target, call)
  if (target.subresource !== undefined) return throughDoor(served, served.ports, target, target.name, call)
  return onOne(served, target, target.name, call)
}

async function onCollection(served: Served, target: Target, call: Call): Promise<Answer> {
  switch (call.method) {
    case 'GET':
      return isTrue(call.query, 'watch') ? watchAll(served, target, call) : listAll(served, target, call)
    case 'POST':
      return createOne(served, target, call)
    case 'DELETE':
      return deleteMany(served, target, call)
    default:
      throw methodNotAllowed(call.method)
  }
}

async function onOne(served: Served, target: Target, name: string, call: Call): Promise<Answer> {
  switch (call.method) {
    case 'GET':
      return isTrue(call.query, 'watch') ? watchAll(served, target, call) : getOne(served, target, name, call)
    case 'PUT':
      return updateOne(served, target, name, call)
    case 'PATCH':
      return patchOne(served, target, name, call)
    case 'DELETE':
      return deleteOne(served, target, name, call)
    default:
      throw methodNotAllowed(call.method)
  }
}

/** Health, version, metrics, discovery, OpenAPI. Undefined: the path is about resources. */
async function aboutItself(served: Served, segments: readonly string[], call: Call): Promise<Answer | undefined> {
  const path = segments.join('/')
  switch (path) {
    case '':
      return json(200, {
        paths: ['/api', '/apis', '/healthz', '/livez', '/metrics', '/openapi/v3', '/readyz', '/version'],
      })
    case 'healthz':
    case 'livez':
      return text('ok')
    case 'readyz':
      await served.store.list('Namespace', { limit: 1 }) // throws when the store cannot answer
      return text('ok')
    case 'version':
      return json(200, version)
    case 'metrics':
      return {
        kind: 'text',
        code: 200,
        type: 'text/plain; version=0.0.4; charset=utf-8',
        body: await served.ports.metrics(),
      }
    case 'api':
      return discovery(call, true) ?? json(200, coreVersions(''))
    case 'apis':
      return discovery(call, false) ?? json(200, groupList())
    case 'openapi/v3':
      return json(200, openApiIndex())
  }
  if (path.startsWith('openapi/v3/')) return openApi(segments.slice(2))
  return resourcesOf(segments)
}

function resourcesOf(segments: readonly string[]): Answer | undefined {
  const [root, group, version, more] = segments
  if (root === 'api' && group !== undefined && version === undefined) return found(resourceList(group))
  if (root !== 'apis' || group === undefined || more !== undefined) return undefined
  return found(version === undefined ? oneGroup(group) : resourceList(`${group}/${version}`))
}

function openApi(segments: readonly string[]): Answer {
  const document = openApiDocument(segments.slice(1).join('/'))
  if (document === undefined) throw unknownPath()
  return { kind: 'text', code: 200, type: 'application/json', body: document }
}

function found(document: object | undefined): Answer {
  if (document === undefined) throw unknownPath()
  return json(200, document)
}

function discovery(call: Call, core: boolean): Answer | undefined {
  const asked = /g=apidiscovery\.k8s\.io;v=(v2beta1|v2);as=APIGroupDiscoveryList/.exec(call.accept)?.[1]
  if (asked === undefined) return undefined
  const version = asked === 'v2' ? 'v2' : 'v2beta1'
  const type = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
  return { kind: 'json', code: 200, body: aggregated(core, version), type }
}

/** The holder of the token may do everything; whoever does not hold it never gets here. */
function review(call: Call): Answer {
  const body = isObject(call.body) ? call.body : {}
  return json(201, { ...body, status: { allowed: true, reason: 'the token allows everything' } })
}

function text(body: string): Answer {
  return { kind: 'text', code: 200, type: 'text/plain; charset=utf-8', body }
}

/** kubectl compares the minor version with its own. */
const version = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0-millwright',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: '',
}

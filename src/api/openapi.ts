import { openApiSchemaOf } from '../model/json-schema.ts'
import { apiVersionOf, type KindInfo } from '../model/registry.ts'
import { groupVersions } from './path.ts'
import { subresourcesOf } from './subresources.ts'

/**
 * OpenAPI v3 in Kubernetes' layout: an index of documents, one document per group and version. Clients read from it
 * which parameters a write takes (`fieldValidation`, `dryRun`) and what `explain` shows.
 */
export function openApiIndex(): object {
  const paths = [...groupVersions().keys()].map((groupVersion) => {
    const path = groupVersion === 'v1' ? 'api/v1' : `apis/${groupVersion}`
    return [path, { serverRelativeURL: `/openapi/v3/${path}` }]
  })
  return { paths: Object.fromEntries(paths) }
}

/** The document of `v1` or `GROUP/VERSION`; made on first use, the same ever after. */
export function openApiDocument(groupVersion: string): string | undefined {
  const known = documents.get(groupVersion)
  if (known !== undefined) return known
  const infos = groupVersions().get(groupVersion)
  if (infos === undefined) return undefined
  const text = JSON.stringify({
    openapi: '3.0.0',
    info: { title: 'millwright', version: 'v1.32.0' },
    paths: Object.fromEntries(infos.flatMap(pathsOf)),
    components: { schemas: Object.fromEntries(infos.map((info) => [schemaName(info), openApiSchemaOf(info.kind)])) },
  })
  documents.set(groupVersion, text)
  return text
}

const documents = new Map<string, string>()

function pathsOf(info: KindInfo): [string, object][] {
  const root = info.group === '' ? '/api/v1' : `/apis/${apiVersionOf(info)}`
  const all = `${root}/${info.plural}`
  const collection = info.namespaced ? `${root}/namespaces/{namespace}/${info.plural}` : all
  const one = `${collection}/{name}`
  const operation = operationOf(info)
  const item = { get: operation('get'), put: operation('put'), patch: operation('patch'), delete: operation('delete') }
  return [
    ...(info.namespaced ? [[all, { get: operation('list') }] satisfies [string, object]] : []),
    [collection, { get: operation('list'), post: operation('post'), delete: operation('deletecollection') }],
    [one, item],
    ...subresourcesOf(info)
      .filter((sub) => sub.name === 'status')
      .map((sub): [string, object] => [
        `${one}/${sub.name}`,
        { get: operation('get'), put: operation('put'), patch: operation('patch') },
      ]),
  ]
}

/** `patch` names no strategic merge patch: kubectl would then look here for merge keys instead of using its own. */
function operationOf(info: KindInfo) {
  const body = { $ref: `#/components/schemas/${schemaName(info)}` }
  return (action: string): object => {
    const isWrite = action === 'post' || action === 'put' || action === 'patch'
    const content = Object.fromEntries(
      (action === 'patch' ? patchTypes : ['application/json']).map((type) => [
        type,
        { schema: action === 'patch' ? { type: 'object' } : body },
      ]),
    )
    return {
      operationId: `${action}${info.group === '' ? 'Core' : ''}${info.kind}`,
      tags: [info.group === '' ? 'core_v1' : info.group.replaceAll('.', '_')],
      parameters: isWrite ? writeParameters : action.startsWith('delete') ? [dryRun] : [],
      ...(isWrite && { requestBody: { content, required: true } }),
      responses: { 200: { description: 'OK', content: { 'application/json': { schema: body } } } },
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': { group: info.group, version: info.version, kind: info.kind },
    }
  }
}

const patchTypes = ['application/merge-patch+json', 'application/json-patch+json']
const parameter = (name: string, description: string) => ({
  name,
  in: 'query',
  description,
  schema: { type: 'string', uniqueItems: true },
})
const dryRun = parameter('dryRun', 'All: everything but the write itself.')
const writeParameters = [
  dryRun,
  parameter('fieldManager', 'Who writes; accepted, not kept.'),
  parameter('fieldValidation', 'Unknown fields of millwright kinds are errors whatever it says.'),
]

function schemaName(info: KindInfo): string {
  if (info.group === '') return `io.k8s.api.core.v1.${info.kind}`
  return `${info.group.split('.').reverse().join('.')}.${info.version}.${info.kind}`
}

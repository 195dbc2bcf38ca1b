import type { KindInfo } from '../model/registry.ts'
import { groupVersions } from './path.ts'
import { subresourcesOf } from './subresources.ts'

/** What is served, in the two forms that clients ask for: one document per version, or everything at once. */

export const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const

/** `/api` */
export function coreVersions(address: string): object {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  }
}

/** `/apis` */
export function groupList(): object {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: namedGroups().map(groupOf) }
}

/** `/apis/GROUP` */
export function oneGroup(group: string): object | undefined {
  const found = namedGroups().find(([name]) => name === group)
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(found) }
}

/** `/api/v1` and `/apis/GROUP/VERSION` */
export function resourceList(groupVersion: string): object | undefined {
  const infos = groupVersions().get(groupVersion)
  const extra = reviews.get(groupVersion)
  if (infos === undefined && extra === undefined) return undefined
  const resources = (infos ?? []).flatMap((info) => [
    {
      name: info.plural,
      singularName: info.singular,
      namespaced: info.namespaced,
      kind: info.kind,
      verbs,
      ...(info.shortNames.length > 0 && { shortNames: info.shortNames }),
      ...(categoriesOf(info).length > 0 && { categories: categoriesOf(info) }),
    },
    ...subresourcesOf(info).map((sub) => ({
      name: `${info.plural}/${sub.name}`,
      singularName: '',
      namespaced: info.namespaced,
      ...(sub.kind ?? { kind: info.kind }),
      verbs: sub.verbs,
    })),
  ])
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: [...resources, ...(extra ?? [])] }
}

/** Aggregated discovery (`apidiscovery.k8s.io/v2`): the core group for `/api`, the named ones for `/apis`. */
export function aggregated(core: boolean, version: 'v2' | 'v2beta1'): object {
  const groups: [string, [string, readonly KindInfo[]][]][] = core
    ? [['', [['v1', groupVersions().get('v1') ?? []]]]]
    : namedGroups().map(([name, versions]) => [name, versions])
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map(([name, versions]) => ({
      metadata: { name, creationTimestamp: null },
      versions: versions.map(([groupVersion, infos]) => ({
        version: groupVersion.split('/').at(-1),
        resources: [...infos.map(aggregatedResource), ...(aggregatedReviews.get(groupVersion) ?? [])],
        freshness: 'Current',
      })),
    })),
  }
}

function aggregatedResource(info: KindInfo): object {
  const self = { group: info.group, version: info.version, kind: info.kind }
  return {
    resource: info.plural,
    responseKind: self,
    scope: info.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: info.singular,
    verbs,
    ...(info.shortNames.length > 0 && { shortNames: info.shortNames }),
    ...(categoriesOf(info).length > 0 && { categories: categoriesOf(info) }),
    subresources: subresourcesOf(info).map((sub) => ({
      subresource: sub.name,
      responseKind: sub.kind ?? self,
      verbs: sub.verbs,
    })),
  }
}

type Group = [name: string, versions: [groupVersion: string, infos: readonly KindInfo[]][]]

function namedGroups(): Group[] {
  const groups = new Map<string, [string, readonly KindInfo[]][]>()
  for (const [groupVersion, infos] of [...groupVersions(), ...[...reviews.keys()].map((key) => [key, []] as const)]) {
    const [name, version] = groupVersion.split('/')
    if (name !== undefined && version !== undefined)
      groups.set(name, [...(groups.get(name) ?? []), [groupVersion, infos]])
  }
  return [...groups]
}

function groupOf([name, versions]: Group): object {
  const all = versions.map(([groupVersion]) => ({ groupVersion, version: groupVersion.split('/')[1] }))
  return { name, versions: all, preferredVersion: all[0] }
}

/** What `kubectl get all` shows. */
function categoriesOf(info: KindInfo): readonly string[] {
  return ['TrainingJob', 'InferenceService', 'Pod'].includes(info.kind) ? ['all'] : []
}

/** `kubectl auth can-i` posts one of these; it is answered, not stored. */
export const reviewVersion = 'authorization.k8s.io/v1'
export const reviewPlural = 'selfsubjectaccessreviews'
const reviewKind = 'SelfSubjectAccessReview'
const reviews: ReadonlyMap<string, readonly object[]> = new Map([
  [
    reviewVersion,
    [
      {
        name: reviewPlural,
        singularName: reviewKind.toLowerCase(),
        namespaced: false,
        kind: reviewKind,
        verbs: ['create'],
      },
    ],
  ],
])
const aggregatedReviews: ReadonlyMap<string, readonly object[]> = new Map([
  [
    reviewVersion,
    [
      {
        resource: reviewPlural,
        responseKind: { group: 'authorization.k8s.io', version: 'v1', kind: reviewKind },
        scope: 'Cluster',
        singularResource: reviewKind.toLowerCase(),
        verbs: ['create'],
      },
    ],
  ],
])

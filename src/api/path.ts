import { dnsLabel, resourceName } from '../model/metadata.ts'
import { apiVersionOf, type KindInfo, kinds } from '../model/registry.ts'
import { badRequest, unknownPath } from './failure.ts'

/** What a path of the resource API names. */
export interface Target {
  info: KindInfo
  /** Left out: all namespaces, or a cluster-scoped kind. */
  namespace?: string
  /** Left out: the collection. */
  name?: string
  subresource?: string
  /** What of the subresource, where it holds several. */
  part?: string
}

/** The decoded segments of a path. `..%2f` decodes to a segment with a slash in it, which no name can match. */
export function segmentsOf(path: string): string[] {
  const raw = path.replace(/^\//, '').replace(/\/$/, '')
  if (raw === '') return []
  return raw.split('/').map((segment) => {
    try {
      return decodeURIComponent(segment)
    } catch {
      throw badRequest('the path has a broken percent sign')
    }
  })
}

/**
 * `/api/v1/…` and `/apis/GROUP/VERSION/…` in Kubernetes' layout:
 * `[namespaces/NAMESPACE/]PLURAL[/NAME[/SUBRESOURCE[/PART]]]`.
 */
export function targetOf(segments: readonly string[]): Target {
  const [groupVersion, rest] = split(segments)
  const inNamespace = rest[0] === 'namespaces' && rest.length >= 3 && !namespaceDoors.has(rest[2] ?? '')
  const [plural, name, subresource, part, more] = inNamespace ? rest.slice(2) : rest
  const info = resources.get(`${groupVersion}/${plural}`)
  if (info === undefined || more !== undefined || (inNamespace && !info.namespaced)) throw unknownPath()
  // A namespaced resource is named with its namespace, always.
  if (info.namespaced && !inNamespace && name !== undefined) throw unknownPath()
  if (inNamespace) check(dnsLabel.safeParse(rest[1]).success, `"namespace" ${shown(rest[1])} is not a name`)
  if (name !== undefined) check(resourceName.safeParse(name).success, `${shown(name)} is not a name`)
  return {
    info,
    ...(inNamespace && { namespace: rest[1] ?? '' }),
    ...(name !== undefined && { name }),
    ...(subresource !== undefined && { subresource }),
    ...(part !== undefined && { part }),
  }
}

/** Every group and version that is served, the core one first. */
export function groupVersions(): Map<string, KindInfo[]> {
  const found = new Map<string, KindInfo[]>([['v1', []]])
  for (const info of Object.values(kinds)) {
    const version = apiVersionOf(info)
    found.set(version, [...(found.get(version) ?? []), info])
  }
  return found
}

function split(segments: readonly string[]): [string, readonly string[]] {
  if (segments[0] === 'api') return [segments[1] ?? '', segments.slice(2)]
  if (segments[0] === 'apis') return [`${segments[1]}/${segments[2]}`, segments.slice(3)]
  throw unknownPath()
}

function check(holds: boolean, message: string): void {
  if (!holds) throw badRequest(message)
}

function shown(text: string | undefined): string {
  return JSON.stringify((text ?? '').slice(0, 100))
}

/** `/api/v1/namespaces/NAME/status` is a door of the Namespace, not a collection inside it. */
const namespaceDoors = new Set(['status', 'finalize'])
const resources: ReadonlyMap<string, KindInfo> = new Map(
  Object.values(kinds).map((info) => [`${apiVersionOf(info)}/${info.plural}`, info]),
)

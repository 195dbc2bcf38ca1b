import { OperatingError } from '../base/errors.ts'
import type { KindName } from '../model/registry.ts'
import type { Stored } from './stored.ts'

/** Kept on a namespace that is being deleted until nothing is left in it; control/garbage takes it away. */
export const contentsFinalizer = 'millwright.dev/contents'

/** What everybody falls back on, and where the factory keeps its own leases. */
const permanent: readonly string[] = ['default', 'millwright-system']

/** A namespace as its deletion leaves it: nothing new may come into it, and it stays until it is empty. */
export function terminating(namespace: Stored): Stored {
  const { metadata, status } = namespace
  if (permanent.includes(metadata.name)) {
    throw new OperatingError(
      'forbidden',
      'give-up',
      `namespaces "${metadata.name}" is forbidden: this namespace may not be deleted; delete what is in it instead`,
    )
  }
  const finalizers = [...(metadata.finalizers ?? []), contentsFinalizer]
  return {
    ...namespace,
    metadata: { ...metadata, finalizers },
    status: { ...(typeof status === 'object' ? status : {}), phase: 'Terminating' },
  }
}

/**
 * Whether `object` may come into its namespace, and whether that comes into being with it. What is of something else (its
 * owner, or what an Event or a Report is about) brings no namespace back that went with it.
 */
export function admitInto(
  namespace: Stored | undefined,
  name: string,
  kind: KindName,
  object: Stored,
): 'there' | 'to be made' {
  if (namespace?.metadata.deletionTimestamp !== undefined) {
    throw new OperatingError(
      'terminating',
      'give-up',
      `unable to create new content in namespace "${name}" because it is being terminated; wait until it is gone, or use another one`,
    )
  }
  if (namespace !== undefined) return 'there'
  const isOfAnother = kind === 'Event' || kind === 'Report' || (object.metadata.ownerReferences ?? []).length > 0
  if (!isOfAnother || permanent.includes(name)) return 'to be made'
  throw new OperatingError('not-found', 'give-up', `namespaces "${name}" not found: what this belonged to went with it`)
}

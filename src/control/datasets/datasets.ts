import { type Look, lookAtManifest, schemeOf } from '../../blob/sources.ts'
import { setCondition } from '../../model/conditions.ts'
import type { Dataset } from '../../model/kinds/dataset.ts'
import { keyOf, refOfKey } from '../../model/refs.ts'
import { equalJson } from '../../store/json.ts'
import { again, type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'

type Status = NonNullable<Dataset['status']>

/** How often files are looked at again, and how often while they are being read. */
const lookEveryMs = 60_000
const readingEveryMs = { least: 250, most: 5_000 }
/** A look at a million files takes a while: this many times as long is none. */
const restPerLook = 20

/**
 * What a Dataset's files are: digest, size, number. Looked at again every minute; when they changed, the digest goes at
 * once, and the change is said as soon as the new one is known.
 */
export function createDatasets(context: Context): Reconciler {
  const { store, views, clock, events } = context
  const datasets = views.of('Dataset')
  /** Our own write to the status must not bring us back to the disk. */
  const dueMs = new Map<string, { generation: number | undefined; atMs: number }>()

  async function reconcile(key: string): Promise<Outcome> {
    const dataset = datasets.get(refOfKey(key))
    if (dataset === undefined || dataset.metadata.deletionTimestamp !== undefined) {
      dueMs.delete(key)
      return settled()
    }
    const { generation } = dataset.metadata
    const due = dueMs.get(key)
    const startedMs = clock.steadyMs()
    if (due?.generation === generation && due !== undefined && startedMs < due.atMs) return again(due.atMs - startedMs)
    const look = await lookAt(context, dataset.spec.uri)
    const lookedMs = clock.steadyMs()
    const status = statusFrom(dataset, look, clock.now())
    if (!equalJson(status, dataset.status)) {
      const was = changedFrom(dataset, look)
      if (was !== undefined && look.kind === 'read') {
        // Said first: a control plane that dies here says it twice rather than never.
        events.record(dataset, 'Warning', 'DatasetChanged', changeOf(was, look.digest))
        await events.flush()
      }
      const written = await store.updateStatus('Dataset', { ...dataset, status })
      if (typeof written === 'string') return settled() // the newer one comes through the watch
    }
    const restMs = Math.max(restAfter(look), (lookedMs - startedMs) * restPerLook)
    dueMs.set(key, { generation, atMs: lookedMs + restMs })
    return again(restMs)
  }

  return {
    name: 'datasets',
    watches: [{ kind: 'Dataset', keys: (dataset) => [keyOf(dataset)] }],
    workers: 2,
    reconcile,
  }
}

async function lookAt({ sources, blobs }: Context, uri: string): Promise<Look> {
  if (schemeOf(uri) === undefined) return lookAtManifest(blobs, uri)
  if (sources !== undefined) return sources.look(uri)
  return { kind: 'unusable', reason: 'NotReadHere', message: `this control plane has no way to read ${uri}` }
}

function restAfter(look: Look): number {
  if (look.kind !== 'reading') return lookEveryMs
  const leftMs = (look.bytes - look.bytesRead) / 1e6 // a gigabyte a second
  return Math.min(readingEveryMs.most, Math.max(readingEveryMs.least, leftMs))
}

function statusFrom(dataset: Dataset, look: Look, nowMs: number): Status {
  const { generation: observedGeneration } = dataset.metadata
  const { conditions: before, previousDigest } = lastOf(dataset)
  const ready = { type: 'Ready', observedGeneration, ...readinessOf(look) }
  let conditions = setCondition(before, ready, nowMs)
  const was = changedFrom(dataset, look)
  if (was !== undefined && look.kind === 'read') {
    const message = changeOf(was, look.digest)
    conditions = setCondition(
      conditions,
      { type: 'Changed', status: 'True', reason: 'FilesChanged', message, observedGeneration },
      nowMs,
    )
  }
  if (look.kind === 'read') {
    const { digest, bytes, files } = look
    return { conditions, digest, bytes, files, observedGeneration }
  }
  return {
    conditions,
    ...(look.kind === 'reading' ? { bytes: look.bytes, files: look.files } : {}),
    ...(previousDigest === undefined ? {} : { previousDigest }),
    observedGeneration,
  }
}

/** What is known of the files that spec.uri names now; of another place nothing is. */
function lastOf({ metadata, status }: Dataset): { conditions: Status['conditions']; previousDigest?: string } {
  const isSamePlace = status?.observedGeneration === metadata.generation
  if (status === undefined || !isSamePlace) return { conditions: [] }
  const previousDigest = status.digest ?? status.previousDigest
  return { conditions: status.conditions, ...(previousDigest === undefined ? {} : { previousDigest }) }
}

/** The digest that it had before, when it has another one now. */
function changedFrom(dataset: Dataset, look: Look): string | undefined {
  const { previousDigest } = lastOf(dataset)
  return look.kind === 'read' && previousDigest !== look.digest ? previousDigest : undefined
}

function changeOf(was: string, digest: string): string {
  return `its files changed: their sha256 was ${was} and is ${digest} now; models made before are of the old ones`
}

function readinessOf(look: Look): { status: 'True' | 'False' | 'Unknown'; reason: string; message: string } {
  switch (look.kind) {
    case 'read':
      return { status: 'True', reason: 'Read', message: '' }
    case 'reading': {
      const percent = look.bytes === 0 ? 0 : Math.floor((100 * look.bytesRead) / look.bytes)
      return { status: 'Unknown', reason: 'Reading', message: `${percent} % of its bytes are read` }
    }
    case 'unusable':
      return { status: 'False', reason: look.reason, message: look.message }
  }
}

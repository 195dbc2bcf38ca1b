import type { Clock } from '../base/clock.ts'
import { OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import type { Report } from '../model/kinds/report.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { label } from '../model/names.ts'
import { ownerReferenceTo } from '../model/refs.ts'
import type { Store } from '../store/contract.ts'
import { createWriter } from './writer.ts'

export type ReportStatus = NonNullable<Report['status']>

/** The Report of one pod. Nobody else writes it, so what was written last is known without reading. */
export interface PodReport {
  readonly status: Readonly<ReportStatus>
  /** `atOnce`: somebody waits for this. */
  change(fields: Partial<ReportStatus>, atOnce: boolean): void
  /** What an earlier agent reported of the same pod is taken over. */
  load(): Promise<void>
  flush(): Promise<void>
  close(): void
}

export interface ReportOptions {
  store: Store
  clock: Clock
  random: Random
  log: Log
  pod: Pod
  node: string
  everyMs: number
}

export function createPodReport(options: ReportOptions): PodReport {
  const { store, clock, random, log, pod, node, everyMs } = options
  const { name, namespace, uid = '' } = pod.metadata
  const ref = { name: `pod.${name}`, namespace }
  let status: ReportStatus = { checkpoints: [] }
  let written: Report | undefined
  /** In steady time. */
  let writtenAtMs = Number.NEGATIVE_INFINITY
  let isFirst = true

  const writer = createWriter({ clock, random, log, what: `report ${ref.name}`, write: writeOrLeave })

  /** In a namespace that is being deleted nobody waits for the report; the pod's end must not wait for it either. */
  async function writeOrLeave(): Promise<'ok' | 'gone'> {
    try {
      return await write()
    } catch (error) {
      if (error instanceof OperatingError && namespaceGoes.includes(error.code)) return 'gone'
      throw error
    }
  }

  async function write(): Promise<'ok' | 'gone'> {
    writtenAtMs = clock.steadyMs()
    const now: ReportStatus = { ...status, at: new Date(clock.now()).toISOString() }
    const outcome =
      written === undefined
        ? await store.create('Report', fresh(now), { withStatus: true })
        : await store.updateStatus('Report', { ...written, status: now })
    if (typeof outcome !== 'string') {
      written = outcome
      return 'ok'
    }
    const known = await store.get('Report', ref)
    if (known?.spec.pod?.uid === uid) {
      written = known
      return write()
    }
    // While its pod is there one that is not its own is of an older pod of this name, whose end has not been cleaned up yet.
    const owner = await store.get('Pod', { name, namespace })
    if (owner?.metadata.uid !== uid) return 'gone'
    if (known !== undefined) await store.delete('Report', ref, { uid: known.metadata.uid })
    written = undefined
    return write()
  }

  function fresh(now: ReportStatus): Report {
    const labels = pod.metadata.labels ?? {}
    const attempt = Number(labels[label.attempt])
    return {
      apiVersion: millwrightVersion,
      kind: 'Report',
      metadata: { ...ref, labels: kept(labels), ownerReferences: [ownerReferenceTo(pod)] },
      spec: {
        pod: { name, uid },
        node,
        ...(labels[label.gang] === undefined ? {} : { gang: labels[label.gang] }),
        ...(Number.isInteger(attempt) ? { attempt } : {}),
      },
      status: now,
    }
  }

  return {
    get status() {
      return status
    },
    change(fields, atOnce) {
      status = { ...status, ...fields }
      for (const key of Object.keys(fields) as (keyof ReportStatus)[]) if (fields[key] === undefined) delete status[key]
      const restMs = Math.max(0, writtenAtMs + everyMs - clock.steadyMs())
      // A pod that ends in its first instant is one write, not two.
      writer.touch(isFirst ? firstMs : atOnce ? 0 : restMs)
      isFirst = false
    },
    async load() {
      const known = await store.get('Report', ref)
      if (known === undefined || known.spec.pod?.uid !== uid) return
      written = known
      status = { ...known.status, checkpoints: known.status?.checkpoints ?? [] }
    },
    flush: () => writer.flush(),
    close: () => writer.close(),
  }
}

export const firstMs = 20

/** What the store says to something new in a namespace that is being deleted, or is no more. */
const namespaceGoes: readonly string[] = ['terminating', 'not-found']

/** The labels by which others find the reports of a job, a service or a gang. */
function kept(labels: Record<string, string>): Record<string, string> {
  const names: readonly string[] = [label.job, label.service, label.gang, label.attempt, label.group]
  return Object.fromEntries(Object.entries(labels).filter(([name]) => names.includes(name)))
}

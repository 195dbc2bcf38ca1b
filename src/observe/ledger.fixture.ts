import { type Gang, gang } from '../model/kinds/gang.ts'
import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import type { LedgerPage } from '../model/kinds/ledger-page.ts'
import { type Pool, pool } from '../model/kinds/pool.ts'
import { type Report, report } from '../model/kinds/report.ts'
import { type TrainingJob, trainingJob } from '../model/kinds/training-job.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { annotation, cpuSlot, label } from '../model/names.ts'
import { LedgerFold } from './ledger-fold.ts'
import { summarise } from './ledger-summary.ts'

/** A small factory told to the fold step by step; what a story changes is told as one change. */
export interface Books {
  nowMs: number
  fold: LedgerFold
  after(ms: number): Books
  node(name: string, slots: number, more?: Partial<Node['spec']> & { ready?: boolean }): void
  /** What a slot of all nodes costs from now on, in USD per hour. */
  price(pricePerSlotHour: number): void
  /** Nodes that the pool keeps as spares. */
  spares(...nodes: string[]): void
  gang(name: string, more?: GangState): void
  pod(name: string, more?: PodState): void
  report(pod: string, status: Partial<NonNullable<Report['status']>>, attempt?: number): void
  serviceReport(service: string, status: Partial<NonNullable<Report['status']>>): void
  job(name: string, phase: NonNullable<TrainingJob['status']>['phase']): void
  drop(kind: 'Node' | 'Gang' | 'Pod', name: string): void
  /** The control plane dies and comes back after `downMs`: only pages and resources are left. */
  crash(downMs: number): void
  pages(): LedgerPage[]
  /** Slot-milliseconds by bucket so far. */
  buckets(): Record<string, number>
}

export interface GangState {
  attempt?: number
  suspend?: boolean
  service?: string
  /** Members come and go; of seats these have left. */
  left?: readonly string[]
  /** By rank; `index`: in its pod's name, its rank when left out. */
  seats?: { node: string; devices: string[]; milli?: number; index?: number; joined?: boolean }[]
  checkpoint?: { step: number; attempt: number; at: number }
  /** For want of accelerators, or the reason. */
  waits?: boolean | string
  /** Accelerators of its one member, cpu slots by default. */
  asks?: { count?: number; min?: number; nodeSelector?: Record<string, string>; model?: string }
}
export interface PodState {
  gang?: string
  node?: string
  phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed'
  ready?: boolean
  deleting?: boolean
  service?: string
  devices?: string
}

export const startMs = 1_700_000_000_000 - (1_700_000_000_000 % 3_600_000)

export function openBooks(): Books {
  const nodes = new Map<string, Node>()
  const gangs = new Map<string, Gang>()
  const pods = new Map<string, Pod>()
  const reports = new Map<string, Report>()
  const jobs = new Map<string, TrainingJob>()
  const written = new Map<string, LedgerPage>()
  let local: Pool | undefined

  function take(): void {
    books.fold.advance(books.nowMs)
    for (const page of books.fold.take('1')) written.set(page.metadata.name, page)
  }

  const books: Books = {
    nowMs: startMs,
    fold: new LedgerFold([], startMs),
    after: (ms) => {
      for (let left = ms; left > 0; left -= 10_000) {
        books.nowMs += Math.min(10_000, left)
        books.fold.advance(books.nowMs)
      }
      return books
    },
    node: (name, slots, { ready = true, ...spec } = {}) => {
      const object: Node = {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name, labels: { [label.pool]: 'local' } },
        spec,
        status: {
          allocatable: { [cpuSlot]: String(slots) },
          conditions: [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }],
        },
      }
      nodes.set(name, object)
      books.fold.apply({ kind: 'Node', object, deleted: false }, books.nowMs)
    },
    price: (pricePerSlotHour) => {
      local = pool.parse({
        apiVersion: millwrightVersion,
        kind: 'Pool',
        metadata: { name: 'local' },
        spec: { accelerator: 'cpu', pricePerSlotHour },
      })
      books.fold.apply({ kind: 'Pool', object: local, deleted: false }, books.nowMs)
    },
    spares: (...nodes) => {
      const object = pool.parse({
        apiVersion: millwrightVersion,
        kind: 'Pool',
        metadata: { name: 'local' },
        spec: { accelerator: 'cpu', spares: nodes.length },
        status: { spares: { wanted: nodes.length, nodes } },
      })
      books.fold.apply({ kind: 'Pool', object, deleted: false }, books.nowMs)
    },
    gang: (name, more = {}) => {
      const { attempt = 1, suspend = false, service, left, seats, checkpoint, waits, asks = {} } = more
      const { count = 1, min = 1, model = 'cpu', nodeSelector = {} } = asks
      const reason = waits === true ? 'InsufficientAccelerators' : waits || 'Seated'
      const labels = service === undefined ? { [label.job]: name } : { [label.service]: service }
      const object = gang.parse({
        apiVersion: millwrightVersion,
        kind: 'Gang',
        metadata: { name, namespace: 'default', uid: `uid-${name}`, labels },
        spec: {
          attempt,
          suspend,
          queue: 'default',
          priority: 0,
          ...(left === undefined ? {} : { rejoins: true, left }),
          groups: [{ name: 'worker', min, max: min, accelerators: [{ model, count }], nodeSelector }],
        },
        status: {
          ...(waits === undefined
            ? {}
            : { conditions: [{ type: 'Scheduled', status: waits ? 'False' : 'True', reason }] }),
          ...(seats === undefined ? {} : { seats: seatsOf(name, attempt, seats) }),
          ...(checkpoint === undefined
            ? {}
            : { checkpoint: { ...checkpoint, at: new Date(checkpoint.at).toISOString(), digest: 'd', manifests: [] } }),
        },
      })
      shareUnchanged(object, gangs.get(name))
      gangs.set(name, object)
      books.fold.apply({ kind: 'Gang', object, deleted: false }, books.nowMs)
    },
    pod: (name, more = {}) => {
      const {
        gang: of = name.replace(/-worker-.*$/, ''),
        node = 'a',
        phase = 'Running',
        service,
        ready,
        deleting,
        devices,
      } = more
      const object: Pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name,
          namespace: 'default',
          uid: `uid-${name}`,
          labels: { [label.gang]: of, ...(service === undefined ? { [label.job]: of } : { [label.service]: service }) },
          annotations: devices === undefined ? {} : { [annotation.devices]: devices },
          ...(deleting === true ? { deletionTimestamp: new Date(books.nowMs).toISOString() } : {}),
        },
        spec: { containers: [{ name: 'main' }], nodeName: node },
        status: { phase, conditions: [{ type: 'Ready', status: ready === true ? 'True' : 'False' }] },
      }
      pods.set(name, object)
      books.fold.apply({ kind: 'Pod', object, deleted: false }, books.nowMs)
    },
    report: (pod, status, attempt = 1) => {
      const object = report.parse({
        apiVersion: millwrightVersion,
        kind: 'Report',
        metadata: { name: `pod.${pod}`, namespace: 'default' },
        spec: {
          pod: { name: pod, uid: `uid-${pod}` },
          gang: pod.replace(/-worker-.*$/, ''),
          attempt,
          node: pods.get(pod)?.spec.nodeName,
        },
        status,
      })
      reports.set(object.metadata.name, object)
      books.fold.apply({ kind: 'Report', object, deleted: false }, books.nowMs)
    },
    serviceReport: (service, status) => {
      const object = report.parse({
        apiVersion: millwrightVersion,
        kind: 'Report',
        metadata: { name: `service.${service}`, namespace: 'default' },
        spec: { service: { name: service, uid: 'u' } },
        status,
      })
      reports.set(object.metadata.name, object)
      books.fold.apply({ kind: 'Report', object, deleted: false }, books.nowMs)
    },
    job: (name, phase) => {
      const object = trainingJob.parse({
        apiVersion: millwrightVersion,
        kind: 'TrainingJob',
        metadata: { name, namespace: 'default' },
        spec: { command: ['x'] },
        status: { phase },
      })
      jobs.set(name, object)
      books.fold.apply({ kind: 'TrainingJob', object, deleted: false }, books.nowMs)
    },
    drop: (kind, name) => {
      const node = nodes.get(name)
      const gone = gangs.get(name)
      const pod = pods.get(name)
      if (kind === 'Node' && node !== undefined) books.fold.apply({ kind, object: node, deleted: true }, books.nowMs)
      if (kind === 'Gang' && gone !== undefined) books.fold.apply({ kind, object: gone, deleted: true }, books.nowMs)
      if (kind === 'Pod' && pod !== undefined) books.fold.apply({ kind, object: pod, deleted: true }, books.nowMs)
      const known = kind === 'Node' ? nodes : kind === 'Gang' ? gangs : pods
      known.delete(name)
    },
    crash: (downMs) => {
      take()
      books.nowMs += downMs
      const fold = new LedgerFold(structuredClone([...written.values()]), books.nowMs)
      books.fold = fold
      const tell = { deleted: false }
      for (const object of nodes.values()) fold.apply({ kind: 'Node', object, ...tell }, books.nowMs)
      for (const object of jobs.values()) fold.apply({ kind: 'TrainingJob', object, ...tell }, books.nowMs)
      for (const object of gangs.values()) fold.apply({ kind: 'Gang', object, ...tell }, books.nowMs)
      for (const object of pods.values()) fold.apply({ kind: 'Pod', object, ...tell }, books.nowMs)
      for (const object of reports.values()) fold.apply({ kind: 'Report', object, ...tell }, books.nowMs)
      if (local !== undefined) fold.apply({ kind: 'Pool', object: local, ...tell }, books.nowMs)
      fold.synced(books.nowMs)
    },
    pages: () => {
      take()
      return [...written.values()]
    },
    buckets: () => {
      const { rows } = summarise(books.pages(), 'bucket')
      return Object.fromEntries(rows.map(({ key, slotMs }) => [key[0] ?? '', slotMs]))
    },
  }
  books.fold.synced(books.nowMs)
  return books
}

function seatsOf(name: string, attempt: number, seats: NonNullable<GangState['seats']>) {
  return {
    attempt,
    epoch: 1,
    at: new Date(startMs).toISOString(),
    masterAddr: 'x',
    masterPort: 1,
    members: seats.map(({ node, devices, milli = 1000, index, joined }, rank) => ({
      pod: `${name}-worker-${index ?? rank}-${attempt}`,
      ...(joined === undefined ? {} : { joined }),
      group: 'worker',
      rank,
      localRank: 0,
      node,
      devices: devices.map((id) => ({ id, milli })),
      ports: [],
    })),
  }
}

/** What a write leaves as it was stays the same object, as in the embedded stores. */
function shareUnchanged(next: Gang, before: Gang | undefined): void {
  if (before === undefined) return
  const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)
  if (isSame(next.metadata.labels, before.metadata.labels)) next.metadata.labels = before.metadata.labels
  const seats = before.status?.seats
  if (next.status !== undefined && seats !== undefined && isSame(next.status.seats, seats)) next.status.seats = seats
}

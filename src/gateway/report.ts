import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { mergePatchTo } from '../base/merge-patch.ts'
import type { Report } from '../model/kinds/report.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { ownerReferenceTo } from '../model/refs.ts'
import type { Store } from '../store/contract.ts'
import type { Service } from './contract.ts'

export type ServiceReport = NonNullable<Report['status']>

/**
 * Writes one Report per service: at most once a second, at once when the first request waits, and nothing while
 * nothing changes. Only one write of a service is under way at a time, so an older count never follows a newer one.
 */
export class Reporter {
  readonly #store: Store
  readonly #clock: Clock
  readonly #log: Log
  readonly #states = new Map<Service, State>()
  readonly #everyMs: number
  #stopped = false

  constructor(handles: { store: Store; clock: Clock; log: Log; everyMs: number }) {
    this.#store = handles.store
    this.#clock = handles.clock
    this.#log = handles.log
    this.#everyMs = handles.everyMs
  }

  changed(service: Service, urgent: boolean): void {
    if (service.isGone) return
    const state = this.#stateOf(service)
    state.dirty = true
    if (state.writing) {
      state.urgent ||= urgent
      return
    }
    const waitMs = urgent ? 0 : state.writtenAtMs + this.#everyMs - this.#clock.steadyMs()
    if (waitMs <= 0) this.#write(service, state)
    else state.timer ??= this.#clock.after(waitMs, () => this.#write(service, state))
  }

  forget(service: Service): void {
    this.#states.get(service)?.timer?.()
    this.#states.delete(service)
  }

  /** The last word: nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    const dirty = [...this.#states].filter(([, state]) => state.dirty && !state.writing)
    for (const [, state] of this.#states) state.timer?.()
    await Promise.all(dirty.map(([service, state]) => this.#put(service, state).catch(() => {})))
  }

  #stateOf(service: Service): State {
    const known = this.#states.get(service)
    if (known !== undefined) return known
    const state: State = {
      dirty: false,
      urgent: false,
      writing: false,
      writtenAtMs: Number.NEGATIVE_INFINITY,
      timer: undefined,
      last: undefined,
      seen: { atMs: this.#clock.steadyMs(), requests: 0, busyMs: 0 },
    }
    this.#states.set(service, state)
    return state
  }

  #write(service: Service, state: State): void {
    if (this.#stopped) return
    state.timer?.()
    state.timer = undefined
    state.writing = true
    this.#put(service, state)
      .catch((error: unknown) => {
        state.dirty = true
        this.#log.warn('a report could not be written', { service: service.key, error: messageOf(error) })
      })
      .finally(() => {
        const urgent = state.urgent
        state.writing = false
        state.urgent = false
        if (state.dirty && !this.#stopped) this.changed(service, urgent)
      })
  }

  async #put(service: Service, state: State): Promise<void> {
    const nowMs = this.#clock.steadyMs()
    const status = reportOf(service, state, { nowMs, at: new Date(this.#clock.now()).toISOString() })
    state.writtenAtMs = nowMs
    // One more report follows while rates are still to fall to what is under way.
    state.dirty = status.requestsPerSecond !== 0 || status.concurrency !== status.inFlight
    if (state.last === undefined) state.last = await this.#found(service)
    if (service.isGone) return
    if (state.last === undefined) {
      if (status.requests === 0 && status.held === 0) return
      const created = await this.#store.create('Report', reportObject(service, status), { withStatus: true })
      if (created !== 'exists') state.last = status
      else state.dirty = true
      return
    }
    if (sameBut(state.last, status)) return
    const patch = { status: mergePatchTo(state.last, status) }
    const written = await this.#store.patch('Report', refOfReport(service), patch, { status: true })
    state.last = written === 'missing' || written === 'stale' ? undefined : status
    state.dirty ||= state.last === undefined
  }

  /** The report that an earlier gateway left; one of a service that had this name before is not ours to go on with. */
  async #found(service: Service): Promise<ServiceReport | undefined> {
    const found = await this.#store.get('Report', refOfReport(service))
    if (found === undefined) return undefined
    if (found.spec.service?.uid === service.object.metadata.uid) return found.status ?? { checkpoints: [] }
    await this.#store.delete('Report', refOfReport(service), { uid: found.metadata.uid })
    return undefined
  }
}

interface State {
  dirty: boolean
  urgent: boolean
  writing: boolean
  writtenAtMs: number
  timer: Cancel | undefined
  last: ServiceReport | undefined
  /** The counts at the last report, for rates. */
  seen: { atMs: number; requests: number; busyMs: number }
}

/** `nowMs`: in steady time. */
function reportOf(service: Service, state: State, { nowMs, at }: { nowMs: number; at: string }): ServiceReport {
  const { traffic, inFlight, waiting } = service
  const busyMs = traffic.busyMs + (nowMs - traffic.busySinceMs) * inFlight.size
  const spanMs = Math.max(1, nowMs - state.seen.atMs)
  const requestsPerSecond = rounded(((traffic.requests - state.seen.requests) * 1000) / spanMs)
  const concurrency = rounded((busyMs - state.seen.busyMs) / spanMs)
  const ttftSeconds =
    traffic.firstBytes > 0 ? rounded(traffic.firstByteMs / traffic.firstBytes / 1000) : state.last?.ttftSeconds
  traffic.firstByteMs = 0
  traffic.firstBytes = 0
  state.seen = { atMs: nowMs, requests: traffic.requests, busyMs }
  const first = waiting[0]
  return {
    at,
    checkpoints: [],
    inFlight: inFlight.size,
    held: waiting.length,
    ...(first === undefined ? {} : { heldSinceMs: first.exchange.arrivedMs }),
    ...(traffic.lastRequestAtMs === undefined ? {} : { lastRequestAtMs: traffic.lastRequestAtMs }),
    requestsPerSecond,
    concurrency,
    ...(ttftSeconds === undefined ? {} : { ttftSeconds }),
    requests: traffic.requests,
    promptTokens: traffic.promptTokens,
    completionTokens: traffic.completionTokens,
    perReplica: Object.fromEntries([...service.replicas.values()].map((replica) => [replica.pod, replica.inFlight])),
  }
}

function reportObject(service: Service, status: ServiceReport): Report {
  const { name, uid = '' } = service.object.metadata
  return {
    apiVersion: millwrightVersion,
    kind: 'Report',
    metadata: { ...refOfReport(service), ownerReferences: [ownerReferenceTo(service.object)] },
    spec: { service: { name, uid } },
    status,
  }
}

function refOfReport(service: Service): { name: string; namespace: string } {
  const { name, namespace = 'default' } = service.object.metadata
  return { name: `service.${name}`, namespace }
}

/** Whether two reports say the same, whenever they were written. */
function sameBut(last: ServiceReport, next: ServiceReport): boolean {
  return JSON.stringify({ ...last, at: '' }) === JSON.stringify({ ...next, at: '' })
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}

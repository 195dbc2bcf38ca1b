import OpenAI from 'openai'
import type { Clock } from '../base/clock.ts'
import { silentLog } from '../base/log.ts'
import { seededRandom } from '../base/random.ts'
import { type InferenceService, inferenceService } from '../model/kinds/inference-service.ts'
import type { Report } from '../model/kinds/report.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { annotation, label } from '../model/names.ts'
import type { Store } from '../store/contract.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { type Gateway, type GatewayOptions, startGateway } from './server.ts'

/** A gateway over the memory store, on a real socket, and the official client to it. */
export interface Bench {
  store: Store
  gateway: Gateway
  openai: OpenAI
  /** Makes a service; `spec` over what is least. */
  serve(name: string, spec?: Record<string, unknown>, namespace?: string): Promise<InferenceService>
  /** Makes a ready replica at a port of this machine, or changes whether it is ready. */
  replica(service: string, name: string, port: number, ready?: boolean): Promise<void>
  /** Kubernetes' deletion with grace: the pod stays, with a deletionTimestamp. */
  drain(name: string): Promise<void>
  remove(name: string): Promise<void>
  report(service: string): Promise<Report['status']>
  untilReport(service: string, holds: (status: NonNullable<Report['status']>) => boolean): Promise<void>
  /** Writes of the service's Report so far. */
  reportWrites(): number
  close(): Promise<void>
}

export async function startBench(options: Partial<GatewayOptions> = {}): Promise<Bench> {
  const store = createMemoryStore({ clock: realClock, random: seededRandom(1) })
  const gateway = await startGateway({
    store,
    clock: realClock,
    random: seededRandom(2),
    log: silentLog,
    host: '127.0.0.1',
    port: 0,
    ...options,
    limits: { reportMs: 50, ...options.limits },
  })
  const reports = new Map<string, Report>()
  let writes = 0
  const looks = new Set<() => void>()
  const stopWatch = store.watch(
    'Report',
    { from: '0' },
    {
      event: ({ object }) => {
        writes++
        reports.set(object.metadata.name, object)
        for (const look of [...looks]) look()
      },
      ended: () => {},
    },
  )
  const ref = (name: string, namespace = 'default') => ({ name, namespace })

  return {
    store,
    gateway,
    openai: new OpenAI({ apiKey: 'none', baseURL: `${gateway.url}/v1`, maxRetries: 0 }),
    serve: async (name, spec = {}, namespace = 'default') => {
      const object = inferenceService.parse({
        apiVersion: millwrightVersion,
        kind: 'InferenceService',
        metadata: ref(name, namespace),
        spec: { command: ['serve'], ...spec },
      })
      const created = await store.create('InferenceService', object)
      if (created === 'exists') throw new Error(`${name} exists`)
      return created
    },
    replica: async (service, name, port, ready = true) => {
      const uid = (await store.get('InferenceService', ref(service)))?.metadata.uid
      await store.create('Pod', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          ...ref(name),
          labels: { [label.service]: service, ...(uid === undefined ? {} : { [label.serviceUid]: uid }) },
          annotations: { [annotation.ports]: `${port}` },
        },
        spec: { containers: [{ name: 'server' }], nodeName: 'a' },
      })
      const status = { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] }
      await store.patch('Pod', ref(name), { status }, { status: true })
    },
    drain: async (name) => {
      await store.delete('Pod', ref(name), { gracePeriodSeconds: 30 })
    },
    remove: async (name) => {
      await store.delete('Pod', ref(name), { gracePeriodSeconds: 0 })
    },
    report: async (service) => (await store.get('Report', ref(`service.${service}`)))?.status,
    untilReport: (service, holds) =>
      new Promise((resolve) => {
        const look = () => {
          const status = reports.get(`service.${service}`)?.status
          if (status === undefined || !holds(status)) return
          looks.delete(look)
          resolve()
        }
        looks.add(look)
        look()
      }),
    reportWrites: () => writes,
    close: async () => {
      await gateway.close(0)
      stopWatch()
      await store.close()
    },
  }
}

export const realClock: Clock = {
  now: () => Date.now(),
  steadyMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      signal?.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    }),
  after: (ms, run) => {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
  every: (ms, run) => {
    const timer = setInterval(run, ms)
    return () => clearInterval(timer)
  },
}

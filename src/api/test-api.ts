import { request } from 'node:http'
import { silentLog } from '../base/log.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { millwrightVersion } from '../model/metadata.ts'
import type { Store } from '../store/contract.ts'
import { createMemoryStore, type MemoryStoreOptions } from '../store/memory/store.ts'
import { type Client, createClient } from './client.ts'
import type { ApiPorts } from './ports.ts'
import { type Api, type ApiOptions, startApi } from './server.ts'

export const token = 'a-token-of-a-test-0123456789'

export interface TestApi {
  api: Api
  clock: ManualClock
  store: Store
  client: Client
  /** One request, its body as sent, its answer as it came. */
  ask(method: string, path: string, more?: { headers?: Record<string, string>; body?: string | Buffer }): Promise<Reply>
  close(): Promise<void>
}
export interface Reply {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
  body: unknown
}

/** The whole API over real HTTP and a memory store, on a clock that tests move. */
export async function startTestApi(
  options: Partial<MemoryStoreOptions> & { ports?: Partial<ApiPorts> } & Pick<ApiOptions, 'tls' | 'hosts'> = {},
): Promise<TestApi> {
  const { ports, tls, hosts, ...storeOptions } = options
  const clock = createManualClock()
  const store = createMemoryStore({ clock, random: seededRandom(1), ...storeOptions })
  const api = await startApi({
    store,
    clock,
    log: silentLog,
    token,
    host: '127.0.0.1',
    port: 0,
    tls,
    hosts,
    ports: { logs: async function* () {}, metrics: async () => '', ...ports },
  })
  const client = createClient({ server: api.url, token })
  return {
    api,
    clock,
    store,
    client,
    ask: (method, path, more = {}) => ask(api.url, method, path, more),
    async close() {
      client.close()
      await api.close()
      await store.close()
    },
  }
}

/** `node:http` sends a path as it stands; `fetch` would tidy it first. */
export function ask(
  url: string,
  method: string,
  path: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: string | Buffer },
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method,
      path,
      agent: false,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...headers,
      },
    })
    sent.once('error', reject)
    sent.once('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('error', reject)
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parsed(text) })
      })
    })
    sent.end(body)
  })
}

export function job(name: string, spec: object = {}, namespace = 'default') {
  return {
    apiVersion: millwrightVersion,
    kind: 'TrainingJob',
    metadata: { name, namespace },
    spec: { workers: 2, command: ['true'], ...spec },
  }
}

export function pod(
  name: string,
  more: { labels?: Record<string, string>; annotations?: Record<string, string> } = {},
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', ...more },
    spec: { containers: [{ name: 'main', command: ['true'] }] },
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { expect, vi } from 'vitest'
import { assert } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import { processOf } from '../base/process.fixture.ts'
import { seededRandom } from '../base/random.ts'
import type { Blobs } from '../blob/contract.ts'
import { createFileBlobs } from '../blob/file/blobs.ts'
import { createFileSources } from '../blob/file/sources.ts'
import { type Gang, gang } from '../model/kinds/gang.ts'
import type { Container, Pod } from '../model/kinds/kubernetes.ts'
import type { Report } from '../model/kinds/report.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { annotation, label } from '../model/names.ts'
import { ownerReferenceTo } from '../model/refs.ts'
import type { PodWork } from '../model/work.ts'
import { realClock } from '../runtime/clock.ts'
import type { Store } from '../store/contract.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { type Agent, createAgent } from './agent.ts'
import type { NodeDescription } from './contract.ts'
import { type LocalCopies, localCopies } from './local/copies.ts'
import { localFiles } from './local/files.ts'
import { exists } from './local/process.ts'
import { createLocalRunner } from './local/runner.ts'

export const node: NodeDescription = {
  name: 'n0',
  pool: 'local',
  labels: {},
  cpuMilli: 2000,
  memoryBytes: 1e9,
  slots: 4,
  podsMax: 100,
  gpus: [],
  ports: { from: 20000, to: 20999 },
  address: '127.0.0.1',
  info: {},
}

/** A store, blobs and an agent over real processes in a folder of its own. */
export interface Bench {
  dir: string
  store: Store
  blobs: Blobs
  /** Of this node, `n0`, and of `n1`, which has no agent. */
  copies: LocalCopies
  agent: Agent
  /** Another agent over the same folder and store, as after a crash. */
  newAgent(): Promise<Agent>
  run(command: string[], options?: RunOptions): Promise<Pod>
  pod(name: string): Promise<Pod | undefined>
  report(name: string): Promise<Report | undefined>
  /** The pod once it has ended. */
  ended(name: string): Promise<Pod>
  until<T>(look: () => Promise<T | undefined | false>): Promise<T>
  close(): Promise<void>
}

export interface RunOptions {
  name?: string
  container?: Partial<Container>
  spec?: Record<string, unknown>
  annotations?: Record<string, string>
  labels?: Record<string, string>
  work?: Partial<PodWork>
}

/** `under`: where its folder is made. */
export async function openBench(env: NodeJS.ProcessEnv = process.env, under = tmpdir()): Promise<Bench> {
  const dir = await mkdtemp(join(under, 'agent-'))
  const clock = realClock
  const store = createMemoryStore({ clock, random: seededRandom(1) })
  const blobs = createFileBlobs({ dir: join(dir, 'blobs') })
  const copies = localCopies({ dir: join(dir, 'copies'), nodes: [node.name, 'n1'] })
  const sources = createFileSources({ dir: join(dir, 'sources') })
  const agents: Agent[] = []
  let count = 0
  const newAgent = async (): Promise<Agent> => {
    const agentDir = join(dir, 'agent')
    const agent = createAgent({
      store,
      blobs,
      copies,
      ...processOf(clock, agents.length + 2),
      node,
      reportEveryMs: 200,
      runner: createLocalRunner({ dir: agentDir, node: node.name, clock, log: silentLog, environment: env }),
      files: localFiles({ dir: agentDir, sources }),
    })
    agents.push(agent)
    await agent.start()
    return agent
  }
  const pod = (name: string): Promise<Pod | undefined> => store.get('Pod', { name, namespace: 'default' })
  const until = async <T>(look: () => Promise<T | undefined | false>): Promise<T> =>
    await vi.waitFor(
      async () => {
        const found = await look()
        if (found === undefined || found === false) throw new Error('not yet')
        return found
      },
      { timeout: 15_000, interval: 10 },
    )
  const bench: Bench = {
    dir,
    store,
    blobs,
    copies,
    agent: await newAgent(),
    newAgent,
    pod,
    until,
    async run(command, options = {}) {
      const name = options.name ?? `p${count++}`
      const annotations = {
        ...options.annotations,
        ...(options.work === undefined ? {} : { [annotation.work]: JSON.stringify(options.work) }),
      }
      const labels = { [label.attempt]: '1', ...options.labels }
      const of = await store.get('Gang', { name: options.labels?.[label.gang] ?? '', namespace: 'default' })
      const owners = of === undefined ? {} : { ownerReferences: [ownerReferenceTo(of)] }
      const made = await store.create('Pod', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'default', labels, annotations, ...owners },
        spec: {
          nodeName: node.name,
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: 30,
          containers: [{ name: 'main', command, ...options.container }],
          ...options.spec,
        },
      })
      if (made === 'exists') throw new Error(`pod ${name} exists`)
      return made
    },
    report: (name) => store.get('Report', { name: `pod.${name}`, namespace: 'default' }),
    ended: (name) =>
      until(async () => {
        const now = await pod(name)
        return now?.status?.phase === 'Succeeded' || now?.status?.phase === 'Failed' ? now : undefined
      }),
    async close() {
      await Promise.all(agents.map((agent) => agent.stop('kill', 0)))
      await sources.close()
      await rm(dir, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  return bench
}

/** The built program of `crash-child.ts`, to be killed. */
export async function crashChild(): Promise<string> {
  const program = resolve('node_modules/.cache/millwright', `agent-crash-child-${process.pid}.mjs`)
  const entryPoints = [resolve(import.meta.dirname, 'crash-child.ts')]
  await build({
    entryPoints,
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
  })
  return program
}

/** A gang of which pods are by their label: one member on a slot. */
export async function createGang(store: Store, name = 'g', more: Partial<Gang['spec']> = {}): Promise<void> {
  const spec = {
    ...more,
    attempt: 1,
    queue: 'default',
    priority: 0,
    groups: [{ name: 'worker', min: 1, max: 1, accelerators: [{ model: 'cpu', count: 1 }] }],
  }
  const metadata = { name, namespace: 'default' }
  const created = await store.create(
    'Gang',
    gang.parse({ apiVersion: millwrightVersion, kind: 'Gang', metadata, spec }),
  )
  assert(created !== 'exists', `gang ${name} is new`)
}

/** How the one container ended. */
export function terminatedOf(pod: Pod | undefined) {
  const state = pod?.status?.containerStatuses?.[0]?.state?.terminated
  expect(state).toBeDefined()
  return state
}

/** A zombie whose parent is slow to reap it is dead. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z'
  } catch {
    return existsSync('/proc/self/stat') ? false : exists(pid)
  }
}

import { mkdirSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { startDrills } from '../agent/drills.ts'
import type { Disk, Hand } from '../agent/hand.ts'
import { localCopies } from '../agent/local/copies.ts'
import { localDisk } from '../agent/local/disk.ts'
import { readExit } from '../agent/local/exit.ts'
import { localFiles } from '../agent/local/files.ts'
import { podFolder } from '../agent/local/folders.ts'
import { readPodLog } from '../agent/local/logs.ts'
import { findMachine, splitNodes, watchGpus } from '../agent/local/machine.ts'
import { bootId, isAlive } from '../agent/local/process.ts'
import { createLocalRunner } from '../agent/local/runner.ts'
import { parseClaim } from '../agent/local/shim.ts'
import { endStrays } from '../agent/local/strays.ts'
import { isLoopback } from '../api/access.ts'
import type { Identity } from '../api/certificate.ts'
import { startApi } from '../api/server.ts'
import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf, OperatingError } from '../base/errors.ts'
import { createLiveness } from '../base/liveness.ts'
import { type Log, silentLog } from '../base/log.ts'
import { createFileBlobs } from '../blob/file/blobs.ts'
import { createFileSources } from '../blob/file/sources.ts'
import { startControl } from '../control/run.ts'
import { refuseOpenDoors as refuseOpenGateway } from '../gateway/guard.ts'
import { startGateway } from '../gateway/server.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { startLedger } from '../observe/ledger.ts'
import { createMetrics } from '../observe/metrics.ts'
import type { Store } from '../store/contract.ts'
import { createLmdbStore } from '../store/lmdb/store.ts'
import { bootstrap } from './bootstrap.ts'
import { realClock } from './clock.ts'
import { readContent } from './content.ts'
import { ControlPlane } from './control-plane.ts'
import { openDecisionFile } from './decision-file.ts'
import { LocalNode } from './local-node.ts'
import { type Connection, pathsIn } from './paths.ts'
import { livePods, resumeAll, suspendAll } from './pause.ts'
import { systemRandom } from './random.ts'
import { readIdentity, type TlsConfig, watchIdentity } from './tls.ts'
import { ensureToken } from './token.ts'
import { version } from './version.ts'
import { writePrivate } from './write.ts'

export interface FactoryConfig {
  /** Folder of this factory; made when it is not there. */
  dir: string
  /** Loopback, or, with `tls` and `apiKeys`, any address. */
  host: string
  /** 0 takes a free one. */
  port: number
  gatewayPort: number
  /** Logical nodes that this machine presents itself as. */
  nodes: number
  /** CPU slots of the whole machine; default max(4, cores). */
  slots?: number | undefined
  /** Keys that the gateway asks for; none on loopback by default. */
  apiKeys?: string[] | undefined
  /** What API and gateway speak TLS with. */
  tls?: TlsConfig | undefined
  log?: Log | undefined
}

export interface Factory {
  url: string
  gatewayUrl: string
  token: string
  nodes: string[]
  /** Jobs of an earlier stop that go on now. */
  resumed: number
  /** Sentences for whoever started it. */
  warnings: string[]
  /** Pods that ran on while no factory was there and are looked after again. */
  adopted: number
  /** Suspends the work, stops everything, leaves no process behind. Whatever fails, it stops the rest; then it throws. */
  stop(options?: StopOptions): Promise<void>
}

export interface StopOptions {
  graceMs?: number | undefined
  /** Cuts every grace short: what still runs is killed at once. */
  hurry?: AbortSignal | undefined
  /** Hears, now and then, the names of the pods that have not ended yet. */
  waiting?: ((pods: readonly string[]) => void) | undefined
  /** Hears, as a sentence, what could not be done; the stop goes on. */
  warn?: ((sentence: string) => void) | undefined
}

/** A whole factory in this process: store, API, control, gateway, ledger and one agent per logical node. */
export async function startFactory(config: FactoryConfig): Promise<Factory> {
  const log = config.log ?? silentLog
  refuseOpenDoors(config)
  const identity = config.tls === undefined ? undefined : readIdentity(config.tls, config.host, realClock.now())
  const warnings = identity?.warnings ?? []
  for (const warning of warnings) log.warn(warning)
  const paths = pathsIn(config.dir)
  mkdirSync(config.dir, { recursive: true, mode: 0o700 })
  const token = ensureToken(paths.token)
  const clock = realClock
  const liveness = createLiveness(clock)
  const random = systemRandom()
  const store = await createLmdbStore({ dir: paths.store, clock, random: random.split('store'), log })
  const stops: (() => Promise<void> | void)[] = [() => store.close()]
  const hurry = new AbortController()
  let isUp = false
  try {
    await bootstrap(store)
    const blobs = createFileBlobs({ dir: paths.blobs })
    const machine = await findMachine()
    const split = { ports: portsOf(config.dir), nodes: config.nodes, slots: config.slots }
    const nodes = splitNodes(machine, split)
    const sources = createFileSources({ dir: join(paths.agent, 'sources') })
    stops.push(() => sources.close())
    const files = localFiles({ dir: paths.agent, sources })
    const copies = localCopies({ dir: join(paths.agent, 'copies'), nodes: nodes.map(({ name }) => name) })
    const disk = localDisk(paths.agent, [paths.store, paths.blobs])
    await disk.free() // a drill may have filled it, and died
    const agents = nodes.map(
      (node) =>
        new LocalNode({
          store,
          blobs,
          copies,
          clock,
          liveness,
          files,
          node,
          random: random.split(node.name),
          log: log.with({ node: node.name }),
          newRunner: () =>
            createLocalRunner({ dir: paths.agent, node: node.name, clock, log: log.with({ node: node.name }) }),
        }),
    )
    const ledger = startLedger({ store, clock, log })
    stops.push(() => ledger.stop())
    const metrics = createMetrics({ store })
    const api = await startApi({
      store,
      clock,
      log,
      token,
      host: config.host,
      port: config.port,
      tls: identity,
      hosts: identity?.names,
      ports: {
        logs: (pod, options) => readPodLog(paths.agent, pod, isOver(pod) ? { ...options, follow: false } : options),
        metrics: () => metrics.render(),
        content: (sha256, size) => readContent(paths.blobs, sha256, size),
      },
    })
    stops.push(() => api.close())
    const gateway = await startGateway({
      store,
      clock,
      log,
      random: random.split('gateway'),
      host: config.host,
      port: config.gatewayPort,
      apiKeys: config.apiKeys,
      tls: identity,
      hostNames: identity?.names,
    })
    stops.push(() => gateway.close(hurry.signal.aborted ? 0 : 5_000))
    // Agents first: what still runs from before is adopted before anyone decides about it.
    await endStrays(
      paths.agent,
      nodes.map((node) => node.name),
      new Set((await store.list('Pod')).items.map(({ metadata }) => metadata.uid ?? '')),
    )
    const adopted = await countRunning(paths.agent, store)
    stops.push(() => (isUp ? endAll(agents, hurry.signal) : leaveAll(agents)))
    for (const agent of agents) await agent.start()
    stops.push(
      watchGpus({
        clock,
        machine,
        changed(now) {
          log.warn('the cards of this machine are others than before', { problem: now.gpuProblem })
          for (const [index, node] of splitNodes(now, split).entries()) agents[index]?.describe(node)
        },
      }),
    )
    const decisions = openDecisionFile(paths.decisions, log)
    stops.push(() => decisions.close())
    const control = new ControlPlane(store, (line, life) =>
      startControl({
        decisions,
        store: line,
        blobs,
        sources,
        clock,
        liveness,
        log,
        random: random.split(`control ${life}`),
        identity: `${hostname()}-${process.pid}-${life}`,
        gatewayUrl: gateway.url,
        // The store's lock lets one process in: a leader that is gone cannot come back, so its place is taken soon.
        leaseSeconds: 4,
      }),
    )
    control.start()
    stops.push(() => control.stop())
    const drills = startDrills({
      store,
      clock,
      log,
      random: random.split('drills'),
      hand: handOf(agents, control, disk),
    })
    stops.push(() => drills.stop())
    const resumed = await resumeAll(store)
    const startedAt = new Date(clock.now()).toISOString()
    const tellWhere = (shown: Identity | undefined): void => {
      const tls = shown && { certificateAuthority: shown.cert, address: addressHere(config.host) }
      const at = { url: api.url, gatewayUrl: gateway.url, pid: process.pid, version, startedAt }
      const connection: Connection = tls === undefined ? at : { ...at, tls }
      writePrivate(paths.connection, `${JSON.stringify(connection, null, 2)}\n`)
    }
    tellWhere(identity)
    stops.push(() => rmSync(paths.connection, { force: true }))
    if (config.tls !== undefined && identity !== undefined)
      stops.push(
        watchIdentity(config.tls, config.host, identity, { clock, log }, (renewed) => {
          api.renew(renewed)
          gateway.renew(renewed)
          tellWhere(renewed)
        }),
      )
    isUp = true
    return {
      url: api.url,
      gatewayUrl: gateway.url,
      token,
      resumed,
      adopted,
      warnings,
      nodes: nodes.map((node) => node.name),
      async stop({ graceMs = 30_000, hurry: asked, waiting, warn = () => {} } = {}) {
        if (asked?.aborted === true) hurry.abort()
        asked?.addEventListener('abort', () => hurry.abort(), { once: true })
        if (waiting !== undefined) stops.splice(1, 0, tellWhoRuns(store, clock, waiting)) // until the store closes
        try {
          await drills.stop() // what stands still cannot save its work
          await suspendAll(store, clock, graceMs, hurry.signal)
        } catch (error) {
          const sentence = `what could not be suspended starts again from its last checkpoint, which counts as a restart: ${messageOf(error)}`
          log.warn(sentence)
          warn(sentence)
        }
        await unwind(stops)
      },
    }
  } catch (error) {
    await unwind(stops)
    throw error
  }
}

/** Before anything is started: which flags would close the doors that stand open. */
function refuseOpenDoors(config: FactoryConfig): void {
  const { host, tls, apiKeys } = config
  const missing = [
    ...(tls === undefined ? ['--tls-cert FILE', '--tls-key FILE'] : []),
    ...(apiKeys === undefined || apiKeys.length === 0 ? ['--api-key-file FILE'] : []),
  ]
  if (!isLoopback(host) && missing.length > 0)
    throw new OperatingError(
      'not-loopback',
      'give-up',
      `on ${host} the factory would be open to the network; give also ${missing.join(' ')}, or listen on 127.0.0.1`,
    )
  refuseOpenGateway(config)
}

/** What drills can do here. Nodes are no slower than the machine that they share, and share its disk. */
function handOf(nodes: readonly LocalNode[], control: ControlPlane, disk: Disk): Hand {
  const named = (name: string) => nodes.find((node) => node.name === name)
  return {
    runnerOf: (node) => named(node)?.runner,
    loseNode: async (node) => named(node)?.lose(),
    restoreNode: async (node) => named(node)?.restore(),
    diskOf: (node) => (named(node) === undefined ? undefined : disk),
    crashControl: () => control.crash(),
    startControl: () => control.start(),
  }
}

/** Where this machine finds what listens on `host`. */
function addressHere(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}

/** A start that fails ends nobody's work: what it found running runs on until the next. */
async function leaveAll(agents: readonly LocalNode[]): Promise<void> {
  await Promise.all(agents.map((agent) => agent.leave()))
}

/** Ends every pod: in a few seconds, or at once, also when the hurry comes only while they end. */
async function endAll(agents: readonly LocalNode[], hurry: AbortSignal): Promise<void> {
  const end = (graceSeconds: number) => Promise.all(agents.map((agent) => agent.stop(graceSeconds)))
  if (hurry.aborted) return void (await end(0))
  let atOnce: Promise<unknown> | undefined
  const kill = () => {
    atOnce = end(0)
  }
  hurry.addEventListener('abort', kill, { once: true })
  await end(5)
  hurry.removeEventListener('abort', kill)
  await atOnce
}

function tellWhoRuns(store: Store, clock: Clock, waiting: (pods: readonly string[]) => void): Cancel {
  return clock.every(250, () => {
    livePods(store).then(
      (pods) => pods.length > 0 && waiting(pods.map((pod) => pod.metadata.name)),
      () => undefined, // it is only told
    )
  })
}

/** Pods whose processes an earlier factory, killed before it could end them, has left running. */
async function countRunning(dir: string, store: Store): Promise<number> {
  let running = 0
  for (const pod of await livePods(store)) {
    const folder = podFolder(dir, pod.metadata.uid ?? '')
    const claim = parseClaim(await readFile(folder.claim, 'utf8').catch(() => ''))
    if (claim?.boot === bootId && isAlive(claim.shim) && readExit(folder) === undefined) running += 1
  }
  return running
}

/** What cannot be stopped keeps nothing else up. Throws the first that failed. */
async function unwind(stops: (() => Promise<void> | void)[]): Promise<void> {
  const failed: unknown[] = []
  for (const stop of stops.splice(0).reverse()) {
    try {
      await stop()
    } catch (error) {
      failed.push(error)
    }
  }
  if (failed.length > 0) throw failed[0]
}

/** Nothing more will be written, perhaps nothing ever was: a pod that could not start has no output to follow. */
function isOver(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

/**
 * The ports that this factory's seats take: two factories on one machine (the demo beside one's own) must not hand out
 * the same. A function of the folder, so that the next start finds its pods at their ports.
 */
function portsOf(dir: string): { from: number; to: number } {
  const blocks = 24
  const size = 500
  let hash = 0
  for (const letter of dir) hash = (Math.imul(hash, 31) + (letter.codePointAt(0) ?? 0)) >>> 0
  const from = 20_000 + (hash % blocks) * size
  return { from, to: from + size - 1 }
}

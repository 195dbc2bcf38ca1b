import { OperatingError } from '../base/errors.ts'
import { createLiveness } from '../base/liveness.ts'
import { type Log, silentLog } from '../base/log.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import type { Blobs } from '../blob/contract.ts'
import { encodeManifest } from '../blob/manifest.ts'
import { createSimulatedBlobs } from '../blob/simulated/blobs.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import type { Report } from '../model/kinds/report.ts'
import { type TrainingJob, trainingJob } from '../model/kinds/training-job.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { annotation, cpuSlot, label } from '../model/names.ts'
import { ownerReferenceTo, refOf } from '../model/refs.ts'
import { type PodWork, podWork } from '../model/work.ts'
import type { Store } from '../store/contract.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { type Control, type ControlOptions, startControl } from './run.ts'

/** A control plane over the memory store, and agents that do what a test tells them. */
export interface World {
  clock: ManualClock
  store: Store
  blobs: Blobs
  control(options?: Partial<ControlOptions>): Control
  agent: FakeAgent
  /** Whether agents say that they live while `until` moves the clock. */
  beats: boolean
  node(name: string, slots: number): Promise<void>
  job(name: string, spec?: Record<string, unknown>): Promise<TrainingJob>
  getJob(name: string): Promise<TrainingJob>
  getGang(name: string): Promise<Gang>
  /** Lets everything that is set off settle, moving the clock by `ms`. */
  settle(ms?: number): Promise<void>
  /** Lets time pass in which nodes are heard. */
  pass(seconds: number): Promise<void>
  /** Moves the clock on until the job is in that phase. */
  phase(job: string, wanted: string): Promise<void>
  /** Moves the clock on until `holds`. */
  until(holds: () => Promise<boolean> | boolean, what: string): Promise<void>
  close(): Promise<void>
}

type ReportStatus = NonNullable<Report['status']>
type Shipped = ReportStatus['checkpoints'][number]

export async function createWorld(
  options: { seed?: number; store?: (store: Store) => Store; fencing?: boolean } = {},
): Promise<World> {
  const clock = createManualClock()
  const random = seededRandom(options.seed ?? 1)
  const memory = createMemoryStore({ clock, random: random.split('store'), fencing: options.fencing ?? true })
  const store = options.store === undefined ? memory : options.store(memory)
  const blobs = createSimulatedBlobs()
  const agent = createFakeAgent(memory, blobs, clock)
  const controls: Control[] = []
  await memory.create('Queue', {
    apiVersion: millwrightVersion,
    kind: 'Queue',
    metadata: { name: 'default' },
    spec: { namespaces: ['*'], weight: 1, stopPolicy: 'None' },
  })

  async function settle(ms = 0): Promise<void> {
    for (let round = 0; round < 5; round++) await clock.advance(0)
    if (ms > 0) await clock.advance(ms)
    for (let round = 0; round < 5; round++) await clock.advance(0)
  }

  const world: World = {
    clock,
    beats: true,
    store: memory,
    blobs,
    agent,
    settle,
    async pass(seconds) {
      for (let second = 0; second < seconds; second += 5) {
        await agent.heartbeat()
        await settle(5_000)
      }
    },
    control: (more = {}) => {
      const control = startControl({
        store,
        blobs,
        clock,
        liveness: createLiveness(clock),
        random: random.split(`control ${controls.length}`),
        log: failLog,
        identity: `control-${controls.length}`,
        ...more,
      })
      controls.push(control)
      return control
    },
    node: async (name, slots) => {
      await memory.create('Node', nodeOf(name, slots, clock.now()), { withStatus: true })
    },
    job: async (name, spec = {}) => {
      const parsed = trainingJob.parse({
        apiVersion: millwrightVersion,
        kind: 'TrainingJob',
        metadata: { name, namespace: 'default' },
        spec: { command: ['train'], ...spec },
      })
      const created = await memory.create('TrainingJob', parsed)
      if (created === 'exists') throw new Error(`job ${name} exists`)
      return created
    },
    getJob: async (name) => found(await memory.get('TrainingJob', { name, namespace: 'default' }), `job ${name}`),
    getGang: async (name) => found(await memory.get('Gang', { name, namespace: 'default' }), `gang ${name}`),
    phase: (name, wanted) =>
      world.until(async () => (await world.getJob(name)).status?.phase === wanted, `${name} is ${wanted}`),
    until: async (holds, what) => {
      for (let tries = 0; tries < 400; tries++) {
        await settle()
        if (await holds()) return
        if (world.beats) await agent.heartbeat()
        await clock.advance(tries < 20 ? 5 : 250)
      }
      throw new Error(`never came: ${what}\n${await dump(memory)}`)
    },
    close: async () => {
      agent.stop()
      const stopped = Promise.race([Promise.all(controls.map((control) => control.stop())), clock.sleep(15_000)])
      for (let round = 0; round < 20; round++) await clock.advance(1_000)
      await stopped
      await memory.close()
    },
  }
  return world
}

/** Errors of the control plane are failures of the test, unless it says otherwise. */
const failLog: Log = { ...silentLog, error: (message, fields) => console.error(message, fields), with: () => failLog }

async function dump(store: Store): Promise<string> {
  const lines: string[] = []
  for (const kind of ['TrainingJob', 'Gang', 'Pod', 'Node'] as const) {
    for (const { metadata, spec, status } of (await store.list(kind)).items) {
      lines.push(
        `${kind} ${metadata.name} ${JSON.stringify({ spec, status, deleting: metadata.deletionTimestamp }).slice(0, 1500)}`,
      )
    }
  }
  return lines.join('\n')
}

export interface FakeAgent {
  /** What happens to a pod once it runs; left out: it runs on. */
  onStart(act: (pod: Pod) => Promise<void>): void
  /** What is wrong with the checkpoint that a pod was to start from: it is refused and never runs. */
  onRestore(check: (pod: Pod, restore: NonNullable<PodWork['restore']>) => string | undefined): void
  /** What a pod does between SIGTERM and the end of its object; left out: it ends at once. */
  onStop(act: (pod: Pod) => Promise<void>): void
  report(pod: string, status: Partial<ReportStatus>): Promise<void>
  /** Ends a pod as a process would end: Report first, then the phase. */
  end(
    pod: string,
    end: {
      exitCode?: number
      signal?: string
      stopped?: boolean
      output?: boolean
      atMs?: number
      logTail?: string
      reason?: string
    },
  ): Promise<void>
  /** Ships a checkpoint of the pod's rank: manifest, then the Report. */
  ship(
    pod: string,
    step: number,
    more?: Pick<Partial<Shipped>, 'stallSeconds' | 'persistSeconds' | 'copies'>,
  ): Promise<void>
  /** Names of pods that it runs. */
  running(): string[]
  /** How often a pod was started, by name: twice is a bug. */
  starts: Map<string, number>
  /** Says that its nodes live. */
  heartbeat(): Promise<void>
  /** Hears and does nothing any more, as if its machine were gone. */
  stop(): void
}

function createFakeAgent(store: Store, blobs: Blobs, clock: ManualClock): FakeAgent {
  const running = new Map<string, Pod>()
  const reports = new Map<string, ReportStatus>()
  const starts = new Map<string, number>()
  let act: (pod: Pod) => Promise<void> = async () => {}
  let stop: ((pod: Pod) => Promise<void>) | undefined
  const stopping = new Set<string>()
  let check: Parameters<FakeAgent['onRestore']>[0] = () => undefined
  let stopped = false
  const stopWatch = store.watch(
    'Pod',
    { from: '0' },
    { event: ({ type, object }) => void (type === 'DELETED' ? gone(object) : seen(object)), ended: () => {} },
  )

  async function seen(pod: Pod): Promise<void> {
    const { name } = pod.metadata
    if (
      stopped ||
      pod.spec.nodeName === undefined ||
      pod.status?.phase === 'Succeeded' ||
      pod.status?.phase === 'Failed'
    )
      return
    if (pod.metadata.deletionTimestamp !== undefined) return terminate(pod)
    if (running.get(name)?.metadata.uid === pod.metadata.uid) return
    running.set(name, pod)
    reports.set(name, { checkpoints: [] })
    const { restore } = workOf(pod)
    const problem = restore === undefined ? undefined : check(pod, restore)
    if (restore !== undefined && problem !== undefined) return refuse(pod, restore, problem)
    starts.set(name, (starts.get(name) ?? 0) + 1)
    await report(name, { rank: rankOf(pod), pid: 1, startedAtMs: clock.now() })
    await store.patch('Pod', refOf(pod), { status: { phase: 'Running' } }, { status: true, uid: pod.metadata.uid })
    await act(pod)
  }

  async function refuse(pod: Pod, { attempt, step }: { attempt: number; step: number }, message: string) {
    const { name } = pod.metadata
    const reason = 'CheckpointDamaged'
    const ended = { atMs: clock.now(), exitCode: 128, reason, message, byAgent: false }
    await report(name, { rank: rankOf(pod), damaged: { attempt, step, message }, ended })
    running.delete(name)
    const terminated = { exitCode: 128, reason, message }
    const containerStatuses = [{ name: 'main', ready: false, restartCount: 0, state: { terminated } }]
    const status = { phase: 'Failed', reason, message, containerStatuses }
    await store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
  }

  async function terminate(pod: Pod): Promise<void> {
    const { uid = '' } = pod.metadata
    if (stopping.has(uid)) return
    if (stop !== undefined) {
      stopping.add(uid)
      await stop(pod)
      stopping.delete(uid)
    }
    if (running.get(pod.metadata.name)?.metadata.uid === pod.metadata.uid)
      await end(pod.metadata.name, { signal: 'SIGTERM' }, true)
    await store.delete('Pod', refOf(pod), { uid: pod.metadata.uid, gracePeriodSeconds: 0 })
  }

  function gone(pod: Pod): void {
    if (running.get(pod.metadata.name)?.metadata.uid === pod.metadata.uid) running.delete(pod.metadata.name)
  }

  async function report(name: string, status: Partial<ReportStatus>): Promise<void> {
    const pod = running.get(name)
    if (pod === undefined || stopped) return
    const now = { checkpoints: [], ...reports.get(name), ...status, at: new Date(clock.now()).toISOString() }
    reports.set(name, now)
    const ref = { name: `pod.${name}`, namespace: pod.metadata.namespace }
    const labels = Object.fromEntries(
      Object.entries(pod.metadata.labels ?? {}).filter(
        ([key]) => key === label.job || key === label.gang || key === label.attempt,
      ),
    )
    const making = store.create(
      'Report',
      {
        apiVersion: millwrightVersion,
        kind: 'Report',
        metadata: { ...ref, labels, ownerReferences: [ownerReferenceTo(pod)] },
        spec: {
          pod: { name, uid: pod.metadata.uid ?? '' },
          gang: pod.metadata.labels?.[label.gang],
          attempt: Number(pod.metadata.labels?.[label.attempt]),
          node: pod.spec.nodeName,
        },
        status: now,
      },
      { withStatus: true },
    )
    const created = await making.catch(leaveAlone)
    // What is undefined is not told any more.
    const told = Object.fromEntries(Object.entries(now).map(([field, value]) => [field, value ?? null]))
    if (created === 'exists') await store.patch('Report', ref, { status: told }, { status: true })
  }

  async function end(name: string, how: Parameters<FakeAgent['end']>[1], byAgent = false): Promise<void> {
    const pod = running.get(name)
    if (pod === undefined) return
    const { exitCode, signal, output, stopped: asked, logTail } = how
    const good = exitCode === 0
    const reason = how.reason ?? (good ? 'Completed' : 'Error')
    const message = signal === undefined ? `exit code ${exitCode}` : `killed by ${signal}`
    await report(name, {
      ended: {
        atMs: how.atMs ?? clock.now(),
        exitCode: exitCode ?? 137,
        reason,
        message,
        byAgent,
        ...(signal === undefined ? {} : { signal }),
      },
      ...(asked === true ? { stopped: true } : {}),
      ...(logTail === undefined ? {} : { logTail }),
      ...(output === true ? { output: { manifest: `outputs/${name}`, digest: 'd', bytes: 1, files: 1 } } : {}),
    })
    running.delete(name)
    const status = {
      phase: good ? 'Succeeded' : 'Failed',
      containerStatuses: [
        {
          name: 'main',
          ready: false,
          restartCount: 0,
          state: {
            terminated: { exitCode: exitCode ?? 137, reason, message, finishedAt: new Date(clock.now()).toISOString() },
          },
        },
      ],
    }
    await store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
  }

  const ship: FakeAgent['ship'] = async (name, step, more = { stallSeconds: 0.1 }) => {
    const pod = running.get(name)
    if (pod === undefined) return
    const rank = rankOf(pod)
    const manifest = `${workOf(pod).checkpoints}/step-${step}/rank-${rank}`
    const { bytes, digest } = encodeManifest({
      version: 1,
      files: [],
      step,
      rank,
      attempt: Number(pod.metadata.labels?.[label.attempt]),
    })
    await blobs.put(manifest, bytes)
    const shipped = { step, rank, manifest, digest, bytes: 10, ...more, writtenAtMs: clock.now() }
    const before = reports.get(name)
    await report(name, {
      step,
      stepAtMs: clock.now(),
      stepSeconds: 0.1,
      checkpoints: [...(before?.checkpoints ?? []), shipped],
    })
  }

  return {
    onStart: (run) => {
      act = run
    },
    onRestore: (run) => {
      check = run
    },
    onStop: (run) => {
      stop = run
    },
    report,
    end: (name, how) => end(name, how),
    ship,
    running: () => [...running.keys()].sort(),
    starts,
    heartbeat: async () => {
      if (stopped) return
      for (const node of (await store.list('Node')).items) {
        const others = node.status?.conditions?.filter(({ type }) => type !== 'Ready') ?? []
        const conditions = [...readyAt(clock.now()), ...others]
        await store.patch('Node', { name: node.metadata.name }, { status: { conditions } }, { status: true })
      }
    },
    stop: () => {
      stopped = true
      stopWatch()
    },
  }
}

/** As the agent's: in a namespace that is being deleted nobody waits for a report. */
function leaveAlone(error: unknown): 'gone' {
  if (error instanceof OperatingError && (error.code === 'terminating' || error.code === 'not-found')) return 'gone'
  throw error
}

function workOf(pod: Pod): PodWork {
  return podWork.parse(JSON.parse(pod.metadata.annotations?.[annotation.work] ?? '{}'))
}

function rankOf(pod: Pod): number {
  return Number(pod.metadata.annotations?.[annotation.rank])
}

function nodeOf(name: string, slots: number, nowMs: number): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: { [label.pool]: 'local' },
      annotations: { [annotation.nodeDevices]: '[]', [annotation.portRange]: '20000-20999' },
    },
    spec: {},
    status: { allocatable: { cpu: '8', memory: '32Gi', [cpuSlot]: String(slots) }, conditions: readyAt(nowMs) },
  }
}

function readyAt(nowMs: number) {
  return [
    {
      type: 'Ready',
      status: 'True' as const,
      reason: 'AgentReady',
      message: '',
      lastHeartbeatTime: new Date(nowMs).toISOString(),
    },
  ]
}

function found<T>(object: T | undefined, what: string): T {
  if (object === undefined) throw new Error(`${what} is not there`)
  return object
}

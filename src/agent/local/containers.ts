import { type ExecFileException, execFile } from 'node:child_process'
import { chmodSync, lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { getgid, getuid } from 'node:process'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Notice, PodEnd, PodRun, ProbeRun, Refusal, RunningPod } from '../contract.ts'
import { type PodFolder, podFolder } from './folders.ts'
import { recordOutOfMemory } from './memory.ts'

export interface ContainersOptions {
  dir: string
  node: string
  clock: Clock
  log: Log
  /** The client program. */
  docker?: string
  /** The agent's own: DOCKER_HOST and its like say which daemon is meant. Default the process' environment. */
  environment?: NodeJS.ProcessEnv
}

/**
 * Pods as containers, through the `docker` client: it forwards output and SIGTERM; the rest is done around it.
 */
export function createContainers({
  dir,
  node,
  clock,
  log,
  docker = 'docker',
  environment = process.env,
}: ContainersOptions) {
  /** Why Docker does not answer; empty: it does. */
  let answer: Promise<string> | undefined
  const around = new Map<string, RunningPod>()
  const begun = new Set<string>()
  /** Of pods that run as processes all the same: why. */
  const ignored = new Map<string, string>()
  const ended = new Set<string>()
  /** Whether commands inside can be bounded there. */
  const endsItself = new Map<string, Promise<boolean>>()
  const closed = new AbortController()
  const clientEnv = clientEnvironment(environment)
  const used = join(dir, 'containers')
  const marker = (uid: string): string => join(podFolder(dir, uid).root, 'container')
  /** Found by their labels, at the start. */
  const listed = new Set<string>()
  const has = (uid: string): boolean => exists(marker(uid)) || listed.has(uid)
  const call = (args: string[], timeoutMs: number): Promise<Reply> => ask(docker, args, environment, timeoutMs)

  /** The pod as a `docker run`; undefined: no Docker here, so the command runs as a process, and its log says so. */
  async function commandFor(run: PodRun): Promise<PodRun | Refusal | undefined> {
    answer ??= call(['version', '--format', '{{.Server.Version}}'], 5000).then((reply) => (reply.ok ? '' : reply.why))
    const problem = await answer
    if (problem !== '') {
      answer = undefined // it may be started later
      if (run.isArguments === true || run.command.length === 0)
        return refuse(
          `the pod has no command, and image ${run.image} cannot be run for its own: ${problem}; start Docker, or give the command`,
        )
      sayIgnored(run, problem)
      ignored.set(run.uid, `image ${run.image} is ignored, the command runs as a process of ${node}: ${problem}`)
      return undefined
    }
    const name = Object.keys(run.env).find((each) => each.startsWith('DOCKER_'))
    if (name !== undefined)
      return refuse(`environment variable ${name} would be read by Docker itself; give it another name`)
    const folder = podFolder(dir, run.uid)
    mkdirSync(folder.job, { recursive: true, mode: 0o700 })
    if (getuid?.() === 0) openToAll(folder)
    writeFileSync(used, '', { mode: 0o600 })
    writeFileSync(marker(run.uid), nameOf(run.uid), { mode: 0o600 })
    const command = [docker, ...dockerRun(run, folder, labels(dir, node))]
    // The daemon holds the limits, not what holds the client.
    return {
      ...run,
      command,
      env: envOfClient(run.env, clientEnv),
      workingDir: undefined,
      limits: undefined,
      volumes: [],
    }
  }

  /** The first line of the pod's log, which whoever started it reads. A pod that is started again has it already. */
  function sayIgnored(run: PodRun, problem: string): void {
    const { root, log } = podFolder(dir, run.uid)
    mkdirSync(root, { recursive: true, mode: 0o700 })
    const line = `millwright: image ${run.image} is ignored, the command runs as a process of ${node}: ${problem}\n`
    if (!exists(log)) writeFileSync(log, line, { mode: 0o600 })
  }

  /** A client that is gone takes its container with it, and the daemon knows what the client cannot: why it was killed. */
  function wrap(uid: string, client: RunningPod): RunningPod {
    const known = around.get(uid)
    if (known !== undefined) return known
    const name = nameOf(uid)
    const stillness = stillnessOf(name)
    const pod: RunningPod = {
      pid: client.pid,
      startedAtMs: client.startedAtMs,
      adopted: client.adopted,
      isTorn: client.isTorn,
      ended: client.ended.then(async (end) => {
        ended.add(uid)
        const seen = await inspectEnd(uid, end)
        if (!(await removeContainer(uid))) await removeOnceItCan(uid)
        // Without the marker, whoever finds the pod again need not ask Docker about it.
        rmSync(marker(uid), { force: true })
        around.delete(uid)
        return seen
      }),
      signal(signal) {
        if (signal === 'SIGSTOP' || signal === 'SIGCONT') stillness.want(signal === 'SIGSTOP')
        else void endContainer(name, signal).then(() => client.signal(signal))
      },
    }
    around.set(uid, pod)
    return pod
  }

  /**
   * Whether a container is to stand still. Docker is asked for one thing at a time, since of two that are under way either
   * may come first; and what was wanted meanwhile and is not any more is never asked.
   */
  function stillnessOf(name: string): { want(isStill: boolean): void } {
    let wanted: boolean | undefined
    let isFollowing = false
    async function follow(): Promise<void> {
      for (let is: boolean | undefined; is !== wanted; ) {
        is = wanted
        await call([is === true ? 'pause' : 'unpause', name], 30_000)
      }
      isFollowing = false
    }
    return {
      want(isStill) {
        wanted = isStill
        if (isFollowing) return
        isFollowing = true
        void follow()
      },
    }
  }

  /** A process that gets a signal of its own is told by the client; one that is killed, by the daemon before. */
  async function endContainer(name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (signal === 'SIGKILL') await call(['kill', name], 30_000)
  }

  async function inspectEnd(uid: string, end: PodEnd): Promise<PodEnd> {
    if (end.exitCode === 0) return end
    const format = '{{.State.OOMKilled}} {{.HostConfig.Memory}}'
    const reply = await call(['inspect', '--format', format, nameOf(uid)], 10_000)
    const [killed, limit] = reply.output.trim().split(' ')
    if (!reply.ok || killed !== 'true') return end
    const outOfMemory = Number(limit) > 0 ? { limitBytes: Number(limit) } : {}
    recordOutOfMemory(podFolder(dir, uid), outOfMemory) // the container is about to go, and its agent may, too
    return { ...end, outOfMemory }
  }

  /** Whether it is gone. */
  async function removeContainer(uid: string): Promise<boolean> {
    const reply = await call(['rm', '--force', '--volumes', nameOf(uid)], 30_000)
    return reply.ok || /no such container/i.test(reply.why)
  }

  /** Until then it may compute on, on devices that nobody else must get. Whoever has let go is not told. */
  async function removeOnceItCan(uid: string): Promise<void> {
    log.warn('a container could not be removed; this is tried until Docker does it', { container: nameOf(uid) })
    for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 5000)) {
      await clock.sleep(waitMs, closed.signal)
      if (closed.signal.aborted) return await new Promise<never>(() => {})
      if (await removeContainer(uid)) return
    }
  }

  /**
   * A look at a container that runs. While its image is being fetched there is nothing to look at yet, and that it has
   * ended is for its end to say: neither is the probe's failure, so the answer waits, in the second case for ever.
   */
  async function probeRunning(run: ProbeRun, probe: (run: ProbeRun) => Promise<string | undefined>) {
    const { containerId } = podFolder(dir, run.uid)
    for (let waitMs = 20; has(run.uid) && !ended.has(run.uid); waitMs = Math.min(waitMs * 2, 500)) {
      if (!begun.has(run.uid) && exists(containerId) && (await isRunning(run.uid))) begun.add(run.uid)
      if (begun.has(run.uid)) {
        const wrong = await probe(await inside(run))
        if (wrong === undefined) return undefined
        await clock.sleep(endingMs)
        if (!ended.has(run.uid) && (await isRunning(run.uid))) return wrong
      }
      await clock.sleep(waitMs)
    }
    return await new Promise<never>(() => {})
  }

  async function isRunning(uid: string): Promise<boolean> {
    return (await call(['inspect', '--format', '{{.State.Running}}', nameOf(uid)], 10_000)).output.trim() === 'true'
  }

  /**
   * A command's environment is the container's own. What a `docker exec` started goes on inside when its client is gone,
   * so the image's own `timeout` ends it there. (An image that has none has to bear what its probes leave.)
   */
  async function inside(run: ProbeRun): Promise<ProbeRun> {
    if (run.probe.exec === undefined) return run
    const exec = ['exec', nameOf(run.uid)]
    const within = (seconds: number) => ['timeout', '-s', 'KILL', String(seconds)]
    const ends = endsItself.get(run.uid) ?? call([...exec, ...within(1), 'true'], 10_000).then((reply) => reply.ok)
    endsItself.set(run.uid, ends)
    const through = [docker, ...exec, ...((await ends) ? within(Math.ceil(run.timeoutMs / 1000)) : [])]
    return { ...run, env: clientEnv, through }
  }

  return {
    has,
    commandFor,
    /** Once for each pod. */
    ignoredImage(uid: string): Notice | undefined {
      const message = ignored.get(uid)
      ignored.delete(uid)
      return message === undefined ? undefined : { type: 'Warning', reason: 'ImageIgnored', message }
    },
    around: wrap,
    async remove(uid: string): Promise<void> {
      around.delete(uid)
      if (!(await removeContainer(uid))) void removeOnceItCan(uid)
      begun.delete(uid)
      endsItself.delete(uid)
      ended.delete(uid)
      listed.delete(uid)
    },
    probe: probeRunning,
    close: () => closed.abort(),
    /** The uids of this node's containers, also of those whose folder is gone. */
    async known(): Promise<string[]> {
      if (!exists(used)) return []
      const filters = labels(dir, node).flatMap((label) => ['--filter', `label=${label}`])
      const reply = await call(['ps', '--all', ...filters, '--format', '{{.Names}}'], 10_000)
      const names = reply.output.split('\n').filter((name) => name.startsWith(nameOf('')))
      for (const name of names) listed.add(name.slice(nameOf('').length))
      return [...listed]
    },
  }
}

/** What a container that is ending takes with it fails a moment before Docker says so. */
const endingMs = 300

/** For pods that no agent will look for: ends the container of a pod's folder, where it has one. */
export async function endContainer(dir: string, uid: string): Promise<void> {
  if (!exists(join(podFolder(dir, uid).root, 'container'))) return
  await ask('docker', ['rm', '--force', '--volumes', nameOf(uid)], process.env, 30_000)
}

/** Two factories of one machine may call their nodes the same: the folder tells them apart. */
function labels(dir: string, node: string): string[] {
  return [`millwright.dev/agent=${resolve(dir)}`, `millwright.dev/node=${node}`]
}

/** What tells the client of its daemon and its registries, wherever the pod's HOME may be. */
function clientEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const { HOME } = environment
  const found: Record<string, string> = HOME === undefined ? {} : { DOCKER_CONFIG: join(HOME, '.docker') }
  for (const [name, value] of Object.entries(environment))
    if (name.startsWith('DOCKER_') && value !== undefined) found[name] = value
  return found
}

/** Variables that mean the container and would lead the client astray: these go in by value. */
const byValue: readonly string[] = ['PATH', 'HOME']

function envOfClient(env: Record<string, string>, own: Record<string, string>): Record<string, string> {
  const passed = Object.entries(env).filter(([name]) => !byValue.includes(name))
  return { ...Object.fromEntries(passed), ...own }
}

/** An image may run as a user of its own, who must get at the job's folder. Nobody else does: it lies below ours. */
function openToAll(folder: PodFolder): void {
  chmodSync(folder.job, 0o777)
  const open = (path: string): void => {
    const info = lstatSync(path, { throwIfNoEntry: false })
    if (info === undefined || info.isSymbolicLink()) return
    chmodSync(path, info.isDirectory() ? 0o777 : info.mode | 0o666)
    if (info.isDirectory()) for (const name of readdirSync(path)) open(join(path, name))
  }
  for (const path of [folder.checkpoints, folder.output]) open(path)
}

function nameOf(uid: string): string {
  return `millwright-${uid}`
}

/** Values of variables are taken from the client's environment, by name: they show in no process list and no file. */
function dockerRun(run: PodRun, folder: PodFolder, labelled: readonly string[]): string[] {
  const { env, limits, image = '', command, isArguments } = run
  const gpus = env['CUDA_VISIBLE_DEVICES']
  const [program, ...rest] = command
  const ownEntry = isArguments !== true && program !== undefined
  return [
    'run',
    ...['--name', nameOf(run.uid), '--init', '--network', 'host', '--cidfile', folder.containerId],
    ...['--log-driver', 'none'], // the client writes the one copy, which is kept bounded
    ...[`millwright.dev/pod=${run.namespace}/${run.name}`, ...labelled].flatMap((label) => ['--label', label]),
    ...(getuid !== undefined && getgid !== undefined && getuid() !== 0 ? ['--user', `${getuid()}:${getgid()}`] : []),
    ...(gpus === undefined || gpus === '' ? [] : ['--gpus', `"device=${gpus}"`]),
    ...(limits?.memoryBytes === undefined ? [] : memoryLimit(limits.memoryBytes)),
    ...(limits?.cpuMilli === undefined ? [] : ['--cpus', String(limits.cpuMilli / 1000)]),
    ...Object.entries(env).flatMap(([name, value]) => ['--env', byValue.includes(name) ? `${name}=${value}` : name]),
    ...mountsOf(run, folder).flatMap((mount) => ['--volume', mount]),
    ...['--workdir', run.workingDir ?? folder.job],
    ...(ownEntry ? ['--entrypoint', program] : []),
    image,
    ...(ownEntry ? rest : command),
  ]
}

/** With as much for memory and swap together there is no swap to stretch it. */
function memoryLimit(bytes: number): string[] {
  return ['--memory', String(bytes), '--memory-swap', String(bytes)]
}

function mountsOf(run: PodRun, folder: PodFolder): string[] {
  const mounts = [`${folder.job}:${folder.job}`, ...linkedData(folder).map((path) => `${path}:${path}:ro`)]
  for (const [index, { mountPath, hostPath, readOnly }] of run.volumes.entries()) {
    const source = hostPath ?? join(folder.root, 'volumes', String(index))
    if (hostPath === undefined) mkdirSync(source, { recursive: true, mode: 0o777 })
    mounts.push(`${source}:${mountPath}${readOnly ? ':ro' : ''}`)
  }
  return mounts
}

/** A local dataset or model is linked, not copied: what the links point at must be there inside, too. */
function linkedData(folder: PodFolder): string[] {
  const linkOf = (path: string): string[] => {
    try {
      return [resolve(folder.job, readlinkSync(path))]
    } catch {
      return []
    }
  }
  return [folder.data, folder.model].flatMap((path) => {
    const whole = linkOf(path)
    return whole.length > 0 || !exists(path) ? whole : readdirSync(path).flatMap((name) => linkOf(join(path, name)))
  })
}

interface Reply {
  ok: boolean
  output: string
  /** Where it is not ok: what the client says of it, on one line. */
  why: string
}

function ask(program: string, args: string[], env: NodeJS.ProcessEnv, timeoutMs: number): Promise<Reply> {
  return new Promise((done) => {
    execFile(program, args, { timeout: timeoutMs, env }, (error, stdout, stderr) =>
      done({ ok: error === null, output: stdout, why: error === null ? '' : whyFailed(program, error, stderr) }),
    )
  })
}

function whyFailed(program: string, { code, killed }: ExecFileException, stderr: string): string {
  if (code === 'ENOENT') return `no program ${program} is here`
  if (killed === true) return 'Docker does not answer in time'
  return stderr.trim().split('\n').at(-1)?.slice(0, 300) || 'Docker does not answer'
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}

function refuse(message: string): Refusal {
  return { refused: true, reason: 'Unsupported', message }
}

import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { getgid, getuid } from 'node:process'
import type { PodEnd, PodRun, PodSignal, ProbeRun, Refusal, RunningPod } from '../contract.ts'
import { type PodFolder, podFolder } from './folders.ts'

export interface ContainersOptions {
  dir: string
  node: string
  /** The client program. */
  docker?: string
}

/** Pods as containers, through the `docker` client: it forwards output and SIGTERM; the rest is done around it. */
export function createContainers({ dir, node, docker = 'docker' }: ContainersOptions) {
  let answer: Promise<boolean> | undefined
  const around = new Map<string, RunningPod>()
  const marker = (uid: string): string => join(podFolder(dir, uid).root, 'container')
  const has = (uid: string): boolean => statSync(marker(uid), { throwIfNoEntry: false }) !== undefined

  /** The pod as a `docker run`; undefined: no Docker here, so the command runs as a process. */
  async function commandFor(run: PodRun): Promise<PodRun | Refusal | undefined> {
    answer ??= call(docker, ['version', '--format', '{{.Server.Version}}'], 5000).then((reply) => reply.ok)
    if (!(await answer)) {
      answer = undefined // it may be started later
      return undefined
    }
    const name = Object.keys(run.env).find((each) => each.startsWith('DOCKER_'))
    if (name !== undefined)
      return refuse(`environment variable ${name} would be read by Docker itself; give it another name`)
    const folder = podFolder(dir, run.uid)
    mkdirSync(folder.job, { recursive: true, mode: 0o700 })
    writeFileSync(marker(run.uid), nameOf(run.uid), { mode: 0o600 })
    return { ...run, command: [docker, ...dockerRun(run, folder, node)], workingDir: undefined, volumes: [] }
  }

  /** A client that is gone takes its container with it, and the daemon knows what the client cannot: why it was killed. */
  function wrap(uid: string, client: RunningPod): RunningPod {
    const known = around.get(uid)
    if (known !== undefined) return known
    const name = nameOf(uid)
    const pod: RunningPod = {
      pid: client.pid,
      startedAtMs: client.startedAtMs,
      adopted: client.adopted,
      ended: client.ended.then(async (end) => {
        const seen = await inspectEnd(docker, name, end)
        await remove(uid)
        return seen
      }),
      signal(signal) {
        void signalContainer(docker, name, signal).then(() => {
          if (signal === 'SIGTERM' || signal === 'SIGKILL') client.signal(signal)
        })
      },
    }
    around.set(uid, pod)
    return pod
  }

  async function remove(uid: string): Promise<void> {
    around.delete(uid)
    await call(docker, ['rm', '--force', '--volumes', nameOf(uid)], 30_000)
  }

  return {
    has,
    commandFor,
    around: wrap,
    remove,
    probeInside(run: ProbeRun): ProbeRun {
      const { exec } = run.probe
      if (exec === undefined) return run
      return { ...run, probe: { ...run.probe, exec: { command: [docker, 'exec', nameOf(run.uid), ...exec.command] } } }
    },
  }
}

function nameOf(uid: string): string {
  return `millwright-${uid}`
}

/** Values of variables are taken from the client's environment, by name: they show in no process list and no file. */
function dockerRun(run: PodRun, folder: PodFolder, node: string): string[] {
  const { env, limits, image = '', command, isArguments } = run
  const gpus = env['CUDA_VISIBLE_DEVICES']
  const [program, ...rest] = command
  const ownEntry = isArguments !== true && program !== undefined
  return [
    'run',
    ...['--name', nameOf(run.uid), '--init', '--network', 'host'],
    ...['--label', `millwright.dev/pod=${run.namespace}/${run.name}`, '--label', `millwright.dev/node=${node}`],
    ...(getuid !== undefined && getgid !== undefined && getuid() !== 0 ? ['--user', `${getuid()}:${getgid()}`] : []),
    ...(gpus === undefined || gpus === '' ? [] : ['--gpus', `"device=${gpus}"`]),
    ...(limits?.memoryBytes === undefined ? [] : ['--memory', String(limits.memoryBytes)]),
    ...(limits?.cpuMilli === undefined ? [] : ['--cpus', String(limits.cpuMilli / 1000)]),
    ...Object.keys(env).flatMap((name) => ['--env', name]),
    ...mountsOf(run, folder).flatMap((mount) => ['--volume', mount]),
    ...['--workdir', run.workingDir ?? folder.job],
    ...(ownEntry ? ['--entrypoint', program] : []),
    image,
    ...(ownEntry ? rest : command),
  ]
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

/** A dataset is linked, not copied: what the links point at must be there inside, too. */
function linkedData(folder: PodFolder): string[] {
  const linkOf = (path: string): string[] => {
    try {
      return [resolve(folder.job, readlinkSync(path))]
    } catch {
      return []
    }
  }
  const whole = linkOf(folder.data)
  if (whole.length > 0) return whole
  try {
    return readdirSync(folder.data).flatMap((name) => linkOf(join(folder.data, name)))
  } catch {
    return []
  }
}

async function signalContainer(docker: string, name: string, signal: PodSignal): Promise<void> {
  const commands = { SIGSTOP: ['pause', name], SIGCONT: ['unpause', name], SIGKILL: ['kill', name], SIGTERM: undefined }
  const command = commands[signal]
  if (command !== undefined) await call(docker, command, 30_000)
}

async function inspectEnd(docker: string, name: string, end: PodEnd): Promise<PodEnd> {
  const reply = await call(docker, ['inspect', '--format', '{{.State.OOMKilled}}', name], 10_000)
  return reply.ok && reply.output.trim() === 'true' ? { ...end, outOfMemory: {} } : end
}

function call(program: string, args: string[], timeoutMs: number): Promise<{ ok: boolean; output: string }> {
  return new Promise((done) => {
    execFile(program, args, { timeout: timeoutMs }, (error, stdout) => done({ ok: error === null, output: stdout }))
  })
}

function refuse(message: string): Refusal {
  return { refused: true, reason: 'Unsupported', message }
}

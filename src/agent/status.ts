import { setCondition } from '../model/conditions.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { formatBytes } from '../model/quantity.ts'
import type { OutOfMemory, PodEnd } from './contract.ts'

export type PodStatus = NonNullable<Pod['status']>

/** Where a pod stands, as its agent knows it. */
export type Stage =
  | { kind: 'preparing'; message: string; reason?: string | undefined }
  | { kind: 'running'; startedAtMs: number; ready: boolean; notReady?: string | undefined }
  | { kind: 'ended'; startedAtMs?: number | undefined; end: PodEnd; cause: Cause }
  | { kind: 'refused'; atMs: number; reason: string; message: string }

export interface Cause {
  reason: string
  message: string
  /** The agent ended it (deletion, probe), not the job itself. */
  byAgent: boolean
}

/** The status that a kubelet would write. `undefined` inside a state removes it when patched. */
export function statusOf(pod: Pod, stage: Stage, hostIP: string, nowMs: number): PodStatus {
  const phase = phaseOf(stage)
  const running = stage.kind === 'running'
  const over = phase === 'Succeeded' || phase === 'Failed'
  const ready = running && stage.ready
  const notReady = over ? 'PodCompleted' : 'ContainersNotReady'
  const why = running ? (stage.notReady ?? '') : ''
  let conditions = setCondition(
    pod.status?.conditions,
    { type: 'PodScheduled', status: 'True', reason: 'Scheduled' },
    nowMs,
  )
  for (const type of ['Initialized', 'ContainersReady', 'Ready']) {
    const holds = type === 'Initialized' ? stage.kind !== 'preparing' && stage.kind !== 'refused' : ready
    const reason = holds ? type : type === 'Initialized' ? 'Preparing' : notReady
    conditions = setCondition(
      conditions,
      { type, status: holds ? 'True' : 'False', reason, message: holds ? '' : why },
      nowMs,
    )
  }
  const container = pod.spec.containers[0]
  const top = stage.kind === 'refused' ? stage : stage.kind === 'ended' && stage.cause.byAgent ? stage.cause : undefined
  return {
    phase,
    conditions,
    hostIP,
    podIP: hostIP,
    startTime: pod.status?.startTime ?? iso(startOf(stage) ?? nowMs),
    ...(top === undefined ? {} : { reason: top.reason, message: top.message }),
    containerStatuses: [
      {
        name: container?.name ?? 'main',
        image: container?.image ?? '',
        imageID: '',
        ready,
        started: running,
        restartCount: 0,
        state: stateOf(stage),
      },
    ],
  }
}

type ContainerState = NonNullable<NonNullable<PodStatus['containerStatuses']>[number]['state']>

function stateOf(stage: Stage): ContainerState {
  switch (stage.kind) {
    case 'preparing':
      return { waiting: { reason: stage.reason ?? 'ContainerCreating', message: stage.message } }
    case 'running':
      return { running: { startedAt: iso(stage.startedAtMs) } }
    case 'refused': {
      const at = iso(stage.atMs)
      return {
        terminated: { exitCode: 128, reason: stage.reason, message: stage.message, startedAt: at, finishedAt: at },
      }
    }
    case 'ended': {
      const { end, cause } = stage
      const signal = end.signal === undefined ? undefined : (end.exitCode ?? 128) - 128
      return {
        terminated: {
          exitCode: end.exitCode ?? 137,
          ...(signal === undefined || signal <= 0 ? {} : { signal }),
          reason: cause.reason,
          message: cause.message,
          startedAt: iso(stage.startedAtMs ?? end.atMs),
          finishedAt: iso(end.atMs),
        },
      }
    }
  }
}

function phaseOf(stage: Stage): 'Pending' | 'Running' | 'Succeeded' | 'Failed' {
  switch (stage.kind) {
    case 'preparing':
      return 'Pending'
    case 'running':
      return 'Running'
    case 'refused':
      return 'Failed'
    case 'ended':
      return isGood(stage.end) && stage.cause.reason === 'Completed' ? 'Succeeded' : 'Failed'
  }
}

/** As the store has it. */
export function isOver({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
}

export function isGood(end: PodEnd): boolean {
  return end.exitCode === 0 && end.lost === undefined
}

function startOf(stage: Stage): number | undefined {
  if (stage.kind === 'running' || stage.kind === 'ended') return stage.startedAtMs
  return stage.kind === 'refused' ? stage.atMs : undefined
}

/** How it ended, in words: what a person wants to know before opening the log. */
export function causeOf(end: PodEnd): Cause {
  const say = (reason: string, message: string): Cause => ({ reason, message, byAgent: false })
  if (end.lost !== undefined) return say('Lost', `nobody saw it end: ${end.lost}`)
  if (end.outOfMemory !== undefined) return say('OOMKilled', memoryMessage(end.outOfMemory))
  if (end.exitCode === 0) return say('Completed', '')
  const what = end.signal === undefined ? exitMessage(end.exitCode ?? 1) : signalMessage(end.signal)
  return say('Error', end.diskFull === undefined ? what : `${what}; ${fullMessage(end.diskFull)}`)
}

function fullMessage(dir: string): string {
  return `the disk that holds ${dir} was full then: free some space there`
}

function memoryMessage({ limitBytes, seenBytes }: OutOfMemory): string {
  if (limitBytes === undefined)
    return 'the kernel killed it because the machine ran out of memory; use less memory or a larger node'
  const limit = `its memory limit of ${formatBytes(limitBytes)}`
  const what = seenBytes === undefined ? `it reached ${limit}` : `it held ${readable(seenBytes)}, more than ${limit}`
  return `${what}, and was killed; raise resources.limits.memory or use less`
}

function readable(bytes: number): string {
  return bytes < 10 << 20 ? `${Math.ceil(bytes / 1024)}Ki` : `${Math.ceil(bytes / (1 << 20))}Mi`
}

function signalMessage(signal: string): string {
  switch (signal) {
    case 'SIGKILL':
      return 'killed by SIGKILL, which it did not get from its agent: somebody else ended it'
    case 'SIGSEGV':
    case 'SIGBUS':
      return `crashed with ${signal}: the program touched memory that is not its own`
    case 'SIGABRT':
      return 'aborted itself (SIGABRT): an assertion or the runtime gave up; see the log'
    case 'SIGILL':
      return 'crashed with SIGILL: it was built for another processor'
    case 'SIGTERM':
    case 'SIGINT':
      return `ended by ${signal}, which it did not get from its agent`
    default:
      return `ended by ${signal}`
  }
}

function exitMessage(code: number): string {
  if (code === 125) return 'exit code 125: of a container, that Docker could not start it; see the log'
  if (code === 126) return 'exit code 126: the command was found but is not executable'
  if (code === 127) return 'exit code 127: a shell did not find a command; see the log'
  return `exit code ${code}`
}

const iso = (ms: number): string => new Date(ms).toISOString()

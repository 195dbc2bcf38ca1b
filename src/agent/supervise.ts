import type { Cancel, Clock } from '../base/clock.ts'
import { isDiskFull, isWaitedFor, messageOf, OperatingError } from '../base/errors.ts'
import type { Listening, Liveness } from '../base/liveness.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Blobs } from '../blob/contract.ts'
import type { Container, Pod } from '../model/kinds/kubernetes.ts'
import { annotation, label } from '../model/names.ts'
import { bytesOf, milliOf } from '../model/quantity.ts'
import { stepsSign } from '../model/signs.ts'
import { type PodWork, readWork } from '../model/work.ts'
import type { Store } from '../store/contract.ts'
import { aborted } from './aborted.ts'
import type {
  Copies,
  Notice,
  PodBeside,
  PodEnd,
  PodFiles,
  PodPlace,
  PodRun,
  PodRunner,
  PodSignal,
  Prepared,
  Refusal,
  RunningPod,
  Word,
} from './contract.ts'
import { resolveCommand } from './env.ts'
import { startProbes } from './probes.ts'
import { createProgress } from './progress.ts'
import { createPodReport, firstMs } from './report.ts'
import { type Cause, causeOf, isGood, isOver, type Stage, statusOf } from './status.ts'
import { whatToRun } from './support.ts'
import { createWriter } from './writer.ts'

/** What the supervisors of one node share. */
export interface Kit {
  store: Store
  blobs: Blobs
  copies?: Copies | undefined
  clock: Clock
  liveness: Liveness
  random: Random
  log: Log
  runner: PodRunner
  files: PodFiles
  node: string
  address: string
  reportEveryMs: number
  /** What the node's pool permits. */
  policy(): Promise<{ allowEnv: readonly string[]; hostPaths: readonly string[] }>
  event(pod: Pod, notice: Notice): void
}

/** One pod, from when it is bound to this node until it has ended and is written down. */
export interface Supervisor {
  /** The pod as the store has it now. */
  update(pod: Pod): void
  /** It is no longer in the store: its processes end at once. */
  gone(): void
  /** What the job is to know. */
  tell(word: Word): void
  /** Ends it as a deletion would. `writeMs`: how long its end is tried to be written; left out, until that is done. */
  terminate(graceMs: number, cause: Cause, writeMs?: number): void
  signal(signal: PodSignal): void
  /** Lets go without touching the pod, as a crash of the agent would. */
  leave(): void
  readonly done: Promise<void>
}

export function supervise(first: Pod, kit: Kit): Supervisor {
  const { store, clock, runner } = kit
  const { uid = '', name, namespace = 'default' } = first.metadata
  const log = kit.log.with({ pod: `${namespace}/${name}` })
  const place = placeOf(first)
  const beside: PodBeside = kit.files.beside(place, { blobs: kit.blobs, copies: kit.copies, clock, log })
  const report = createPodReport({ ...kit, log, pod: first, everyMs: kit.reportEveryMs })
  const progress = createProgress(place.work.firstStepSeconds, place.work.lossSpikeFactor)
  const left = new AbortController()
  let pod = first
  let stage: Stage = { kind: 'preparing', message: 'being prepared' }
  let running: RunningPod | undefined
  /** `atMs`: in steady time. */
  let killing: { cause: Cause; atMs: number; cancel: Cancel } | undefined
  let isGone = false
  let env: Promise<Record<string, string>> | undefined
  let told = ''
  let isHung = false
  let steps: Listening | undefined
  let isFinishing = false
  let isWriting = false
  /** Of the end; nobody is in a hurry by default. */
  let writeMsMax: number | undefined
  let giveUp: Cancel | undefined
  /** Before it runs it needs no grace: what is being prepared for it is given up. */
  const stopping = new AbortController()
  const stopped = aborted(stopping.signal).then(() => {
    beside.close()
    return stoppedFirst
  })

  const status = createWriter({
    clock,
    random: kit.random,
    log,
    what: `status of pod ${name}`,
    write: writeStatus,
  })

  /** A pod that was given up meanwhile stays so: what is written names the state that it is about. */
  async function writeStatus(): Promise<'ok' | 'gone'> {
    if (isOver(pod)) return 'gone'
    const ref = { name, namespace }
    const { resourceVersion } = pod.metadata
    const patch = { status: statusOf(pod, stage, kit.address, clock.now()) }
    const outcome = await store.patch('Pod', ref, patch, { status: true, uid, resourceVersion })
    if (outcome === 'missing') return 'gone'
    const known = outcome === 'stale' ? await store.get('Pod', ref) : outcome
    if (known?.metadata.uid !== uid) return 'gone'
    update(known)
    return outcome !== 'stale' ? 'ok' : isOver(known) ? 'gone' : writeStatus()
  }

  async function live(): Promise<void> {
    const found = await runner.find(uid)
    if (found !== undefined) {
      await answered(() => report.load())
      progress.resume(report.status)
      // It may do no step any more.
      report.change({ busySeconds: undefined }, false)
      return await attend(found)
    }
    if (isGone || killing !== undefined)
      return await over({ atMs: clock.now(), exitCode: 143 }, killing?.cause ?? deleted)
    if (pod.status?.phase === 'Running') {
      const end: PodEnd = { atMs: clock.now(), exitCode: 137, lost: 'its files on this machine are gone' }
      return await over(end, causeOf(end))
    }
    const started = await begin()
    if (left.signal.aborted) return
    if ('refused' in started) return await refuse(started)
    if (started.notice !== undefined) kit.event(pod, started.notice)
    await attend(started)
  }

  /** What runs already runs on, whether the store answers or not. */
  async function answered<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if (!isWaitedFor(error) || left.signal.aborted) throw error
        log.warn('a pod that runs is followed once the store answers', { error: messageOf(error) })
        await clock.sleep(1000, left.signal)
      }
    }
  }

  /**
   * From a bound pod to a process. Nothing is written unless it takes long enough for somebody to wonder. On a full disk
   * it waits for room, and for storage or a store that cannot be reached: a new attempt would fare no better.
   */
  async function begin(): Promise<RunningPod | Refusal> {
    for (let said = ''; ; ) {
      try {
        return await beginOnce()
      } catch (error) {
        if (!isWaitedFor(error)) throw error
        const reason = reasonOfWaiting(error)
        const message = messageOf(error)
        stage = { kind: 'preparing', reason, message }
        if (said !== message) status.touch(0)
        if (said === '') kit.event(pod, { type: 'Warning', reason, message })
        said = message
        await clock.sleep(1000, left.signal)
        if (left.signal.aborted || isGone || killing !== undefined) return stoppedFirst
      }
    }
  }

  async function beginOnce(): Promise<RunningPod | Refusal> {
    const cancel = clock.after(300, () => status.touch(0))
    try {
      const policy = await kit.policy()
      const wanted = whatToRun(pod, policy.hostPaths)
      if ('refused' in wanted) return wanted
      const prepared = await prepare()
      if ('refused' in prepared) return prepared
      if (prepared.notice !== undefined) kit.event(pod, prepared.notice)
      const { restoredStep, restoredFrom } = prepared
      if (restoredStep !== undefined)
        report.change({ restoredStep, ...(restoredFrom === undefined ? {} : { restoredFrom }) }, false)
      const resolved = await resolve(prepared.env, policy.allowEnv)
      if ('refused' in resolved) return resolved
      env = Promise.resolve(resolved.env)
      if (left.signal.aborted || isGone || killing !== undefined) return stoppedFirst
      return await runner.start({
        uid,
        namespace,
        name,
        node: kit.node,
        command: resolved.command,
        env: resolved.env,
        workingDir: wanted.container.workingDir,
        image: wanted.container.image,
        isArguments: (wanted.container.command ?? []).length === 0,
        limits: limitsOf(wanted.container),
        volumes: wanted.volumes,
      })
    } finally {
      cancel()
    }
  }

  async function prepare(): Promise<Prepared | Refusal> {
    for (let tries = 1; ; tries++) {
      try {
        return await Promise.race([beside.prepare(), stopped])
      } catch (error) {
        if (isWaitedFor(error)) throw error
        const canRetry = error instanceof OperatingError && error.policy !== 'give-up'
        if (!canRetry || tries === 5 || isGone || left.signal.aborted)
          return { refused: true, reason: 'PrepareFailed', message: messageOf(error) }
        log.warn('preparing a pod failed and is tried again', { error: messageOf(error) })
        await clock.sleep(500 * tries, left.signal)
      }
    }
  }

  function resolve(provided: Record<string, string>, allowed: readonly string[]) {
    const [container] = pod.spec.containers
    return resolveCommand(pod, container ?? { name: 'main' }, {
      provided,
      allowed,
      hostIP: kit.address,
      secret: async (secret, key) => {
        const found = await store.get('Secret', { name: secret, namespace })
        const plain = found?.stringData?.[key]
        const data = found?.data?.[key]
        return plain ?? (data === undefined ? undefined : fromBase64(data))
      },
    })
  }

  async function attend(started: RunningPod): Promise<void> {
    running = started
    stage = { kind: 'running', startedAtMs: started.startedAtMs, ready: false }
    report.change({ rank: place.rank, pid: started.pid, startedAtMs: started.startedAtMs }, true)
    const stopProbes = probe()
    steps = kit.liveness.watch(stepsSign(uid), progress.patienceMs, (sinceMs) => void confirmHang(sinceMs))
    if (stage.kind === 'running' && !stage.ready) status.touch(firstMs)
    follow()
    if (isGone) started.signal('SIGKILL')
    else if (killing !== undefined) send()
    const end = await Promise.race([started.ended, aborted(left.signal)])
    stopProbes()
    steps.stop()
    if (end === undefined) return beside.close()
    const known = isWorthless(end) ? { atMs: end.atMs, lost: restartedSince } : end
    await over(known, endCause(known))
  }

  /** It ended well, but what it was to leave may be torn, and was not shipped before. */
  function isWorthless(end: PodEnd): boolean {
    if (running?.isTorn !== true || !isGood(end) || report.status.ended !== undefined) return false
    const { checkpoints, checkpointRanks } = place.work
    return mayLeaveOutput() || (checkpoints !== undefined && (checkpointRanks !== 'first' || place.rank === 0))
  }

  function endCause(end: PodEnd): Cause {
    if (killing === undefined) return causeOf(end)
    return isGood(end) ? { ...causeOf(end), byAgent: true } : killing.cause
  }

  function probe(): () => void {
    const [container] = pod.spec.containers
    if (container === undefined) return () => {}
    return startProbes({
      clock,
      runner,
      uid,
      container,
      ports: portsOf(pod),
      host: kit.address,
      isServer: pod.metadata.labels?.[label.service] !== undefined,
      env: () => {
        env ??= answered(() => resolve({}, [])).then(
          (resolved) => ('refused' in resolved ? {} : resolved.env),
          (error: unknown) => {
            env = undefined
            throw error
          },
        )
        return env
      },
      ready(ready, why) {
        if (stage.kind !== 'running' || (stage.ready === ready && stage.notReady === why)) return
        const isChange = stage.ready !== ready
        stage = { ...stage, ready, notReady: why }
        status.touch(isChange && clock.now() - stage.startedAtMs > firstMs ? 0 : isChange ? firstMs : 1000)
      },
      dead(why) {
        if (left.signal.aborted) return
        kit.event(pod, { type: 'Warning', reason: 'Unhealthy', message: `liveness probe failed: ${why}` })
        terminate(graceOf(pod), { reason: 'Unhealthy', message: `its liveness probe failed: ${why}`, byAgent: true })
      },
    })
  }

  function follow(): void {
    beside.follow(
      {
        found(lines, atMs) {
          if (running?.adopted === false) return this.progress(lines, atMs)
          if (progress.find(lines, atMs)) return onStep()
          // A hang that an earlier agent told goes on.
          const { stalls: _, ...now } = progress.now
          report.change({ ...now, checkpoints: withStalls() }, now.stopped === true)
        },
        progress(lines, atMs) {
          for (const line of lines) progress.add(line, atMs)
          onStep()
        },
        shipped(checkpoint) {
          const others = report.status.checkpoints.filter((each) => each.step !== checkpoint.step)
          const checkpoints = [...others, checkpoint].sort((a, b) => a.step - b.step).slice(-reportedMax)
          report.change({ checkpoints: withStalls(checkpoints) }, true)
        },
        notice: (notice) => kit.event(pod, notice),
      },
      running?.isTorn === true ? undefined : report.status.checkpoints.map((checkpoint) => checkpoint.step),
    )
  }

  function onStep(): void {
    const { stalls: _, ...now } = progress.now
    const isFirst = report.status.firstStepAtMs === undefined && now.firstStepAtMs !== undefined
    const isSpike = now.lossSpike !== undefined && report.status.lossSpike === undefined
    const urgent = isFirst || isSpike || isHung || now.stopped === true
    isHung = false
    steps?.heard()
    const busySeconds = isFinishing ? undefined : now.busySeconds
    report.change({ ...now, busySeconds, hungSinceMs: undefined, checkpoints: withStalls() }, urgent)
  }

  /** The job's word on what a checkpoint cost it may come before or after the checkpoint has arrived. */
  function withStalls(checkpoints = report.status.checkpoints): typeof checkpoints {
    return checkpoints.map((checkpoint) => {
      const stallSeconds = progress.now.stalls.get(checkpoint.step)
      return stallSeconds === undefined ? checkpoint : { ...checkpoint, stallSeconds }
    })
  }

  /** Writes the end down: first what it left behind, then the Report, then the phase that others wait for. */
  async function over(end: PodEnd, cause: Cause): Promise<void> {
    killing?.cancel()
    if (isGone) return await clean()
    const good = isGood(end)
    const startedAtMs = running?.startedAtMs
    let told = cause
    const isOutput = good && mayLeaveOutput() && !cause.byAgent
    const finished = running === undefined ? undefined : await finish(good && running.isTorn !== true, isOutput)
    if (finished instanceof Error) told = { reason: 'OutputFailed', message: finished.message, byAgent: false }
    if (isGone) return await clean()
    const logTail = told.reason === 'Completed' || running === undefined ? undefined : await beside.tail()
    report.change(
      {
        ended: {
          atMs: end.atMs,
          ...(end.exitCode === undefined ? {} : { exitCode: end.exitCode }),
          ...(end.signal === undefined ? {} : { signal: end.signal }),
          reason: told.reason,
          message: told.message,
          byAgent: told.byAgent,
        },
        hungSinceMs: undefined,
        ...(finished === undefined || finished instanceof Error ? {} : { output: finished }),
        ...(logTail === undefined ? {} : { logTail }),
      },
      true,
    )
    stage = { kind: 'ended', startedAtMs, end, cause: told }
    await close()
  }

  /** Where ranks come and go, whichever leaves something. */
  function mayLeaveOutput(): boolean {
    const { output, checkpointRanks } = place.work
    return output !== undefined && (place.rank === 0 || checkpointRanks === 'any')
  }

  async function finish(good: boolean, output: boolean) {
    isFinishing = true
    // Who only ships what it left keeps nobody waiting any more.
    report.change({ busySeconds: undefined }, false)
    arm()
    try {
      return await beside.finish({ good, output: output && progress.now.stopped !== true })
    } catch (error) {
      log.error('the output of a pod could not be shipped', { error: messageOf(error) })
      return error instanceof Error ? error : new Error(messageOf(error))
    }
  }

  async function refuse({ reason, message, damaged }: Refusal): Promise<void> {
    if (isGone) return await clean()
    if (killing !== undefined) return await over({ atMs: clock.now(), exitCode: 143 }, killing.cause)
    log.warn('a pod cannot run here', { reason, message })
    kit.event(pod, { type: 'Warning', reason, message })
    const atMs = clock.now()
    const ended = { atMs, exitCode: 128, reason, message, byAgent: false }
    const found = damaged === undefined ? {} : { damaged: { ...damaged, message } }
    report.change({ rank: place.rank, ...found, ended }, true)
    stage = { kind: 'refused', atMs, reason, message }
    await close()
  }

  async function close(): Promise<void> {
    isWriting = true
    limitWriting()
    await Promise.race([report.flush(), aborted(left.signal)])
    status.touch(0)
    await Promise.race([status.flush(), aborted(left.signal)])
    giveUp?.()
    isWriting = false
    if (pod.metadata.deletionTimestamp !== undefined && !left.signal.aborted) await remove()
  }

  /** A store that takes nothing any more keeps no one who shuts down; the next agent finds the end. */
  function limitWriting(): void {
    if (isWriting && writeMsMax !== undefined) giveUp ??= clock.after(writeMsMax, leave)
  }

  /** As a kubelet: the process is gone, so the object may go. */
  async function remove(): Promise<void> {
    const writer = createWriter({
      clock,
      random: kit.random,
      log,
      what: `the deletion of pod ${name}`,
      async write() {
        await store.delete('Pod', { name, namespace }, { uid, gracePeriodSeconds: 0 })
        return 'gone'
      },
    })
    left.signal.addEventListener('abort', () => writer.close())
    writer.touch(0)
    await writer.flush()
  }

  async function clean(): Promise<void> {
    report.close()
    status.close()
    beside.close()
    await runner.remove(uid)
  }

  function terminate(graceMs: number, cause: Cause, writeMs?: number): void {
    writeMsMax ??= writeMs
    limitWriting()
    const atMs = clock.steadyMs() + graceMs
    if (killing !== undefined && killing.atMs <= atMs) return
    const isFirst = killing === undefined
    killing?.cancel()
    killing = { cause: killing?.cause ?? cause, atMs, cancel: () => {} }
    if (stage.kind === 'preparing') stopping.abort()
    if (isFirst) send()
    else arm()
  }

  function send(): void {
    if (killing === undefined || running === undefined) return
    if (killing.atMs > clock.steadyMs()) running.signal('SIGTERM')
    arm()
  }

  function arm(): void {
    if (killing === undefined || running === undefined) return
    const { atMs } = killing
    const pod = running
    const restMs = atMs - clock.steadyMs()
    // What has ended may still wait for room on a full disk, which may never come.
    const kill = (): void => (isFinishing ? beside.close() : pod.signal('SIGKILL'))
    if (restMs <= 0) kill()
    else killing.cancel = clock.after(restMs, kill)
  }

  /** The watch may be behind what was written. */
  function update(newer: Pod): void {
    if (Number(newer.metadata.resourceVersion) < Number(pod.metadata.resourceVersion)) return
    pod = newer
    if (isOver(newer) && (stage.kind === 'preparing' || stage.kind === 'running')) terminate(0, givenUp(newer))
    if (pod.metadata.deletionTimestamp !== undefined) terminate(graceOf(pod), deleted)
  }

  async function confirmHang(sinceMs: number): Promise<void> {
    isHung = true
    const writingAtMs = await beside.writingAtMs()
    if (writingAtMs !== undefined && writingAtMs > sinceMs && clock.now() - writingAtMs < 3000) {
      isHung = false
      return steps?.heard()
    }
    const logTail = await beside.tail()
    if (!isHung || stage.kind !== 'running') return // a step came after all
    progress.hang()
    report.change({ hungSinceMs: sinceMs, logTail }, true)
  }

  function leave(): void {
    left.abort()
    killing?.cancel()
    report.close()
    status.close()
    beside.close()
  }

  if (pod.metadata.deletionTimestamp !== undefined) terminate(graceOf(pod), deleted)
  const done = live()
    .catch(async (error: unknown) => {
      log.error('supervising a pod failed', { error: messageOf(error) })
      // What nobody looks after does not run on.
      if (!left.signal.aborted) (running ?? (await runner.find(uid)))?.signal('SIGKILL')
      const end: PodEnd = { atMs: clock.now(), exitCode: 128 }
      return over(end, { reason: 'AgentError', message: messageOf(error), byAgent: true })
    })
    .catch((error: unknown) => log.error('the end of a pod could not be written', { error: messageOf(error) }))

  return {
    update,
    gone() {
      isGone = true
      if (stage.kind === 'preparing') stopping.abort()
      running?.signal('SIGKILL')
      if (isFinishing) beside.close()
      // What has ended already has nobody waiting for its end.
      void done.then(() => clean())
    },
    tell(word) {
      const text = JSON.stringify(word)
      if (text === told) return
      told = text
      beside
        .tell(word)
        .catch((error: unknown) => log.error('a pod could not be told something', { error: messageOf(error) }))
    },
    terminate,
    signal: (signal) => running?.signal(signal),
    leave,
    done,
  }
}

function reasonOfWaiting(error: unknown): string {
  if (isDiskFull(error)) return 'DiskFull'
  return error instanceof OperatingError && error.code === 'store-unreachable'
    ? 'StoreUnreachable'
    : 'StorageUnreachable'
}

/** Nobody but its agent ends a pod, unless that was taken for dead: then the gang went on without it. */
function givenUp({ status }: Pod): Cause {
  return { reason: status?.reason ?? 'NodeLost', message: status?.message ?? 'its node was lost', byAgent: true }
}

/** Checkpoints that a Report keeps: enough for a reader who was away for a while. */
const reportedMax = 8

const restartedSince = 'the machine was restarted before what it left was shipped'
const deleted: Cause = { reason: 'Deleted', message: 'stopped because the pod was deleted', byAgent: true }
const stoppedFirst: Refusal = { refused: true, reason: 'Deleted', message: 'stopped before it started' }
function graceOf(pod: Pod): number {
  return 1000 * (pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30)
}

function limitsOf({ resources }: Container): NonNullable<PodRun['limits']> {
  const { cpu, memory } = resources?.limits ?? {}
  return {
    ...(cpu === undefined ? {} : { cpuMilli: milliOf(cpu) }),
    ...(memory === undefined ? {} : { memoryBytes: bytesOf(memory) }),
  }
}

export function portsOf(pod: Pod): number[] {
  const text = pod.metadata.annotations?.[annotation.ports] ?? ''
  return text
    .split(',')
    .map(Number)
    .filter((port) => Number.isInteger(port) && port > 0)
}

function placeOf(pod: Pod): PodPlace {
  const { uid = '', name, namespace = 'default', labels = {}, annotations = {} } = pod.metadata
  return {
    uid,
    namespace,
    name,
    node: pod.spec.nodeName ?? '',
    peer: annotations[annotation.peerNode],
    rank: whole(annotations[annotation.rank], 0),
    worldSize: whole(annotations[annotation.worldSize], 1),
    attempt: whole(labels[label.attempt], 1),
    work: workOf(annotations[annotation.work]),
  }
}

function whole(text: string | undefined, otherwise: number): number {
  const number = Number(text ?? otherwise)
  return Number.isInteger(number) && number >= 0 ? number : otherwise
}

function workOf(text: string | undefined): PodWork {
  const work = readWork(text)
  if (typeof work === 'string')
    throw new OperatingError('invalid', 'give-up', `annotation ${annotation.work} is not readable: ${work}`)
  return work
}

function fromBase64(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)))
}

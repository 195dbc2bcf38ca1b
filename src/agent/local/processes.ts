import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  type FSWatcher,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Cancel, Clock } from '../../base/clock.ts'
import { diskFull, isDiskFull, messageOf, OperatingError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { PodEnd, PodRun, PodRunner, Refusal, RunningPod } from '../contract.ts'
import { checkCommand } from './command.ts'
import { readExit, recordExit } from './exit.ts'
import { type PodFolder, podFolder, removeFolder } from './folders.ts'
import { killLeftovers, killTree } from './kill.ts'
import { createMemoryLimits, freeCell } from './memory.ts'
import { probe } from './probe.ts'
import { bootId, exists, isAlive, outOfMemoryKills, signalGroup, signalName } from './process.ts'
import { type Claim, parseClaim, shim, shimCodes } from './shim.ts'

export interface ProcessRunnerOptions {
  /** The agent's folder; several logical nodes share it. */
  dir: string
  node: string
  clock: Clock
  log: Log
  /** What `pods` may inherit from; default the process' environment. */
  environment?: NodeJS.ProcessEnv
}

/** Runs pods as processes: each a session of its own behind the shim, writing to a file, not to us. */
export function createProcessRunner(options: ProcessRunnerOptions): PodRunner {
  const { dir, clock, log } = options
  const inherited = inheritedFrom(options.environment ?? process.env, ensurePrograms(dir))
  const watcher = createAdoptedWatcher(clock)
  const running = new Map<string, RunningPod>()
  const memory = createMemoryLimits(clock, log)
  let memoryKills = outOfMemoryKills()

  async function start(run: PodRun): Promise<RunningPod | Refusal> {
    const folder = podFolder(dir, run.uid)
    const env = { ...inherited, ...run.env }
    if (run.env['PATH'] !== undefined) env['PATH'] = `${join(dir, 'bin')}${delimiter}${run.env['PATH']}`
    const workingDir = resolve(folder.job, run.workingDir ?? '.')
    mkdirSync(folder.job, { recursive: true, mode: 0o700 })
    const refusal = checkVolumes(run) ?? checkCommand(run.command, env['PATH'] ?? '', workingDir)
    if (refusal !== undefined) return refusal
    const limitBytes = run.limits?.memoryBytes
    const cell = limitBytes === undefined ? '' : memory.set(folder, run.uid, limitBytes)
    const child = launch(folder, run, env, workingDir, cell)
    if ('refused' in child) return child
    const startedAtMs = clock.now()
    const exit = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }))
      child.once('error', () => resolve({ code: null, signal: null }))
    })
    const shimPid = child.pid
    if (shimPid === undefined)
      return { refused: true, reason: 'StartError', message: 'the system refused to start /bin/sh' }
    let hasEnded = false
    let letGo: Cancel = () => {}
    const ended = exit.then(({ code, signal }) => {
      hasEnded = true
      letGo()
      return endOfChild(run.uid, folder, shimPid, code, signal)
    })
    const claim = await claimOf(folder, () => hasEnded)
    if (claim?.command === undefined && (await exit).code === shimCodes.noRoom) throw noRoom(folder)
    if (claim?.shim.pid !== shimPid) {
      const found = await find(run.uid)
      if (found !== undefined) return found
    }
    if (limitBytes !== undefined && !hasEnded) letGo = memory.hold(folder, shimPid, claim?.command?.pid)
    const pod = remember(run.uid, {
      pid: claim?.command?.pid,
      startedAtMs,
      adopted: false,
      ended,
      signal(name) {
        if (!hasEnded) signalPod(shimPid, name)
      },
    })
    return pod
  }

  /** The shim could not write its files, so nothing ran: another start may follow. */
  function noRoom(folder: PodFolder): OperatingError {
    forgetStart(folder)
    try {
      writeFileSync(folder.room, Buffer.alloc(4096), { mode: 0o600 })
      return diskFull(dir, undefined) // it was a moment ago
    } catch (error) {
      if (isDiskFull(error)) return diskFull(dir, error)
      return new OperatingError('not-writable', 'give-up', `cannot write into ${folder.root}: ${messageOf(error)}`)
    } finally {
      rmSync(folder.room, { force: true })
    }
  }

  function launch(
    folder: PodFolder,
    run: PodRun,
    env: Record<string, string>,
    cwd: string,
    cell: string,
  ): ChildProcess | Refusal {
    const output = openSync(folder.log, 'a', 0o600)
    try {
      return spawn('/bin/sh', ['-c', shim, 'millwright-shim', folder.root, bootId, run.node, cell, ...run.command], {
        cwd,
        env,
        detached: true,
        stdio: ['ignore', output, output],
      })
    } catch (error) {
      return { refused: true, reason: 'StartError', message: startProblem(error) }
    } finally {
      closeSync(output)
    }
  }

  /** The command's pid is there a few milliseconds after the spawn; a short pod may have ended by then. */
  async function claimOf(folder: PodFolder, hasEnded: () => boolean): Promise<Claim | undefined> {
    for (let waitMs = 4; ; waitMs = Math.min(waitMs * 2, 100)) {
      const claim = readClaim(folder)
      if (claim?.command !== undefined || hasEnded()) return claim
      await clock.sleep(waitMs)
    }
  }

  function endOfChild(
    uid: string,
    folder: PodFolder,
    shimPid: number,
    code: number | null,
    signal: NodeJS.Signals | null,
  ): PodEnd {
    signalGroup(shimPid, 'SIGKILL') // whatever the command left behind
    const winner = readClaim(folder)?.shim.pid
    if (winner === shimPid) killLeftovers(uid)
    if (winner !== undefined && winner !== shimPid) return { atMs: clock.now(), exitCode: code ?? 128 + 9 } // not the pod's end, only ours
    const recorded = readExit(folder)
    if (recorded !== undefined) return endOf(folder, recorded.status, recorded.atMs)
    if (code !== null) return endOf(folder, code, clock.now()) // a full disk: the record is missing, the shim's own status is not
    // The shim itself was killed with the rest.
    recordExit(folder, 128 + 9)
    log.debug('a pod was killed with its shim', { uid, signal })
    return endOf(folder, 128 + 9, clock.now())
  }

  function endOf(folder: PodFolder, status: number, atMs: number): PodEnd {
    const signal = status > 128 ? signalName(status - 128) : undefined
    const ofMachine = signal === 'SIGKILL' && memoryRanOut() ? {} : undefined
    const outOfMemory = (status === 0 ? undefined : memory.verdict(folder)) ?? ofMachine
    void freeCell(folder)
    return {
      atMs,
      exitCode: status,
      ...(status !== 0 && isFullAt(folder.root) ? { diskFull: dir } : {}),
      ...(signal === undefined ? {} : { signal }),
      ...(outOfMemory === undefined ? {} : { outOfMemory }),
    }
  }

  /** The kernel counts its kills; a SIGKILL together with a new one of them was for want of memory. */
  function memoryRanOut(): boolean {
    const now = outOfMemoryKills()
    const more = now !== undefined && memoryKills !== undefined && now > memoryKills
    memoryKills = now
    return more
  }

  async function find(uid: string): Promise<RunningPod | undefined> {
    const known = running.get(uid)
    if (known !== undefined) return known
    const folder = podFolder(dir, uid)
    if (statSync(folder.claim, { throwIfNoEntry: false }) === undefined) return undefined
    const claim = await settledClaim(folder)
    if (claim?.command === undefined && (await neverBegan(folder, claim))) return undefined
    const startedAtMs = timeOf(folder.claim) ?? clock.now()
    const recorded = readExit(folder)
    if (recorded !== undefined || claim === undefined || claim.boot !== bootId || !isAlive(claim.shim)) {
      if (claim !== undefined && claim.boot === bootId) {
        if (!exists(claim.shim.pid)) signalGroup(claim.shim.pid, 'SIGKILL')
        killLeftovers(uid)
      }
      return remember(uid, {
        pid: claim?.command?.pid,
        startedAtMs,
        adopted: true,
        isTorn: claim?.boot !== bootId,
        ended: Promise.resolve(endFound(folder, claim)),
        signal() {},
      })
    }
    const letGo = memory.hold(folder, claim.shim.pid, claim.command?.pid)
    let hasEnded = false
    let wasKilled = false
    const ended = watcher.end(folder, claim).then(() => {
      hasEnded = true
      letGo()
      signalGroup(claim.shim.pid, 'SIGKILL')
      killLeftovers(uid)
      return endFound(folder, claim, wasKilled)
    })
    return remember(uid, {
      pid: claim.command?.pid,
      startedAtMs,
      adopted: true,
      ended,
      signal(name) {
        if (hasEnded) return
        if (name === 'SIGKILL') wasKilled = true
        signalPod(claim.shim.pid, name)
      },
    })
  }

  /** `wasKilled`: by us. */
  function endFound(folder: PodFolder, claim: Claim | undefined, wasKilled = false): PodEnd {
    const recorded = readExit(folder)
    if (recorded !== undefined) return endOf(folder, recorded.status, recorded.atMs)
    if (claim !== undefined && claim.boot !== bootId)
      return { atMs: lastSign(folder), lost: 'the machine was restarted while it ran' }
    recordExit(folder, 128 + 9)
    const killed = endOf(folder, 128 + 9, clock.now())
    return wasKilled || killed.outOfMemory?.limitBytes !== undefined
      ? killed
      : { ...killed, lost: 'it was killed together with its shim, which left no record' }
  }

  /** A claim is written in one go, but its maker may have been killed in between, or be about to write. */
  async function settledClaim(folder: PodFolder): Promise<Claim | undefined> {
    for (let tries = 0; tries < 20; tries++) {
      const claim = readClaim(folder)
      if (claim?.command !== undefined || readExit(folder) !== undefined) return claim
      if (claim !== undefined && !isAlive(claim.shim)) return claim
      await clock.sleep(25)
    }
    return readClaim(folder)
  }

  /** A start that got stuck before its command ran, on a full disk or by a kill, is forgotten: the next one is the first. */
  async function neverBegan(folder: PodFolder, claim: Claim | undefined): Promise<boolean> {
    // Between making a claim and writing it is an instant, however busy the machine.
    if (claim === undefined && clock.now() - (timeOf(folder.claim) ?? 0) < 10_000) return false
    if (claim !== undefined && claim.boot === bootId) {
      if (isAlive(claim.shim)) return false
      if (!exists(claim.shim.pid)) signalGroup(claim.shim.pid, 'SIGKILL')
      await clock.sleep(25)
      if (readClaim(folder)?.command !== undefined) return false // its child was about to
    }
    forgetStart(folder)
    return true
  }

  function remember(uid: string, pod: RunningPod): RunningPod {
    running.set(uid, pod)
    return pod
  }

  return {
    find,
    start,
    probe: (run) => probe({ ...run, env: { ...inherited, ...run.env } }),
    async known() {
      const uids: string[] = []
      for (const uid of listFolders(join(dir, 'pods'))) {
        const claim = readClaim(podFolder(dir, uid))
        if (claim?.node === options.node) uids.push(uid)
      }
      return uids
    },
    async remove(uid) {
      const folder = podFolder(dir, uid)
      const claim = readClaim(folder)
      if (claim?.boot === bootId) {
        if (isAlive(claim.shim)) await killTree(claim.shim.pid)
        killLeftovers(uid)
      }
      running.delete(uid)
      await freeCell(folder)
      await removeFolder(folder)
    },
    close() {
      watcher.close()
      memory.close()
    },
  }
}

/**
 * Sees adopted pods end. They are nobody's children here, so nothing tells us: the folder is watched for the exit
 * record, and the shim is looked at a few times a second, for when it is killed before it can write one.
 */
function createAdoptedWatcher(clock: Clock) {
  const waiting = new Map<Claim, { folder: PodFolder; resolve: () => void; watch: FSWatcher | undefined }>()
  let beat: Cancel | undefined

  function look(claim: Claim): void {
    const entry = waiting.get(claim)
    if (entry === undefined) return
    if (readExit(entry.folder) === undefined && isAlive(claim.shim)) return
    entry.watch?.close()
    waiting.delete(claim)
    if (waiting.size === 0) stop()
    entry.resolve()
  }
  function stop(): void {
    beat?.()
    beat = undefined
  }
  return {
    end: (folder: PodFolder, claim: Claim) =>
      new Promise<void>((resolve) => {
        waiting.set(claim, { folder, resolve, watch: watchFolder(folder.root, () => look(claim)) })
        beat ??= clock.every(150, () => {
          for (const each of waiting.keys()) look(each)
        })
        look(claim)
      }),
    close(): void {
      for (const entry of waiting.values()) entry.watch?.close()
      waiting.clear()
      stop()
    },
  }
}

function watchFolder(path: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, { persistent: false }, (_event, name) => {
      if (name === 'exit' || name === null) changed()
    })
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined // no watches left on this machine: the beat alone finds it
  }
}

function signalPod(shimPid: number, signal: NodeJS.Signals): void {
  if (signal === 'SIGKILL') void killTree(shimPid)
  else signalGroup(shimPid, signal)
}

function forgetStart(folder: PodFolder): void {
  for (const path of [folder.exit, folder.claim]) rmSync(path, { force: true })
}

function readClaim(folder: PodFolder): Claim | undefined {
  const text = readText(folder.claim)
  return text === undefined ? undefined : parseClaim(text)
}

function lastSign(folder: PodFolder): number {
  return Math.max(0, ...[folder.claim, folder.log, folder.progress].map((path) => timeOf(path) ?? 0))
}

function timeOf(path: string): number | undefined {
  const info = statSync(path, { throwIfNoEntry: false })
  return info === undefined ? undefined : Math.round(info.mtimeMs)
}

/** Root may still write into what is kept for it. */
function isFullAt(path: string): boolean {
  try {
    const { bsize, bfree, bavail } = statfsSync(path)
    return (process.getuid?.() === 0 ? bfree : bavail) * bsize < 16 << 10
  } catch {
    return false
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function listFolders(path: string): string[] {
  try {
    return readdirSync(path).filter((name) => /^[A-Za-z0-9][A-Za-z0-9-]*$/.test(name))
  } catch {
    return []
  }
}

/** Without a container there is no mount: only what is already in its place can be had. */
function checkVolumes(run: PodRun): Refusal | undefined {
  for (const { mountPath, hostPath } of run.volumes) {
    const inPlace = hostPath === undefined ? ['/tmp', '/dev/shm'].includes(mountPath) : hostPath === mountPath
    if (!inPlace)
      return {
        refused: true,
        reason: 'Unsupported',
        message: `a volume at ${mountPath} needs a container; as a process, a pod can use host paths under their own name, /tmp and /dev/shm`,
      }
  }
  return undefined
}

/** What a pod may see of our own environment: where programs and a home are. No tokens, no keys. */
function inheritedFrom(environment: NodeJS.ProcessEnv, bin: string): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment))
    if (value !== undefined && inheritable.test(name)) kept[name] = value
  kept['PATH'] = [bin, dirname(process.execPath), environment['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'].join(delimiter)
  return kept
}

const inheritable =
  /^(HOME|USER|LOGNAME|SHELL|LANG|LC_[A-Z]+|TZ|TMPDIR|LD_LIBRARY_PATH|VIRTUAL_ENV|CONDA_PREFIX|HF_HOME|CUDA_HOME|SSL_CERT_(FILE|DIR)|(https?|no|all)_proxy|(HTTPS?|NO|ALL)_PROXY)$/

/** `millwright` and `millwright-engine` as programs, wherever the package was installed. */
function ensurePrograms(dir: string): string {
  const bin = join(dir, 'bin')
  const installation = findInstallation()
  if (installation === undefined) return bin
  mkdirSync(bin, { recursive: true, mode: 0o700 })
  for (const program of ['millwright', 'millwright-engine']) {
    const target = join(installation, 'dist', 'bin', `${program}.js`)
    const text = `#!/bin/sh\nexec ${quoted(process.execPath)} ${quoted(target)} "$@"\n`
    const path = join(bin, program)
    if (readText(path) === text) continue
    writeFileSync(`${path}.${process.pid}`, text, { mode: 0o755 })
    chmodSync(`${path}.${process.pid}`, 0o755)
    renameSync(`${path}.${process.pid}`, path)
  }
  return bin
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

function findInstallation(): string | undefined {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (readText(join(folder, 'package.json'))?.includes('"name": "millwright"')) return folder
    if (dirname(folder) === folder) return undefined
  }
}

function startProblem(error: unknown): string {
  const text = messageOf(error)
  if (text.includes('E2BIG')) return 'the command line and environment are too long for this system'
  if (text.includes('EAGAIN')) return 'the system has no processes left; end some or raise its limit (ulimit -u)'
  return `cannot start: ${text}`
}

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { arch, availableParallelism, hostname, platform, release, totalmem } from 'node:os'
import type { Cancel, Clock } from '../../base/clock.ts'
import { label } from '../../model/names.ts'
import type { NodeDescription } from '../contract.ts'
import { type FoundGpu, type FoundGpus, gpuList, gpuQuery, mergeGpus, readGpus } from './gpus.ts'

export interface Machine {
  hostname: string
  cores: number
  memoryBytes: number
  gpus: FoundGpu[]
  /** Why no GPU could be asked about, where a driver is there but does not answer. */
  gpuProblem?: string
  info: Record<string, string>
}

export interface LookOptions {
  /** Where `nvidia-smi` is looked for. */
  environment?: NodeJS.ProcessEnv
  /** Eight cards without persistence mode take ten seconds. */
  timeoutMs?: number
}

export async function findMachine(options: LookOptions = {}): Promise<Machine> {
  const { gpus, problem } = await findGpus(options)
  return {
    hostname: hostname(),
    cores: availableParallelism(),
    memoryBytes: memoryLimit(),
    gpus,
    ...(problem === undefined ? {} : { gpuProblem: problem }),
    info: {
      operatingSystem: platform(),
      architecture: arch(),
      kernelVersion: release(),
      kubeletVersion: `millwright, Node ${process.version}`,
    },
  }
}

export interface WatchOptions extends LookOptions {
  clock: Clock
  machine: Machine
  everyMs?: number
  changed(machine: Machine): void
}

/**
 * Looks at the cards again once a minute: one falls off the bus while the machine runs, or is back after a reset. Where
 * no card and no driver was found there is nothing to look at. One answer that does not come in time may be load; the
 * second is a problem.
 */
export function watchGpus({ clock, machine, everyMs = 60_000, changed, ...look }: WatchOptions): Cancel {
  if (machine.gpus.length === 0 && machine.gpuProblem === undefined) return () => {}
  let known = machine
  let isLooking = false
  let lateBefore = false

  async function lookAgain(): Promise<void> {
    if (isLooking) return
    isLooking = true
    const found = await findGpus(look)
    isLooking = false
    const isFirstLate = found.isLate === true && !lateBefore
    lateBefore = found.isLate === true
    if (isFirstLate) return
    const { gpuProblem: _, ...rest } = known
    const gpus = mergeGpus(known.gpus, found)
    const now = { ...rest, gpus, ...(found.problem === undefined ? {} : { gpuProblem: found.problem }) }
    if (JSON.stringify([now.gpus, now.gpuProblem]) === JSON.stringify([known.gpus, known.gpuProblem])) return
    known = now
    changed(now)
  }
  return clock.every(everyMs, () => void lookAgain())
}

export interface SplitOptions {
  nodes?: number | undefined
  /** Of the whole machine; default max(4, cores). */
  slots?: number | undefined
  /** Of the whole machine; below what systems give to outgoing connections. */
  ports?: { from: number; to: number } | undefined
  pool?: string | undefined
}

/** One machine as several logical nodes, so that gangs, racks and failures can be tried on a laptop. */
export function splitNodes(machine: Machine, options: SplitOptions = {}): NodeDescription[] {
  const count = options.nodes ?? 1
  const slots = options.slots ?? Math.max(4, machine.cores)
  const ports = options.ports ?? { from: 20_000, to: 31_999 }
  const portsEach = Math.floor((ports.to - ports.from + 1) / count)
  const host = hostLabel(machine.hostname)
  return Array.from({ length: count }, (_, index) => ({
    name: `${host}-${index}`,
    pool: options.pool ?? 'local',
    labels: { [label.zone]: 'local', [label.rack]: `rack-${index % 2}` },
    cpuMilli: Math.floor((machine.cores * 1000) / count),
    memoryBytes: Math.floor(machine.memoryBytes / count),
    slots: Math.max(1, share(slots, count, index)),
    podsMax: 1000,
    gpus: machine.gpus
      .filter((_gpu, at) => Math.floor((at * count) / machine.gpus.length) === index)
      .map(({ bus: _, ...device }) => device),
    ...(machine.gpuProblem === undefined ? {} : { gpuProblem: machine.gpuProblem }),
    ports: { from: ports.from + index * portsEach, to: ports.from + (index + 1) * portsEach - 1 },
    address: '127.0.0.1',
    info: machine.info,
  }))
}

function share(total: number, parts: number, index: number): number {
  return Math.floor(total / parts) + (index < total % parts ? 1 : 0)
}

/** A host name as a DNS label, short enough for a number behind it. */
function hostLabel(name: string): string {
  const label = (name.split('.')[0] ?? '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  return label.slice(0, 40).replace(/-+$/, '') || 'local'
}

interface Look extends FoundGpus {
  isLate?: boolean
}

async function findGpus(options: LookOptions): Promise<Look> {
  const query = await ask(gpuQuery, options)
  if (query === undefined) return { gpus: [] }
  if (typeof query !== 'string') return { gpus: [], problem: query.late, isLate: true }
  const needsList = query.split('\n').some((line) => line.split(',')[4]?.trim() === 'Enabled')
  const list = needsList ? await ask(gpuList, options) : ''
  return readGpus(query, typeof list === 'string' ? list : '')
}

/**
 * What it printed, whatever its exit status: a lost card makes it fail and still tell of the others. Where the driver
 * hangs it cannot even be killed, so nobody waits for its end; undefined: there is no such program.
 */
function ask(args: string[], options: LookOptions): Promise<string | { late: string } | undefined> {
  const { environment = process.env, timeoutMs = 20_000 } = options
  return new Promise((resolve) => {
    const child = execFile('nvidia-smi', args, { env: environment, maxBuffer: 4 << 20 }, (error, stdout, stderr) => {
      clearTimeout(timer)
      if (error !== null && error.code === 'ENOENT') resolve(undefined)
      else resolve(`${stdout}\n${stderr}`)
    })
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      child.stdout?.destroy()
      child.stderr?.destroy()
      child.unref()
      const seconds = Math.ceil(timeoutMs / 1000)
      resolve({ late: `nvidia-smi does not answer within ${seconds} s: the driver or a card hangs; see dmesg for Xid` })
    }, timeoutMs)
  })
}

/** A container's limit, where it is lower than the machine. */
function memoryLimit(): number {
  const total = totalmem()
  try {
    const limit = Number(readFileSync('/sys/fs/cgroup/memory.max', 'utf8'))
    return limit > 0 && limit < total ? limit : total
  } catch {
    return total
  }
}

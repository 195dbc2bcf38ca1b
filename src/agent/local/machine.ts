import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { arch, availableParallelism, hostname, platform, release, totalmem } from 'node:os'
import type { Device } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import type { NodeDescription } from '../contract.ts'
import { gpuList, gpuQuery, readGpus } from './gpus.ts'

export interface Machine {
  hostname: string
  cores: number
  memoryBytes: number
  gpus: Device[]
  /** Why no GPU could be asked about, where a driver is there but does not answer. */
  gpuProblem?: string
  info: Record<string, string>
}

export async function findMachine(): Promise<Machine> {
  const { gpus, problem } = await findGpus()
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
    gpus: machine.gpus.filter((_gpu, at) => Math.floor((at * count) / machine.gpus.length) === index),
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

async function findGpus(): Promise<{ gpus: Device[]; problem?: string }> {
  const query = await ask(gpuQuery)
  if (query === undefined) return { gpus: [] }
  const needsList = query.split('\n').some((line) => line.trim().endsWith('Enabled'))
  return readGpus(query, needsList ? ((await ask(gpuList)) ?? '') : '')
}

/** What it printed, whatever its exit status: a lost card makes it fail and still tell of the others. */
function ask(args: string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile('nvidia-smi', args, { timeout: 20_000, maxBuffer: 4 << 20 }, (error, stdout, stderr) => {
      if (error !== null && error.code === 'ENOENT') resolve(undefined)
      else resolve(`${stdout}\n${stderr}`)
    })
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

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { type ProcessId, parseProcess } from './shim.ts'

/** This boot of the machine: pids and start times mean nothing across boots. */
export const bootId: string = findBootId()

function findBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    try {
      return execFileSync('sysctl', ['-n', 'kern.boottime'], { encoding: 'utf8' })
        .replace(/[^0-9]+/g, '-')
        .slice(0, 64)
    } catch {
      return 'unknown-boot'
    }
  }
}

/** Whether the very process still runs. A zombie is dead, and so is another process that got the same pid. */
export function isAlive(id: ProcessId): boolean {
  const now = look(id.pid)
  return now !== undefined && now.startedAt === id.startedAt
}

function look(pid: number): ProcessId | undefined {
  if (hasProc) {
    try {
      const line = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const state = line.charAt(line.lastIndexOf(')') + 2)
      return state === 'Z' || state === 'X' ? undefined : parseProcess(line)
    } catch {
      return undefined
    }
  }
  if (!exists(pid)) return undefined
  try {
    const options = { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C', TZ: 'UTC0' } } as const
    const [state = '', ...started] = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], options)
      .trim()
      .split(/\s+/)
    return state.startsWith('Z') ? undefined : parseProcess(`${pid} ${started.join(' ')}`)
  } catch {
    return undefined
  }
}

export const hasProc: boolean = ((): boolean => {
  try {
    return readFileSync('/proc/self/stat', 'utf8').length > 0
  } catch {
    return false
  }
})()

/** Cheap: for polling a process whose identity was checked before. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // Nobody is left in the group.
  }
}

export function signalName(number: number): string | undefined {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0]
}

/** How often the kernel killed for want of memory since boot; undefined where it does not say. */
export function outOfMemoryKills(): number | undefined {
  try {
    const match = /^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))
    return match === null ? undefined : Number(match[1])
  } catch {
    return undefined
  }
}

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Cancel, Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { OutOfMemory } from '../contract.ts'
import { cellVerdict, findCellParent, isInCell, makeCell, removeCell } from './cell.ts'
import type { PodFolder } from './folders.ts'
import { killOne } from './kill.ts'
import { signalGroup } from './process.ts'
import { heldBytes, type ProcessRow, processTable, treeOf } from './resident.ts'

/**
 * Memory limits of pods that run as processes. What they guarantee:
 *
 * - Where this process may make cgroups (version 2: as root, or in a delegated tree such as a systemd user session), the
 *   kernel holds the limit. Nothing in the pod gets past it, swap does not stretch it, and the whole pod is killed.
 * - Elsewhere the pod is watched: once a second, what its processes hold is added up, and once that is over the limit all
 *   of them are killed. In between a pod may hold more, so the limit protects the machine from a pod that leaks, not from
 *   one that takes everything within a second. On Linux held is what could not be dropped: anonymous and shared memory,
 *   each page once; mapped files do not count, nor does what was written to a tmpfs without mapping it. On macOS it is
 *   the resident size that `ps` tells, where shared pages count for each process.
 * - Either way the pod ends as OOMKilled with the limit in its message, also when the agent dies in between.
 *
 * Pods without a limit cost nothing: no cgroup, no file, no timer.
 */
export interface MemoryLimits {
  /** Before the start. What the command writes itself into on its way, to be held by the kernel; '': there is no such. */
  set(folder: PodFolder, uid: string, limitBytes: number): string
  /** From when its processes run until cancelled: `commandPid` says whether it is where `set` wanted it. */
  hold(folder: PodFolder, shimPid: number, commandPid: number | undefined): Cancel
  /** After the end: whether it was this limit. Repeatable, also by the next agent. */
  verdict(folder: PodFolder): OutOfMemory | undefined
  /** Watches no pod any more. */
  close(): void
}

export function createMemoryLimits(clock: Clock, log: Log, cellParent = cellParentHere): MemoryLimits {
  /** On a full disk the record cannot be written, but whoever killed knows why. */
  const killed = new Map<string, OutOfMemory>()
  const watches = new Set<Cancel>()
  return {
    set(folder, uid, limitBytes) {
      const parent = cellParent()
      let cell = parent === undefined ? '' : join(parent, `millwright-${uid}`)
      try {
        if (cell !== '') makeCell(cell, limitBytes)
      } catch (error) {
        log.warn('no cgroup for a pod: its memory is watched instead', { error: messageOf(error) })
        cell = ''
      }
      writeFileSync(folder.limit, `${limitBytes}\n${cell}\n`, { mode: 0o600 })
      return cell === '' ? '' : join(cell, 'cgroup.procs')
    },
    hold(folder, shimPid, commandPid) {
      const limit = readLimit(folder)
      if (limit === undefined) return () => {}
      if (limit.cell !== undefined && (commandPid === undefined || isInCell(limit.cell, commandPid))) return () => {}
      const stop = watcherOf(clock).add({
        shimPid,
        limitBytes: limit.bytes,
        over(seenBytes, tree) {
          log.warn('a pod is over its memory limit and is killed', { limitBytes: limit.bytes, seenBytes })
          const seen = { limitBytes: limit.bytes, seenBytes }
          killed.set(folder.root, seen)
          recordOutOfMemory(folder, seen)
          signalGroup(shimPid, 'SIGKILL')
          for (const { pid, group } of tree) if (group !== shimPid) killOne(pid)
        },
      })
      watches.add(stop)
      return () => {
        watches.delete(stop)
        stop()
      }
    },
    verdict(folder) {
      const recorded = killed.get(folder.root) ?? readOutOfMemory(folder)
      killed.delete(folder.root)
      const limit = recorded === undefined ? readLimit(folder) : undefined
      if (limit?.cell === undefined) return recorded
      const seen = cellVerdict(limit.cell, limit.bytes)
      if (seen !== undefined) recordOutOfMemory(folder, seen)
      return seen
    },
    close() {
      for (const stop of watches) stop()
      watches.clear()
    },
  }
}

/** Lets go of the cgroup that was made for a pod; whatever is still in it ends. */
export async function freeCell(folder: PodFolder): Promise<void> {
  const cell = readLimit(folder)?.cell
  // The killed take a moment to leave.
  for (let tries = 0; cell !== undefined && !removeCell(cell) && tries < 20; tries++) await pause(50)
}

/** Looked for once, by the first pod that has a limit. */
function cellParentHere(): string | undefined {
  knownParent ??= { folder: findCellParent() }
  return knownParent.folder
}
let knownParent: { folder: string | undefined } | undefined

interface Watched {
  shimPid: number
  limitBytes: number
  over(seenBytes: number, tree: readonly ProcessRow[]): void
}

/** One pass a second over the process table for all pods with a limit, whichever logical node they are of. */
function createWatcher(clock: Clock) {
  const watched = new Set<Watched>()
  let beat: Cancel | undefined
  let isLooking = false

  async function look(): Promise<void> {
    if (isLooking) return
    isLooking = true
    try {
      const table = await processTable()
      for (const each of watched) {
        const tree = treeOf(each.shimPid, table)
        const seenBytes = heldOver(tree, each.limitBytes)
        if (seenBytes === undefined) continue
        remove(each)
        each.over(seenBytes, tree)
      }
    } catch {
      // No descriptor left, or the like: the next look may have one.
    } finally {
      isLooking = false
    }
  }

  function remove(each: Watched): void {
    watched.delete(each)
    if (watched.size > 0) return
    beat?.()
    beat = undefined
  }

  return {
    add(each: Watched): Cancel {
      watched.add(each)
      beat ??= clock.every(lookMs, () => void look())
      return () => remove(each)
    },
  }
}

const lookMs = 1000

/** What the tree holds where that is over the limit: each answer is asked for only where the cheaper one is over. */
function heldOver(tree: readonly ProcessRow[], limitBytes: number): number | undefined {
  if (sum(tree.map((row) => row.residentBytes)) <= limitBytes) return undefined
  if (sum(tree.map((row) => heldBytes(row, 'cheap'))) <= limitBytes) return undefined
  const held = sum(tree.map((row) => heldBytes(row, 'exact')))
  return held > limitBytes ? held : undefined
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}

const watchers = new WeakMap<Clock, ReturnType<typeof createWatcher>>()
function watcherOf(clock: Clock): ReturnType<typeof createWatcher> {
  const known = watchers.get(clock) ?? createWatcher(clock)
  watchers.set(clock, known)
  return known
}

/** Beside the exit record, so that whoever finds the pod ended knows why. A container's runner writes it, too. */
export function recordOutOfMemory(folder: PodFolder, seen: OutOfMemory): void {
  try {
    writeFileSync(folder.outOfMemory, `${JSON.stringify(seen)}\n`, { mode: 0o600 })
  } catch {
    // A full disk: the end is told without its reason.
  }
}

function readOutOfMemory(folder: PodFolder): OutOfMemory | undefined {
  try {
    const { limitBytes, seenBytes } = JSON.parse(readFileSync(folder.outOfMemory, 'utf8')) as Record<string, unknown>
    if (typeof limitBytes !== 'number') return {}
    return { limitBytes, ...(typeof seenBytes === 'number' ? { seenBytes } : {}) }
  } catch {
    return undefined
  }
}

function readLimit(folder: PodFolder): { bytes: number; cell?: string } | undefined {
  try {
    const [bytes = '', cell = ''] = readFileSync(folder.limit, 'utf8').split('\n')
    return Number(bytes) > 0 ? { bytes: Number(bytes), ...(cell === '' ? {} : { cell }) } : undefined
  } catch {
    return undefined
  }
}

import { readdirSync, readFileSync } from 'node:fs'
import { hasProc, signalGroup } from './process.ts'
import { type ProcessRow, processTable, treeOf } from './resident.ts'

/**
 * What leaves its pod's process group ends with the pod all the same: torchrun gives each worker a session of its own,
 * and one that lives on keeps its GPU. Found and killed in one go, so that no pid can have become another's.
 */

/** Kills the shim's group, and all that descends from it: to be found, these need their parents alive. */
export async function killTree(shimPid: number): Promise<void> {
  const table: ProcessRow[] = await processTable().catch(() => []) // no descriptor left, or the like
  signalGroup(shimPid, 'SIGKILL')
  for (const { pid, group } of treeOf(shimPid, table)) if (group !== shimPid) killOne(pid)
}

/**
 * Kills what an ended pod has left, whoever its parents were: on Linux its environment says where it comes from. On macOS
 * there is nothing to tell it by.
 */
export function killLeftovers(uid: string): void {
  const killed = new Set<number>()
  // Whoever was killed may just have forked.
  for (let before = -1; before < killed.size; ) {
    before = killed.size
    for (const pid of pids()) {
      if (!isOf(uid, pid)) continue
      killOne(pid)
      killed.add(pid)
    }
  }
}

function pids(): number[] {
  if (!hasProc) return []
  try {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0)
  } catch {
    return [] // no descriptor left
  }
}

/** By the progress file, which every pod is told. */
function isOf(uid: string, pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/environ`, 'latin1')
    return text.includes(uid) && text.split('\0').some((entry) => isMark(entry, uid))
  } catch {
    return false // it ended while we looked, or is another user's
  }
}

function isMark(entry: string, uid: string): boolean {
  return entry.startsWith('MILLWRIGHT_PROGRESS=') && entry.endsWith(`/pods/${uid}/job/progress`)
}

export function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}

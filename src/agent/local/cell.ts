import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { OutOfMemory } from '../contract.ts'

/**
 * A cgroup (version 2) of one pod, in which the kernel itself holds the memory limit: nothing in it, children and page
 * cache included, gets past the limit even for an instant, and when it must kill it kills the whole pod.
 */

/** The folder under which cells can be made here, found by making one; undefined: watch instead. */
export function findCellParent(root = '/sys/fs/cgroup', own = ownGroup()): string | undefined {
  if (own === undefined || !words(join(root, 'cgroup.controllers')).includes('memory')) return undefined
  // A group that holds processes cannot bound its children, so mostly it is one above our own.
  for (let folder = join(root, own); folder.startsWith(root); folder = dirname(folder)) {
    if (words(join(folder, 'cgroup.subtree_control')).includes('memory') && canUse(folder)) return folder
    if (folder === root) break
  }
  return undefined
}

function ownGroup(): string | undefined {
  return /^0::(\/.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1]
}

/** Permission to make a cell is not yet permission to enter it, so somebody tries. */
function canUse(parent: string): boolean {
  const cell = join(parent, `millwright-try-${process.pid}`)
  try {
    makeCell(cell, 64 << 20)
    const entered = spawnSync('/bin/sh', ['-c', 'printf 0 >>"$1"', 'sh', join(cell, 'cgroup.procs')], {
      stdio: 'ignore',
    })
    return entered.status === 0
  } catch {
    return false
  } finally {
    removeCell(cell)
  }
}

/** May be repeated: two agents that start one pod at once use the same. */
export function makeCell(cell: string, limitBytes: number): void {
  mkdirSync(cell, { recursive: true })
  writeFileSync(join(cell, 'memory.max'), String(limitBytes))
  writeFileSync(join(cell, 'memory.oom.group'), '1')
  try {
    writeFileSync(join(cell, 'memory.swap.max'), '0') // a limit that may be swapped past is none
  } catch {
    // A kernel without swap accounting.
  }
}

export function isInCell(cell: string, pid: number): boolean {
  return (read(join(cell, 'cgroup.procs')) ?? '').split('\n').includes(String(pid))
}

/** What the kernel did in it. */
export function cellVerdict(cell: string, limitBytes: number): OutOfMemory | undefined {
  const kills = /^oom_kill (\d+)$/m.exec(read(join(cell, 'memory.events')) ?? '')?.[1]
  if (kills === undefined || Number(kills) === 0) return undefined
  return { limitBytes }
}

/** Ends whatever is still in it. False: not empty yet, try again. */
export function removeCell(cell: string): boolean {
  try {
    writeFileSync(join(cell, 'cgroup.kill'), '1')
  } catch {
    // A kernel before 5.14, or it is gone.
  }
  try {
    rmdirSync(cell)
    return true
  } catch (error) {
    return (error as { code?: unknown }).code === 'ENOENT'
  }
}

function words(path: string): string[] {
  return (read(path) ?? '').trim().split(/\s+/)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { hasProc } from './process.ts'

/** A process as one look at the machine's process table sees it. */
export interface ProcessRow {
  pid: number
  parent: number
  group: number
  /** 0 where the table does not tell. */
  session: number
  residentBytes: number
}

/** The process table, in one pass: /proc where there is one, else `ps`. */
export async function processTable(): Promise<ProcessRow[]> {
  return hasProc ? tableOfProc() : parsePs(await askPs())
}

/**
 * What belongs to the shim `root`, without the shim itself: its session and group, and all that descends from it. Only
 * a process that left the session and outlived its parent is missed.
 */
export function treeOf(root: number, table: readonly ProcessRow[]): ProcessRow[] {
  const isMember = new Map<number, boolean>([[root, true]])
  const byPid = new Map(table.map((row) => [row.pid, row]))
  const look = (row: ProcessRow): boolean => {
    const known = isMember.get(row.pid)
    if (known !== undefined) return known
    isMember.set(row.pid, false) // a pid that was used again within the pass may close a circle
    const parent = byPid.get(row.parent)
    const answer = row.group === root || row.session === root || (parent !== undefined && look(parent))
    isMember.set(row.pid, answer)
    return answer
  }
  return table.filter((row) => row.pid !== root && look(row))
}

/**
 * What a process holds that cannot be dropped or read again: its own pages, and its part of those that it shares. Files
 * that it maps (a model of many gigabytes) are not counted, nor is a page that ten workers share counted ten times. The
 * exact answer walks the page tables, so it is asked only where the cheap one says that it matters.
 */
export function heldBytes(row: ProcessRow, how: 'cheap' | 'exact'): number {
  if (!hasProc) return row.residentBytes
  try {
    const text = readFileSync(`/proc/${row.pid}/${how === 'cheap' ? 'status' : 'smaps_rollup'}`, 'utf8')
    const names = how === 'cheap' ? ['RssAnon', 'RssShmem'] : ['Pss_Anon', 'Pss_Shmem']
    const parts = names.map((name) => kibibytes(text, name))
    if (parts.every((part) => part !== undefined)) return 1024 * parts.reduce((sum, part) => sum + (part ?? 0), 0)
    const whole = how === 'cheap' ? undefined : kibibytes(text, 'Pss')
    return whole === undefined ? row.residentBytes : 1024 * whole
  } catch (error) {
    const code = (error as { code?: unknown }).code
    return code === 'ENOENT' || code === 'ESRCH' ? 0 : row.residentBytes // gone meanwhile, or not ours to look into
  }
}

function kibibytes(text: string, name: string): number | undefined {
  const found = new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

function tableOfProc(): ProcessRow[] {
  const rows: ProcessRow[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const row = parseStat(readFileSync(`/proc/${name}/stat`, 'utf8'))
      if (row !== undefined) rows.push(row)
    } catch {
      // It ended while we looked.
    }
  }
  return rows
}

/** proc(5): after the name in brackets come state (3rd), ppid, pgrp, session, …, rss in pages (24th). */
function parseStat(line: string): ProcessRow | undefined {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const [parent, group, session] = fields.slice(1, 4).map(Number)
  const pages = Number(fields[21])
  if (parent === undefined || group === undefined || session === undefined || Number.isNaN(pages)) return undefined
  return { pid: Number.parseInt(line, 10), parent, group, session, residentBytes: pages * pageBytes() }
}

let knownPageBytes: number | undefined
/** From the auxiliary vector (AT_PAGESZ, 6): pairs of machine words. */
function pageBytes(): number {
  if (knownPageBytes !== undefined) return knownPageBytes
  knownPageBytes = 4096
  try {
    const vector = readFileSync('/proc/self/auxv')
    for (let at = 0; at + 16 <= vector.length; at += 16)
      if (vector.readBigUInt64LE(at) === 6n) knownPageBytes = Number(vector.readBigUInt64LE(at + 8))
  } catch {
    // The usual size.
  }
  return knownPageBytes
}

const psArguments = ['-A', '-o', 'pid=,ppid=,pgid=,rss=']

function askPs(): Promise<string> {
  return new Promise((resolve) => {
    execFile('ps', psArguments, { timeout: 5000, maxBuffer: 8 << 20 }, (error, stdout) =>
      resolve(error === null ? stdout : ''),
    )
  })
}

/** `ps -o pid=,ppid=,pgid=,rss=`: the last in KiB. */
export function parsePs(text: string): ProcessRow[] {
  return text.split('\n').flatMap((line) => {
    const [pid, parent, group, kib] = line.trim().split(/\s+/).map(Number)
    if (pid === undefined || parent === undefined || group === undefined || kib === undefined) return []
    return [{ pid, parent, group, session: 0, residentBytes: kib * 1024 }]
  })
}

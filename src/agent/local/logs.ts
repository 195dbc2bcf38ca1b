import { appendFileSync, readFileSync, renameSync, statSync } from 'node:fs'
import { copyFile, open, rm, stat, truncate } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import type { LogOptions, Pod } from '../../model/kinds/kubernetes.ts'
import { readExit } from './exit.ts'
import { type PodFolder, podFolder } from './folders.ts'

/** The output of a pod of this machine, whoever runs it now. `dir` is the agent's folder. */
export function readPodLog(dir: string, pod: Pod, options: LogOptions = {}): AsyncIterable<Uint8Array> {
  return readLog(podFolder(dir, pod.metadata.uid ?? ''), options)
}

/** What was written so far, then, followed, what is written until the pod has ended. Survives rotation. */
export async function* readLog(folder: PodFolder, options: LogOptions = {}): AsyncGenerator<Uint8Array> {
  if (options.previous === true) return // a pod is never restarted in place here
  const { signal } = options
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY
  const stamp = options.timestamps === true ? createStamper(stampsOf(folder)) : undefined
  for await (const piece of pieces(folder, options)) {
    for (const bytes of stamp === undefined ? [piece.bytes] : stamp(piece)) {
      const part = bytes.length > left ? bytes.subarray(0, left) : bytes
      left -= part.length
      if (part.length > 0) yield part
      if (left <= 0 || signal?.aborted === true) return
    }
  }
}

interface Piece {
  file: 'older' | 'newer'
  offset: number
  bytes: Uint8Array
}

/** Whole lines, where they begin, in order; the last may lack its end. */
async function* pieces(folder: PodFolder, options: LogOptions): AsyncGenerator<Piece> {
  const starts = await whereToStart(folder, options)
  if (starts.older !== undefined) yield* read(folder.olderLog, 'older', starts.older)
  let offset = starts.newer
  for (;;) {
    const hasEnded = readExit(folder) !== undefined || !exists(folder.root)
    for await (const piece of read(folder.log, 'newer', offset)) {
      yield piece
      offset = piece.offset + piece.bytes.length
    }
    if (options.follow !== true || hasEnded || options.signal?.aborted === true) return
    await pause(100, undefined, options.signal === undefined ? {} : { signal: options.signal }).catch(() => {})
    if (((await stat(folder.log).catch(() => undefined))?.size ?? 0) < offset) offset = 0 // rotated
  }
}

async function* read(path: string, file: Piece['file'], from: number): AsyncGenerator<Piece> {
  const handle = await open(path, 'r').catch(() => undefined)
  if (handle === undefined) return
  try {
    const buffer = Buffer.allocUnsafe(64 * 1024)
    for (let offset = from; ; ) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset)
      if (bytesRead === 0) return
      yield { file, offset, bytes: Uint8Array.prototype.slice.call(buffer, 0, bytesRead) }
      offset += bytesRead
    }
  } finally {
    await handle.close()
  }
}

/** `older: undefined` leaves the rotated file out. */
async function whereToStart(folder: PodFolder, options: LogOptions): Promise<{ older?: number; newer: number }> {
  let starts: { older?: number; newer: number } = { older: 0, newer: 0 }
  if (options.sinceSeconds !== undefined) {
    const stamps = stampsOf(folder)
    const fromMs = Date.now() - options.sinceSeconds * 1000
    const newer = firstSince(stamps.newer, fromMs)
    const older = firstSince(stamps.older, fromMs)
    starts = older === undefined ? { newer: newer ?? sizeOf(folder.log) } : { older, newer: 0 }
  }
  if (options.tailLines === undefined) return starts
  const tail = await backwards(folder.log, options.tailLines)
  if (tail.lines >= options.tailLines || starts.older === undefined)
    return { newer: Math.max(starts.newer, tail.offset) }
  const older = await backwards(folder.olderLog, options.tailLines - tail.lines)
  return older.lines === 0
    ? { newer: tail.offset }
    : { older: Math.max(starts.older, older.offset), newer: tail.offset }
}

/** Where the last `lines` lines of a file begin, and how many there are up to that many. */
async function backwards(path: string, lines: number): Promise<{ offset: number; lines: number }> {
  const handle = await open(path, 'r').catch(() => undefined)
  if (handle === undefined) return { offset: 0, lines: 0 }
  try {
    const { size } = await handle.stat()
    if (lines <= 0) return { offset: size, lines: 0 }
    const buffer = Buffer.allocUnsafe(64 * 1024)
    let found = 0
    for (let end = size; end > 0; ) {
      const start = Math.max(0, end - buffer.length)
      await handle.read(buffer, 0, end - start, start)
      for (let at = end - start - 1; at >= 0; at--) {
        if (buffer[at] !== 10 || start + at === size - 1) continue
        found += 1
        if (found === lines) return { offset: start + at + 1, lines }
      }
      end = start
    }
    return { offset: 0, lines: size === 0 ? 0 : found + 1 }
  } finally {
    await handle.close()
  }
}

/** The last lines, at most so many and so large: for Reports. */
export async function tailOf(folder: PodFolder, lines = 20, bytesMax = 4096): Promise<string> {
  const { offset } = await backwards(folder.log, lines)
  const from = Math.max(offset, sizeOf(folder.log) - bytesMax)
  const parts: Uint8Array[] = []
  for await (const piece of read(folder.log, 'newer', from)) parts.push(piece.bytes)
  return new TextDecoder().decode(Buffer.concat(parts)).slice(-bytesMax)
}

/** When what was written up to an offset had been written, by the agent's look at the file a few times a second. */
interface Stamp {
  upTo: number
  atMs: number
}
function stampsOf(folder: PodFolder): { older: Stamp[]; newer: Stamp[] } {
  return { older: readStamps(`${folder.stamps}.1`), newer: readStamps(folder.stamps) }
}
function readStamps(path: string): Stamp[] {
  try {
    const lines = readFileSync(path, 'utf8').trim().split('\n')
    return lines.map((line) => line.split(' ').map(Number)).map(([upTo = 0, atMs = 0]) => ({ upTo, atMs }))
  } catch {
    return []
  }
}

function firstSince(stamps: Stamp[], fromMs: number): number | undefined {
  const index = stamps.findIndex((stamp) => stamp.atMs >= fromMs)
  return index < 0 ? undefined : (stamps[index - 1]?.upTo ?? 0)
}

/** Puts the time before each line; one that a piece cuts in two is stamped where it begins. For one reader. */
function createStamper(stamps: { older: Stamp[]; newer: Stamp[] }) {
  const clocks = { older: createTimes(stamps.older), newer: createTimes(stamps.newer) }
  let inLine = false
  return function* stamp(piece: Piece): Generator<Uint8Array> {
    const text = Buffer.from(piece.bytes)
    for (let from = 0; from < text.length; ) {
      const end = text.indexOf(10, from)
      const to = end < 0 ? text.length : end + 1
      const at = clocks[piece.file](piece.offset + from) ?? Date.now()
      const prefix = inLine ? '' : `${new Date(at).toISOString()} `
      yield Buffer.concat([Buffer.from(prefix), text.subarray(from, to)])
      inLine = end < 0
      from = to
    }
  }
}

/** When what is at an offset was written. Offsets are asked for in order, until the file begins anew. */
export function createTimes(stamps: Stamp[]): (offset: number) => number | undefined {
  let next = 0
  let last = 0
  return (offset) => {
    if (offset < last) next = 0
    last = offset
    while (stamps[next] !== undefined && (stamps[next]?.upTo ?? 0) <= offset) next++
    return stamps[next]?.atMs
  }
}

/** Beside a running pod: notes when output came, and keeps the file bounded. Called a few times a second. */
export function createLogKeeper(folder: PodFolder, bytesMax = logBytesMax) {
  let stampedUpTo = readStamps(folder.stamps).at(-1)?.upTo ?? 0
  let isRotating = false

  async function rotate(): Promise<void> {
    // The writer appends, so after the cut it goes on at the new end. What it writes in between is lost.
    await copyFile(folder.log, folder.olderLog)
    await truncate(folder.log, 0)
    try {
      renameSync(folder.stamps, `${folder.stamps}.1`)
    } catch {
      // Nothing was stamped yet.
    }
    stampedUpTo = 0
  }

  return {
    look(nowMs: number): void {
      const size = sizeOf(folder.log)
      if (size === stampedUpTo || isRotating) return
      try {
        appendFileSync(folder.stamps, `${size} ${nowMs}\n`, { mode: 0o600 })
      } catch {
        // A full disk: times are lost, the output is the pod's own affair.
      }
      stampedUpTo = size
      if (size <= bytesMax) return
      isRotating = true
      rotate()
        .catch(() => rm(folder.olderLog, { force: true })) // half a copy on a full disk only takes room
        .catch(() => {})
        .finally(() => {
          isRotating = false
        })
    },
  }
}

const logBytesMax = 10 * 1024 * 1024

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}

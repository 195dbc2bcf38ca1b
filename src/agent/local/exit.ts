import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import type { PodFolder } from './folders.ts'

/**
 * How a pod ended, as its shim writes it: the status a shell would report, right-aligned in the three places that the
 * shim took before it began, so that a full disk does not lose it. The file's time is the pod's end.
 */
export function readExit(folder: PodFolder): { status: number; atMs: number } | undefined {
  try {
    const match = /^ {0,2}(\d{1,3})\n$/.exec(readFileSync(folder.exit, 'utf8'))
    if (match === null) return undefined
    return { status: Number(match[1]), atMs: Math.round(statSync(folder.exit).mtimeMs) }
  } catch {
    return undefined
  }
}

/** In the shim's stead, where that was killed, too. */
export function recordExit(folder: PodFolder, status: number): void {
  const text = `${String(status).padStart(3)}\n`
  try {
    const file = openSync(folder.exit, 'r+')
    try {
      writeSync(file, text, 0)
    } finally {
      closeSync(file)
    }
  } catch {
    try {
      writeFileSync(folder.exit, text, { mode: 0o600 })
    } catch {
      // The folder is gone, or there never was room: the next look comes to the same end.
    }
  }
}

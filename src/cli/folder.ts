import { accessSync, constants, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { diskFull, isDiskFull, messageOf } from '../base/errors.ts'
import { Exit, exit } from './exit.ts'

/**
 * The folder of a factory, made when it is not there. Step by step: Node's own recursive mkdir never returns where
 * folders cannot be made, as in /proc (Node 20).
 */
export function makeFolder(dir: string): void {
  try {
    if (!isFolder(dir)) make(dir)
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    if (isDiskFull(error)) throw new Exit(exit.failed, `${diskFull(dir, error).message}.`)
    throw new Exit(exit.failed, `${whyUnusable(dir, error)}; choose another folder with --dir.`)
  }
}

function make(dir: string): void {
  const parent = dirname(dir)
  if (parent !== dir && !isFolder(parent)) make(parent)
  try {
    mkdirSync(dir, { mode: 0o700 })
  } catch (error) {
    if (!isFolder(dir)) throw error // else somebody was faster
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

export function whyUnusable(dir: string, error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EROFS':
      return `${dir} is on a disk that is mounted read-only`
    case 'EEXIST':
    case 'ENOTDIR':
      return `${dir} is not a folder: it, or what is above it, is a file`
    case 'EACCES':
    case 'EPERM':
      return `${dir} may not be used by this user`
    case 'ENOENT':
      return `no folder can be made at ${dir}`
    default:
      return `${dir} cannot be used (${messageOf(error)})`
  }
}

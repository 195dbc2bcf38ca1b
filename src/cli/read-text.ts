import { readFileSync } from 'node:fs'
import { Exit, exit } from './exit.ts'

/** A file that the command line names; `-` is standard input. */
export function readText(name: string, subject = name): string {
  try {
    return readFileSync(name === '-' ? 0 : name, 'utf8')
  } catch (error) {
    throw new Exit(exit.usage, `cannot read ${subject}: ${whyUnread((error as NodeJS.ErrnoException).code)}.`)
  }
}

export function whyUnread(code: string | undefined): string {
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file'
  if (code === 'EISDIR') return 'it is a folder; name its files'
  if (code === 'EACCES' || code === 'EPERM') return 'it is not readable by this user'
  return String(code)
}

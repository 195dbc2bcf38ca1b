import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { Exit, exit } from './exit.ts'
import { whyUnread } from './read-text.ts'

/** The keys of a file that its owner alone may read, one a line. A file without any is refused: it would ask for none. */
export function readKeys(flag: string, name: string): string[] {
  const { mode, text } = read(flag, name)
  if ((mode & 0o044) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, '0')
    throw new Exit(
      exit.usage,
      `${flag}: ${name} can be read by other users of this machine (mode ${shown}); \`chmod 600 ${name}\`.`,
    )
  }
  const keys = text.split('\n').map((line) => line.trim())
  const given = keys.filter((key) => key !== '')
  if (given.length === 0) throw new Exit(exit.usage, `${flag}: ${name} holds no key; write one a line.`)
  return given
}

function read(flag: string, name: string): { mode: number; text: string } {
  try {
    const file = openSync(name, 'r')
    try {
      return { mode: fstatSync(file).mode, text: readFileSync(file, 'utf8') }
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw new Exit(exit.usage, `${flag}: cannot read ${name}: ${whyUnread((error as NodeJS.ErrnoException).code)}.`)
  }
}

import { createReadStream } from 'node:fs'
import { basename, extname } from 'node:path'
import { formatRowError, TableError } from '../twin/import/table.ts'
import { Exit, exit } from './exit.ts'
import { whyUnread } from './read-text.ts'

/** What `read` makes of a file's rows (`-`: of standard input); what is wrong is told by line, and then `consequence`. */
export async function readTable<T>(
  file: string,
  read: (bytes: AsyncIterable<Uint8Array>, name: string) => Promise<T>,
  consequence: string,
): Promise<T> {
  try {
    const stream = file === '-' ? process.stdin : createReadStream(file)
    return await read(stream, basename(file, extname(file)))
  } catch (error) {
    if (error instanceof TableError) {
      const lines = error.errors.map((one) => `${file}:${formatRowError(one)}`)
      throw new Exit(exit.usage, `${lines.join('\n')}\n${consequence}`)
    }
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    throw new Exit(exit.usage, `cannot read ${file}: ${whyUnread(code)}.`)
  }
}

import { closeSync, openSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { type DocumentError, formatErrors } from '../compile/documents.ts'
import { fieldError, shown } from '../model/field-error.ts'
import { type PastClient, readClient } from '../twin/import/clients.ts'
import { readHistory } from '../twin/import/history.ts'
import { type PastRequests, readRequests } from '../twin/import/requests.ts'
import { readScenario } from '../twin/scenario/read.ts'
import { clientsNamed, tracesNamed } from '../twin/scenario/requests.ts'
import { filesNamed, resourcesNamed, type Setup, setupOf } from '../twin/scenario/setup.ts'
import { Exit, exit } from './exit.ts'
import { readTable } from './read-table.ts'
import { readText, whyUnread } from './read-text.ts'

/** All that a scenario names, from where it stands; throws what is wrong, with its place. */
export async function setupFrom(file: string): Promise<Setup> {
  const read = readScenario({ name: file, text: readText(file) })
  if ('errors' in read) throw wrong(read.errors)
  const beside = (path: string) => (isAbsolute(path) ? path : join(dirname(file), path))
  const missing = filesNamed(read).flatMap(({ path, at }): DocumentError[] => {
    const code = unreadable(beside(path))
    if (code === undefined) return []
    return [{ ...fieldError(at, whyUnread(code), { found: shown(path) }), file, ...read.positionOf(at) }]
  })
  if (missing.length > 0) throw wrong(missing)
  const files = resourcesNamed(read).map(({ path, atMs }) => {
    const name = beside(path)
    return { name, atMs, text: readText(name) }
  })
  const history = read.scenario.spec.history?.file
  const past = history === undefined ? [] : await rowsFrom(beside(history), (bytes) => readHistory(bytes))
  const requests = new Map<string, PastRequests>()
  for (const { path, format } of tracesNamed(read)) {
    const name = beside(path)
    requests.set(path, await rowsFrom(name, (bytes) => readRequests(format, bytes)))
  }
  const clients = new Map<string, PastClient>()
  for (const path of clientsNamed(read)) {
    const name = beside(path)
    clients.set(path, await rowsFrom(name, (bytes) => readClient(bytes)))
  }
  const made = setupOf(read, files, past, { requests, clients })
  if ('errors' in made) throw wrong(made.errors)
  return made.setup
}

/** Why a file cannot be read, as Node.js names it. */
function unreadable(path: string): string | undefined {
  try {
    if (statSync(path).isDirectory()) return 'EISDIR'
    closeSync(openSync(path, 'r'))
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

function wrong(errors: Parameters<typeof formatErrors>[0]): Exit {
  const what = errors.length === 1 ? 'an error' : `${errors.length} errors`
  return new Exit(exit.usage, `${what} in the scenario\n${formatErrors(errors)}`)
}

function rowsFrom<T>(file: string, read: (bytes: AsyncIterable<Uint8Array>) => Promise<T>): Promise<T> {
  return readTable(file, read, 'nothing was played')
}

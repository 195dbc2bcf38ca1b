import { createReadStream } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { formatErrors } from '../compile/documents.ts'
import { type PastClient, readClient } from '../twin/import/clients.ts'
import { readHistory } from '../twin/import/history.ts'
import type { PastJob } from '../twin/import/past-job.ts'
import { type PastRequests, readRequests } from '../twin/import/requests.ts'
import { formatRowError, TableError } from '../twin/import/table.ts'
import { readScenario } from '../twin/scenario/read.ts'
import { clientsNamed, tracesNamed } from '../twin/scenario/requests.ts'
import { resourcesNamed, type Setup, setupOf } from '../twin/scenario/setup.ts'
import { Exit, exit } from './exit.ts'
import { readText, whyUnread } from './read-text.ts'

/** All that a scenario names, from where it stands; throws what is wrong, with its place. */
export async function setupFrom(file: string): Promise<Setup> {
  const read = readScenario({ name: file, text: readText(file) })
  if ('errors' in read) throw wrong(read.errors)
  const beside = (path: string) => (isAbsolute(path) ? path : join(dirname(file), path))
  const files = resourcesNamed(read).map(({ path, atMs }) => {
    const name = beside(path)
    return { name, atMs, text: readText(name) }
  })
  const history = read.scenario.spec.history?.file
  const past = history === undefined ? [] : await historyFrom(beside(history))
  const requests = new Map<string, PastRequests>()
  for (const { path, format } of tracesNamed(read)) {
    const name = beside(path)
    requests.set(path, await rowsFrom(name, () => readRequests(format, createReadStream(name))))
  }
  const clients = new Map<string, PastClient>()
  for (const path of clientsNamed(read)) {
    const name = beside(path)
    clients.set(path, await rowsFrom(name, () => readClient(createReadStream(name))))
  }
  const made = setupOf(read, files, past, { requests, clients })
  if ('errors' in made) throw wrong(made.errors)
  return made.setup
}

function wrong(errors: Parameters<typeof formatErrors>[0]): Exit {
  const what = errors.length === 1 ? 'an error' : `${errors.length} errors`
  return new Exit(exit.usage, `${what} in the scenario\n${formatErrors(errors)}`)
}

function historyFrom(file: string): Promise<PastJob[]> {
  return rowsFrom(file, () => readHistory(createReadStream(file)))
}

async function rowsFrom<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof TableError)
      throw new Exit(exit.usage, error.errors.map((one) => `${file}:${formatRowError(one)}`).join('\n'))
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    throw new Exit(exit.usage, `cannot read ${file}: ${whyUnread(code)}.`)
  }
}

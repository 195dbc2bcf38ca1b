import { join } from 'node:path'
import type { Client } from '../../api/client.ts'
import { messageOf, OperatingError } from '../../base/errors.ts'
import type { Model } from '../../model/kinds/model.ts'
import { label } from '../../model/names.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import { fetchFile, partsOf } from '../fetch-file.ts'
import type { Global } from '../global.ts'
import { plain } from '../output.ts'
import { createProgress } from '../progress.ts'

export async function pull(name: string, folder: string, global: Global): Promise<void> {
  const { client, namespace } = await connect(global)
  const model = await resolveModel(client, namespace, name)
  // All of its paths are looked at before any of its bytes.
  const places = model.spec.files.map(({ path }) => join(folder, ...partsOf(path)))
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  for (const [i, file] of model.spec.files.entries()) {
    const progress = createProgress(plain(file.path), file.size, process.stderr, () => performance.now())
    const fetch = () => {
      const content = client.modelFile({ namespace, name: model.metadata.name }, file.sha256, stop.signal)
      return fetchFile(file, folder, content, progress.heard)
    }
    try {
      await fetch().catch(onceMore(fetch))
    } catch (error) {
      throw stop.signal.aborted
        ? new Exit(exit.interrupted, `${plain(file.path)} was not fetched; nothing of it is kept.`)
        : error
    } finally {
      progress.end()
    }
    console.log(plain(places[i] ?? ''))
  }
}

/** After a connection that was cut: the next may hold. Nothing is kept of the first. */
function onceMore<T>(fetch: () => Promise<T>): (error: unknown) => Promise<T> {
  return (error) => {
    if (!isCut(error)) throw error
    console.error(`${plain(messageOf(error))}; it is fetched once more`)
    return fetch()
  }
}

function isCut(error: unknown): boolean {
  return error instanceof OperatingError && (error.code === 'cut' || isCut(error.cause))
}

/** The version called `name`, or the newest version of the model called `name`. */
async function resolveModel(client: Client, namespace: string, name: string): Promise<Model> {
  const exact = await client.get('Model', { namespace, name })
  if (exact !== undefined) return exact
  const versions = (await client.list('Model', { namespace, labels: `${label.model}=${name}` })).items
  const newest = [...versions].sort((a, b) => b.spec.version - a.spec.version)[0]
  if (newest === undefined) {
    throw new Exit(
      exit.notFound,
      `there is no model "${name}" in namespace ${namespace}; \`millwright get models\` lists them.`,
    )
  }
  return newest
}

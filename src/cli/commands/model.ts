import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Client } from '../../api/client.ts'
import type { Model } from '../../model/kinds/workloads.ts'
import { label } from '../../model/names.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../program.ts'

export async function pull(name: string, folder: string, global: Global): Promise<void> {
  const { client } = connect(global)
  const model = await resolveModel(client, global.namespace, name)
  await mkdir(folder, { recursive: true })
  for (const file of model.spec.files) {
    const path = join(folder, inside(file.path))
    await mkdir(dirname(path), { recursive: true })
    await fetchFile(client, file, path)
    console.log(`${path}  ${file.size} bytes  sha256:${file.sha256.slice(0, 12)}…`)
  }
}

/** The version called `name`, or the newest version of the model called `name`. */
async function resolveModel(client: Client, namespace: string, name: string): Promise<Model> {
  const exact = await client.get('Model', { namespace, name })
  if (exact !== undefined) return exact
  const versions = (await client.list('Model', { namespace, labels: `${label.model}=${name}` })).items
  const newest = [...versions].sort((a, b) => b.spec.version - a.spec.version)[0]
  if (newest === undefined)
    throw new Exit(
      exit.notFound,
      `there is no model "${name}" in namespace ${namespace}; \`millwright get models\` lists them.`,
    )
  return newest
}

/** A manifest names files inside its own folder only. */
function inside(path: string): string {
  const clean = normalize(path)
  if (clean.startsWith('..') || clean.startsWith('/'))
    throw new Exit(exit.failed, `the model names a file outside its folder: ${path}`)
  return clean
}

async function fetchFile(
  client: Client,
  file: { sha256: string; size: number; path: string },
  path: string,
): Promise<void> {
  const partial = `${path}.partial`
  const hash = createHash('sha256')
  const tap = new Transform({
    transform(chunk, _encoding, done) {
      hash.update(chunk)
      done(null, chunk)
    },
  })
  try {
    await pipeline(client.blob(file.sha256), tap, createWriteStream(partial))
    if (hash.digest('hex') !== file.sha256)
      throw new Exit(exit.failed, `${file.path} is damaged: its checksum is not the recorded one. Nothing was kept.`)
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}

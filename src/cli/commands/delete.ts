import type { Client } from '../../api/client.ts'
import { type KindInfo, type KindName, kinds } from '../../model/registry.ts'
import { kindNamed } from '../arguments.ts'
import { choose, connectTo } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { readAll } from './apply.ts'

export async function remove(
  word: string | undefined,
  names: string[],
  options: { file: string[]; wait: boolean },
  global: Global,
): Promise<void> {
  const choice = await choose(global)
  const targets = wanted(word, names, options.file, choice.namespace)
  const { client } = connectTo(choice)
  for (const target of targets) {
    const done = await client.delete(target.info.kind, target.ref)
    if (done === 'missing') throw new Exit(exit.notFound, `there is no ${target.info.kind} "${target.ref.name}".`)
    if (options.wait) await gone(client, target)
    console.log(`${target.info.singular}/${target.ref.name} deleted`)
  }
}

interface Target {
  info: KindInfo
  ref: { name: string; namespace?: string | undefined }
}

function wanted(word: string | undefined, names: string[], files: string[], namespace: string): Target[] {
  if (files.length > 0) {
    return readAll(files, namespace).map((object) => ({
      info: kinds[object.kind as KindName],
      ref: { name: object.metadata.name, namespace: object.metadata.namespace },
    }))
  }
  if (word === undefined) throw new Exit(exit.usage, 'name what to delete: `millwright delete KIND NAME` or `-f FILE`.')
  const [kind, slashName] = word.split('/')
  const all = slashName === undefined ? names : [slashName, ...names]
  if (all.length === 0) throw new Exit(exit.usage, `name the ${word} to delete; nothing is deleted unless named.`)
  const info = kindNamed(kind ?? word)
  return all.map((name) => ({ info, ref: { name, namespace: info.namespaced ? namespace : undefined } }))
}

async function gone(client: Client, target: Target): Promise<void> {
  const stop = new AbortController()
  const scope = target.info.namespaced ? target.ref.namespace : undefined
  if ((await client.get(target.info.kind, target.ref)) === undefined) return
  const fields = `metadata.name=${target.ref.name}`
  for await (const event of client.watch(target.info.kind, { namespace: scope, fields }, stop.signal)) {
    if (event.type === 'DELETED' || (await client.get(target.info.kind, target.ref)) === undefined) break
  }
  stop.abort()
}

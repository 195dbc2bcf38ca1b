import type { Client } from '../../api/client.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import { keyOf } from '../../model/refs.ts'
import { type KindName, kinds } from '../../model/registry.ts'
import { kindNamed } from '../arguments.ts'
import { confirmDestruction } from '../confirm.ts'
import { choose, connectTo } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { type Family, familyOf, type Target, whenGone } from '../gone.ts'
import { plain, shortList } from '../output.ts'
import { readAll } from './apply.ts'

export async function remove(
  word: string | undefined,
  names: string[],
  options: { file: string[]; wait: boolean; yes?: boolean },
  global: Global,
): Promise<void> {
  const choice = await choose(global)
  const targets = wanted(word, names, options.file, choice.namespace)
  const { client } = connectTo(choice)
  const destroyed = options.yes === true ? [] : await workOn(client, targets)
  if (destroyed.length > 0) await confirmDestruction(destroyed)
  // All are asked for before one is awaited: they end at the same time.
  const deleted: Family[] = []
  const missing: Target[] = []
  for (const target of targets) {
    const family = options.wait ? await familyOf(client, target) : { ...target, uids: new Set<string>() }
    const done = await client.delete(target.info.kind, target.ref)
    if (done === 'missing') missing.push(target)
    else deleted.push(family)
  }
  const said = sayWhatIsAwaited(deleted)
  for (const target of deleted) {
    if (options.wait) await whenGone(client, target, said.waiting, said.signal)
    if (said.signal.aborted) return
    console.log(`${target.info.singular}/${target.ref.name} deleted`)
  }
  said.end()
  if (missing.length > 0)
    throw new Exit(
      exit.notFound,
      missing.map((target) => `there is no ${target.info.kind} "${target.ref.name}".`).join(' '),
    )
}

/** One line for each node or pool with something running: by its name nobody can tell. */
async function workOn(client: Client, targets: readonly Target[]): Promise<string[]> {
  const places = targets.filter(({ info }) => info.kind === 'Node' || info.kind === 'Pool')
  if (places.length === 0) return []
  const [nodes, pods] = [await client.list('Node'), await client.list('Pod')]
  const running = pods.items.filter(({ spec, status }) => spec.nodeName !== undefined && !isOver(status?.phase))
  return places.flatMap(({ info, ref }) => {
    const names = info.kind === 'Node' ? [ref.name] : nodesOf(ref.name, nodes.items)
    const there = running.filter(({ spec }) => names.includes(spec.nodeName ?? '')).map(keyOf)
    return there.length === 0
      ? []
      : [plain(`${info.kind}/${ref.name}: ${shortList(there)} run${there.length === 1 ? 's' : ''} on it`)]
  })
}

const isOver = (phase: string | undefined) => phase === 'Succeeded' || phase === 'Failed'

function nodesOf(pool: string, nodes: readonly Node[]): string[] {
  return nodes.filter(({ metadata }) => metadata.labels?.[label.pool] === pool).map(({ metadata }) => metadata.name)
}

const patienceMs = 2000

/** What is awaited, once that takes a while; Ctrl-C leaves it to end by itself. */
function sayWhatIsAwaited(deleted: readonly Target[]) {
  const stop = new AbortController()
  const sinceMs = performance.now()
  let said = ''
  const interrupted = () => {
    const names = deleted.map((target) => `${target.info.singular}/${target.ref.name}`).join(', ')
    console.error(`\n${names}: the deletion goes on without this command.`)
    process.exitCode = exit.interrupted
    stop.abort()
  }
  process.once('SIGINT', interrupted)
  return {
    signal: stop.signal,
    waiting(names: readonly string[]) {
      if (performance.now() - sinceMs < patienceMs) return
      const text = shortList(names)
      if (text !== said) console.error(plain(`waiting for ${text} to end; Ctrl-C leaves it to go on`))
      said = text
    },
    end: () => process.off('SIGINT', interrupted),
  }
}

function wanted(word: string | undefined, names: string[], files: string[], namespace: string): Target[] {
  if (files.length > 0) {
    return readAll(files, namespace, 'deleted').map((object) => ({
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

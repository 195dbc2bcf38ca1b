import { beforeEach, expect, test } from 'vitest'
import { OperatingError } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import type { Store } from './contract.ts'
import { found, podNamed, ref } from './contract-suite.ts'
import { createInformer } from './informer.ts'
import { createMemoryStore } from './memory/store.ts'

let clock: ManualClock
let store: Store

beforeEach(() => {
  clock = createManualClock()
  store = createMemoryStore({ clock, random: seededRandom(1), history: 20 })
})

function podsOf(from: Store, selectors = {}) {
  const informer = createInformer({
    store: from,
    clock,
    log: silentLog,
    kind: 'Pod',
    selectors,
    indexes: { app: (pod) => [pod.metadata.labels?.['app'] ?? 'none'] },
  })
  const log: string[] = []
  informer.onChange(({ type, object, previous }) => {
    log.push(`${type} ${object.metadata.name}${previous === undefined ? '' : ` was ${previous.metadata.name}`}`)
  })
  return { informer, log }
}

test('lists, then follows, in order', async () => {
  await store.create('Pod', podNamed('a'))
  const { informer, log } = podsOf(store)
  informer.start()
  await informer.synced()
  expect(log).toEqual(['ADDED a'])
  await store.create('Pod', podNamed('b'))
  const next = found(await store.patch('Pod', ref('a'), { metadata: { labels: { app: 'x' } } }))
  await store.delete('Pod', ref('b'))
  expect(log).toEqual(['ADDED a', 'ADDED b', 'MODIFIED a was a', 'DELETED b was b'])
  expect(informer.get(ref('a'))).toBe(next)
  expect(informer.list('default')).toEqual([next])
  expect(informer.list('other')).toEqual([])
  informer.stop()
  await store.create('Pod', podNamed('c'))
  expect(log).toHaveLength(4)
})

test('files objects under its indexes', async () => {
  const { informer } = podsOf(store)
  informer.start()
  await informer.synced()
  await store.create('Pod', { ...podNamed('a'), metadata: { name: 'a', namespace: 'default', labels: { app: 'x' } } })
  await store.create('Pod', podNamed('b'))
  const names = (value: string) => informer.by('app', value).map((pod) => pod.metadata.name)
  expect([names('x'), names('none'), names('y')]).toEqual([['a'], ['b'], []])
  await store.patch('Pod', ref('a'), { metadata: { labels: { app: 'y' } } })
  await store.delete('Pod', ref('b'))
  expect([names('x'), names('none'), names('y')]).toEqual([[], [], ['a']])
})

test('a late handler first learns what is known', async () => {
  await store.create('Pod', podNamed('a'))
  const { informer } = podsOf(store)
  informer.start()
  await informer.synced()
  const late: string[] = []
  const cancel = informer.onChange(({ type, object }) => void late.push(`${type} ${object.metadata.name}`))
  await store.create('Pod', podNamed('b'))
  cancel()
  await store.create('Pod', podNamed('c'))
  expect(late).toEqual(['ADDED a', 'ADDED b'])
})

test('what happened out of sight shows after the watch expired, deletions and rebirths included', async () => {
  const flaky = interruptible(store)
  const { informer, log } = podsOf(flaky.store)
  for (const name of ['kept', 'gone', 'reborn', 'changed']) await store.create('Pod', podNamed(name))
  informer.start()
  await informer.synced()
  log.length = 0
  flaky.cut()
  await store.delete('Pod', ref('gone'))
  await store.delete('Pod', ref('reborn'))
  await store.create('Pod', podNamed('reborn'))
  await store.patch('Pod', ref('changed'), { metadata: { labels: { x: 'y' } } })
  await store.create('Pod', podNamed('new'))
  flaky.end('expired')
  await clock.advance(0)
  expect(log).toEqual([
    'DELETED gone was gone',
    'MODIFIED changed was changed',
    'ADDED new',
    'DELETED reborn was reborn',
    'ADDED reborn',
  ])
  expect(informer.list()).toEqual(expect.arrayContaining([...(await store.list('Pod')).items]))
  await store.create('Pod', podNamed('after'))
  expect(log.at(-1)).toBe('ADDED after')
})

test('a store that fails is tried again', async () => {
  const flaky = interruptible(store)
  flaky.failLists(2)
  const { informer, log } = podsOf(flaky.store)
  await store.create('Pod', podNamed('a'))
  informer.start()
  await clock.advance(50)
  expect(informer.isSynced).toBe(false)
  await clock.advance(10_000)
  await informer.synced()
  expect(log).toEqual(['ADDED a'])
})

test('what its owner wrote is known before the watch brings it, and shown once', async () => {
  const slow = interruptible(store)
  const { informer, log } = podsOf(slow.store)
  informer.start()
  await informer.synced()
  slow.cut()
  const written = await store.create('Pod', podNamed('a'))
  if (written === 'exists') throw new Error('a is new')
  informer.wrote(written)
  expect(log).toEqual(['ADDED a'])
  informer.wrote(written)
  slow.end('expired')
  await clock.advance(0)
  expect(log).toEqual(['ADDED a'])
})

test('an answer that comes after the news of a deletion brings nothing back', async () => {
  const { informer, log } = podsOf(store)
  informer.start()
  await informer.synced()
  const written = await store.create('Pod', podNamed('a'))
  if (written === 'exists') throw new Error('a is new')
  await store.delete('Pod', { name: 'a', namespace: 'default' })
  await clock.advance(0)
  informer.wrote(written)
  expect(informer.list()).toEqual([])
  expect(log).toEqual(['ADDED a', 'DELETED a was a'])
})

test('what is found gone is gone before the watch says so, and not one made again under its name', async () => {
  const slow = interruptible(store)
  const { informer, log } = podsOf(slow.store)
  const { uid = '' } = found(await store.create('Pod', podNamed('a'))).metadata
  await store.create('Pod', podNamed('b'))
  informer.start()
  await informer.synced()
  slow.cut()
  await store.delete('Pod', ref('a'))
  informer.gone(ref('b'), uid)
  informer.gone(ref('a'), uid)
  informer.gone(ref('a'), uid)
  expect(log).toEqual(['ADDED a', 'ADDED b', 'DELETED a was a'])
  informer.wrote(found(await store.create('Pod', podNamed('a'))))
  informer.gone(ref('a'), uid)
  slow.end('expired')
  await clock.advance(0)
  expect(log).toEqual(['ADDED a', 'ADDED b', 'DELETED a was a', 'ADDED a'])
})

test('one that was made again under its name outlives the news of the first one’s end', async () => {
  const slow = interruptible(store)
  const { informer, log } = podsOf(slow.store)
  await store.create('Pod', podNamed('a'))
  informer.start()
  await informer.synced()
  slow.cut()
  const ref = { name: 'a', namespace: 'default' }
  await store.delete('Pod', ref)
  const again = await store.create('Pod', podNamed('a'))
  if (again === 'exists') throw new Error('a is new again')
  informer.wrote(again)
  slow.end('expired')
  await clock.advance(0)
  expect(informer.get(ref)?.metadata.uid).toBe(again.metadata.uid)
  expect(log).toEqual(['ADDED a', 'DELETED a was a', 'ADDED a'])
})

/** A store whose watches can be cut and whose lists can fail. */
function interruptible(inner: Store) {
  let cut = false
  let failures = 0
  let end: (reason: 'expired' | 'closed') => void = () => {}
  const watch: Store['watch'] = (kind, options, sink) => {
    cut = false
    end = sink.ended
    return inner.watch(kind, options, {
      event: (event) => {
        if (!cut) sink.event(event)
      },
      ended: sink.ended,
    })
  }
  const list: Store['list'] = async (kind, options) => {
    if (failures-- > 0) throw new OperatingError('unreachable', { retryAfterMs: 100 }, 'the store is away')
    return inner.list(kind, options)
  }
  return {
    store: { ...inner, watch, list },
    cut: () => {
      cut = true
    },
    end: (reason: 'expired' | 'closed') => end(reason),
    failLists: (count: number) => {
      failures = count
    },
  }
}

test('a server that lists what it could not be watched from is asked again after a rest', async () => {
  let lists = 0
  const stale: Store = {
    ...store,
    list: (kind, options) => {
      lists++
      return store.list(kind, options)
    },
    watch: (_kind, _options, sink) => {
      queueMicrotask(() => sink.ended('expired'))
      return () => undefined
    },
  }
  const { informer } = podsOf(stale)
  informer.start()
  await clock.advance(0)
  expect(lists).toBe(2)
  await clock.advance(60_000)
  expect(lists).toBeGreaterThan(2)
  expect(lists).toBeLessThan(60)
  informer.stop()
})

test('a server that is behind brings nothing back that was deleted', async () => {
  const flaky = interruptible(store)
  let stale: Awaited<ReturnType<Store['list']>> | undefined
  const list: Store['list'] = async (kind, options) => (stale as never) ?? (await flaky.store.list(kind, options))
  const { informer, log } = podsOf({ ...flaky.store, list })
  await store.create('Pod', podNamed('a'))
  informer.start()
  await informer.synced()
  stale = await store.list('Pod')
  await store.delete('Pod', ref('a'))
  await clock.advance(0)
  expect(log).toEqual(['ADDED a', 'DELETED a was a'])
  flaky.end('closed')
  await clock.advance(5_000)
  expect(log).toHaveLength(2)
  stale = undefined
  await store.create('Pod', podNamed('b'))
  await clock.advance(10_000)
  expect(log.slice(2)).toEqual(['ADDED b'])
  informer.stop()
})

test('who is to begin with all that was there at a revision takes no list that is older', async () => {
  const old = await store.list('Pod')
  const { metadata } = found(await store.create('Pod', podNamed('a')))
  let isBehind = true
  const list: Store['list'] = async (kind, options) => (isBehind ? (old as never) : await store.list(kind, options))
  const informer = createInformer({
    store: { ...store, list },
    clock,
    log: silentLog,
    kind: 'Pod',
    notBefore: metadata.resourceVersion,
  })
  informer.start()
  await clock.advance(1_000)
  expect(informer.isSynced).toBe(false)
  isBehind = false
  await clock.advance(10_000)
  expect(informer.list()).toHaveLength(1)
  informer.stop()
})

import { expect, test } from 'vitest'
import { createManualClock } from '../../base/manual-clock.ts'
import { seededRandom } from '../../base/random.ts'
import { createMemoryStore } from '../../store/memory/store.ts'
import { Behind } from './behind.ts'

const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }) as const

test('who is behind lists what was there so many writes ago, and may be watched from there', async () => {
  let see: Behind['see'] | undefined
  const store = createMemoryStore({
    clock: createManualClock(0),
    random: seededRandom(1),
    onEntry: (entry) => see?.(entry),
  })
  const behind = new Behind(store)
  see = (entry) => behind.see(entry)
  const first = await store.create('Namespace', namespace('a'))
  await store.create('Namespace', namespace('b'))
  await store.patch('Namespace', { name: 'a' }, { metadata: { labels: { x: 'y' } } })
  await store.create('Namespace', namespace('c'))
  const listed = await behind.list('Namespace', {}, 3)
  expect(listed.items).toEqual([first])
  const told: string[] = []
  store.watch(
    'Namespace',
    { from: listed.resourceVersion },
    {
      event: ({ type, object }) => void told.push(`${type} ${object.metadata.name}`),
      ended: () => undefined,
    },
  )
  await Promise.resolve()
  expect(told).toEqual(['ADDED b', 'MODIFIED a', 'ADDED c'])
  expect((await behind.list('Namespace', {}, 1)).items.map(({ metadata }) => metadata.name)).toEqual(['a', 'b'])
  expect((await behind.list('Namespace', { labels: 'x=y' }, 1)).items).toHaveLength(1)
})

import { expect, test } from 'vitest'
import { createManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { bootstrap } from './bootstrap.ts'

test('queue default and pool local are made again at the next start, and what their owner changed stays', async () => {
  const store = createMemoryStore({ clock: createManualClock(), random: seededRandom(1), fencing: true })
  await bootstrap(store)
  await store.delete('Queue', { name: 'default' })
  await store.patch('Pool', { name: 'local' }, { spec: { maxNodes: 7 } })
  await bootstrap(store)
  expect((await store.get('Queue', { name: 'default' }))?.spec.namespaces).toEqual(['*'])
  expect((await store.get('Pool', { name: 'local' }))?.spec.maxNodes).toBe(7)
  await store.delete('Pool', { name: 'local' })
  await bootstrap(store)
  expect(await store.get('Pool', { name: 'local' })).toBeDefined()
  await store.close()
})

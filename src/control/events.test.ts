import { expect, test } from 'vitest'
import { silentLog } from '../base/log.ts'
import { createManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { createEvents } from './events.ts'

test('the same said again counts up, and endless variety shares one event', async () => {
  const clock = createManualClock()
  const store = createMemoryStore({ clock, random: seededRandom(1) })
  const events = createEvents({ store, clock, log: silentLog, component: 'test' })
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default', uid: 'u' } }
  for (let index = 0; index < 3; index++) events.record(object, 'Normal', 'Same', 'again')
  for (let index = 0; index < 50; index++) events.record(object, 'Warning', 'Varied', `number ${index}`)
  await events.flush()
  const { items } = await store.list('Event')
  expect(items.find((event) => event.reason === 'Same')).toMatchObject({
    count: 3,
    message: 'again',
    involvedObject: { uid: 'u' },
  })
  const varied = items.filter((event) => event.reason === 'Varied')
  expect(varied.length).toBe(11)
  expect(varied.find((event) => event.message === 'number 49')?.count).toBe(40)
})

import { expect, test } from 'vitest'
import { silentLog } from '../../base/log.ts'
import { createManualClock } from '../../base/manual-clock.ts'
import { seededRandom } from '../../base/random.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Store } from '../../store/contract.ts'
import { createMemoryStore } from '../../store/memory/store.ts'
import { createGate } from '../gate.fixture.ts'
import { createViews } from '../views.ts'
import { createClosing } from './closing.ts'

test('of two that close a node the refusal of one does not make room in the budget while the other is written', async () => {
  const [clock, random] = [createManualClock(), seededRandom(1)]
  const store = createMemoryStore({ clock, random })
  const [answers, events] = [createGate(), createGate()]
  const slow: Store = {
    ...store,
    patch: async (...of) => {
      const written = await store.patch(...of)
      if (typeof written !== 'string') await answers.pass()
      return written
    },
    watch: (kind, options, sink) =>
      store.watch(kind, options, { ...sink, event: (event) => void events.pass().then(() => sink.event(event)) }),
  }
  for (const name of ['a', 'b', 'c']) {
    const node: Node = { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: {} }
    await store.create('Node', node)
  }
  const views = createViews({ store: slow, clock, random, log: silentLog })
  const closing = createClosing({ store: slow, views, events: { record: () => {}, flush: async () => {} } })
  const started = views.start()
  await clock.advance(0)
  await started
  const [a, b] = ['a', 'b'].map((name) => views.of('Node').get({ name }))
  if (a === undefined || b === undefined) throw new Error('no nodes')
  answers.close()
  events.close()
  const first = closing.close(a, 'it is slow')
  expect(await closing.takeOut(a, 'it is unhealthy', {}, undefined)).toBe('stale')
  expect(closing.whyNot(b)).toBeDefined()
  answers.open()
  events.open()
  expect(await first).toBeUndefined()
  await clock.advance(0)
  expect(closing.whyNot(b)).toBeDefined()
  views.stop()
  await store.close()
})

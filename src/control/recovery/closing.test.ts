import { beforeEach, expect, test } from 'vitest'
import { storeUnreachable } from '../../base/errors.ts'
import { createManualClock, type ManualClock } from '../../base/manual-clock.ts'
import { processOf } from '../../base/process.fixture.ts'
import { seededRandom } from '../../base/random.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Store } from '../../store/contract.ts'
import { createMemoryStore } from '../../store/memory/store.ts'
import { createGate, type Gate } from '../gate.fixture.ts'
import { createViews } from '../views.ts'
import { type Closing, createClosing } from './closing.ts'

/** Three nodes, of which one may be closed, and a store that does not take the patches of the control plane. */

let clock: ManualClock
let store: Store
let closing: Closing
let isAway: boolean
/** Of patches that were made; and what the control plane sees of nodes. */
let answers: Gate
let seen: Gate
beforeEach(async () => {
  isAway = false
  answers = createGate()
  seen = createGate()
  clock = createManualClock()
  store = createMemoryStore({ clock, random: seededRandom(1) })
  for (const name of ['a', 'b', 'c']) await create(name)
  const watch: Store['watch'] = (kind, options, sink) =>
    store.watch(kind, options, { ...sink, event: (event) => void seen.pass().then(() => sink.event(event)) })
  const views = createViews({ store: { ...store, watch }, ...processOf(clock, 2) })
  const patch: Store['patch'] = async (...of) => {
    if (isAway) throw storeUnreachable()
    const written = await store.patch(...of)
    if (typeof written !== 'string') await answers.pass()
    return written
  }
  const events = { record: () => {}, flush: async () => {} }
  closing = createClosing({ store: { ...store, patch }, views, events })
  const started = views.start()
  await clock.advance(0)
  await started
})

test('one that somebody cordons meanwhile is theirs', async () => {
  const [a, b] = [await node('a'), await node('b')]
  await store.patch('Node', { name: 'a' }, { spec: { unschedulable: true } })
  expect(await closing.close(a, 'a lemon')).toBe('stale')
  expect((await node('a')).metadata.annotations ?? {}).toEqual({})
  await clock.advance(0)
  expect(closing.whyNot(b)).toBeUndefined()
})

test('one that goes meanwhile has no place in the budget when it is back', async () => {
  const [a, b] = [await node('a'), await node('b')]
  await store.delete('Node', { name: 'a' })
  await closing.close(a, 'a lemon')
  await create('a')
  await clock.advance(0)
  expect(closing.whyNot(b)).toBeUndefined()
})

test('one of which nobody knows whether it was closed has its place until it changes', async () => {
  const [a, b] = [await node('a'), await node('b')]
  isAway = true
  await expect(closing.close(a, 'a lemon')).rejects.toThrow()
  expect(closing.whyNot(b)).toBe(
    '1 of the 3 nodes of pool (none) are out of service already, and no more than 1 may be',
  )
  await store.patch('Node', { name: 'a' }, { metadata: { labels: { x: 'y' } } })
  await clock.advance(0)
  expect(closing.whyNot(b)).toBeUndefined()
})

test('of two signs that close a node the refusal of one makes no room in the budget while the other is written', async () => {
  const [a, b] = [await node('a'), await node('b')]
  answers.close()
  seen.close()
  const first = closing.close(a, 'a lemon')
  expect(await closing.takeOut(a, 'it is not well', {}, undefined)).toBe('stale')
  expect(closing.whyNot(b)).toBeDefined()
  answers.open()
  seen.open()
  expect(await first).toBeUndefined()
  await clock.advance(0)
  expect(closing.whyNot(b)).toBeDefined()
})

const create = (name: string) => store.create('Node', { apiVersion: 'v1', kind: 'Node', metadata: { name } })

async function node(name: string): Promise<Node> {
  return (await store.get('Node', { name })) as Node
}

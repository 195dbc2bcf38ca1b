import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Event } from '../model/kinds/kubernetes.ts'
import { type Identified, involvedObjectOf } from '../model/refs.ts'
import type { Store } from '../store/contract.ts'

/** What a person should know happened, beside the object that it happened to. Lost in a crash: nothing depends on it. */
export interface Events {
  /** Returns at once. The same said again only counts up. */
  record(object: Identified, type: 'Normal' | 'Warning', reason: string, message: string): void
  /** Resolves when everything recorded so far is written, or was given up. */
  flush(): Promise<void>
}

/** Messages that differ in a number or a name must not fill the store: beyond so many they share one Event. */
const messagesPerReason = 10
const rememberedMax = 2_000
const pendingMax = 1_000

export function createEvents(options: { store: Store; clock: Clock; log: Log; component: string }): Events {
  const { store, clock, log, component } = options
  /** By what is said of whom: the Event's name and how often. Bounded: the oldest are forgotten. */
  const known = new Map<string, { name: string; count: number; first: string }>()
  const messages = new Map<string, Set<string>>()
  let pending = 0
  let tail: Promise<void> = Promise.resolve()

  function record(object: Identified, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (pending >= pendingMax) return
    pending++
    tail = tail
      .then(() => write(object, type, reason, message))
      .catch((error: unknown) => log.debug('an event could not be written', { reason, error: messageOf(error) }))
      .finally(() => {
        pending--
      })
  }

  async function write(object: Identified, type: string, reason: string, message: string): Promise<void> {
    const { name, namespace = 'default' } = object.metadata
    const key = keyFor(object, reason, message)
    const at = new Date(clock.now()).toISOString()
    const before = known.get(key)
    if (before !== undefined) {
      const patch = { count: before.count + 1, lastTimestamp: at, message }
      const patched = await store.patch('Event', { name: before.name, namespace }, patch)
      if (typeof patched !== 'string') {
        remember(key, { ...before, count: before.count + 1 })
        return
      }
    }
    const event: Event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: '', generateName: `${name.slice(0, 200)}.`, namespace },
      involvedObject: involvedObjectOf(object),
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: at,
      lastTimestamp: at,
      source: { component },
    }
    const created = await store.create('Event', event)
    if (created !== 'exists') remember(key, { name: created.metadata.name, count: 1, first: at })
  }

  function keyFor(object: Identified, reason: string, message: string): string {
    const about = `${object.metadata.uid ?? object.metadata.name} ${reason}`
    const said = messages.get(about) ?? new Set()
    if (!said.has(message) && said.size >= messagesPerReason) return about
    said.add(message)
    messages.delete(about)
    messages.set(about, said)
    bound(messages)
    return `${about} ${message}`
  }

  function remember(key: string, value: { name: string; count: number; first: string }): void {
    known.delete(key)
    known.set(key, value)
    bound(known)
  }

  return { record, flush: () => tail }
}

function bound(map: Map<string, unknown>): void {
  const oldest = map.keys().next()
  if (map.size > rememberedMax && oldest.done !== true) map.delete(oldest.value)
}

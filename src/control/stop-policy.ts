import type { Queue } from '../model/kinds/queue.ts'
import type { WatchOf } from './reconciler.ts'
import type { Views } from './views.ts'

/** Whether what runs in the queue is to stop as well; that nothing new starts is the scheduler's to see to. */
export function drains({ of }: Views, queue: string): boolean {
  return of('Queue').get({ name: queue })?.spec.stopPolicy === 'HoldAndDrain'
}

export function drainMessage(queue: string): string {
  return `queue ${queue} is stopped (spec.stopPolicy: HoldAndDrain)`
}

/** Brings back those who may have seats of a queue when it stops or starts; its numbers change every second. */
export function whenQueueStops(keysOf: (queue: string) => readonly string[]): WatchOf<'Queue'> {
  const known = new Map<string, Queue['spec']['stopPolicy']>()
  return {
    kind: 'Queue',
    keys: ({ metadata: { name }, spec: { stopPolicy } }, type) => {
      const before = known.get(name) ?? 'None'
      if (type === 'DELETED') known.delete(name)
      else known.set(name, stopPolicy)
      return before === (known.get(name) ?? 'None') ? [] : keysOf(name)
    },
  }
}

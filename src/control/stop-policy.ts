import type { WatchOf } from './reconciler.ts'
import type { Views } from './views.ts'

/** Whether what runs in the queue is to stop as well; that nothing new starts is the scheduler's to see to. */
export function drains({ of }: Views, queue: string): boolean {
  return of('Queue').get({ name: queue })?.spec.stopPolicy === 'HoldAndDrain'
}

export function drainMessage(queue: string): string {
  return `queue ${queue} is stopped (spec.stopPolicy: HoldAndDrain)`
}

/** Brings back those who are in a queue when it stops, starts, goes or is ordered otherwise; its numbers change every second. */
export function whenQueueChanges(keysOf: (queue: string) => readonly string[]): WatchOf<'Queue'> {
  const known = new Map<string, string>()
  const here = 'None'
  return {
    kind: 'Queue',
    keys: ({ metadata: { name, deletionTimestamp }, spec: { stopPolicy, order } }, type) => {
      const before = known.get(name) ?? here
      if (type === 'DELETED') known.delete(name)
      else known.set(name, [stopPolicy, order, deletionTimestamp && 'leaving'].filter(Boolean).join())
      return before === (known.get(name) ?? here) ? [] : keysOf(name)
    },
  }
}

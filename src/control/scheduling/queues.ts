import type { Queue } from '../../model/kinds/queue.ts'
import { seatsNow } from '../gangs.ts'
import { again, type Context, type Reconciler, settled } from '../reconciler.ts'

/** A queue's numbers are for people: no need to write them for each of a thousand short jobs. */
const everyMs = 1_000

/** How many gangs of each queue run and wait, and what they hold. */
export function createQueues({ store, views, clock }: Context): Reconciler {
  const queues = views.of('Queue')
  const gangs = views.of('Gang')
  const writtenAtMs = new Map<string, number>()

  function statusFor(queue: Queue): NonNullable<Queue['status']> {
    const usage: Record<string, number> = {}
    let [running, waiting] = [0, 0]
    for (const gang of gangs.list()) {
      if (gang.spec.queue !== queue.metadata.name) continue
      const seats = seatsNow(gang)
      if (seats === undefined) {
        if (!gang.spec.suspend) waiting++
        continue
      }
      running++
      for (const member of seats.members) {
        const model = gang.spec.groups.find((group) => group.name === member.group)?.accelerators[0]?.model ?? 'cpu'
        const held = member.devices.reduce((sum, device) => sum + device.milli, 0) / 1000
        usage[model] = (usage[model] ?? 0) + held
      }
    }
    return { ...queue.status, conditions: queue.status?.conditions ?? [], running, waiting, usage }
  }

  return {
    name: 'queues',
    watches: [
      { kind: 'Queue', keys: (queue, type) => (type === 'DELETED' ? [] : [queue.metadata.name]) },
      { kind: 'Gang', keys: (gang) => [gang.spec.queue] },
    ],
    workers: 1,
    reconcile: async (name) => {
      const queue = queues.get({ name })
      if (queue === undefined) {
        writtenAtMs.delete(name)
        return settled()
      }
      const restMs = (writtenAtMs.get(name) ?? Number.NEGATIVE_INFINITY) + everyMs - clock.now()
      if (restMs > 0) return again(restMs)
      const status = statusFor(queue)
      if (JSON.stringify(status) === JSON.stringify(queue.status)) return settled()
      writtenAtMs.set(name, clock.now())
      await store.updateStatus('Queue', { ...queue, status })
      return settled()
    },
  }
}

import type { Queue } from '../../model/kinds/queue.ts'

/** What a Queue and those below it own together, as the scheduler sums it up. */
export interface Quota {
  /** Accelerators by model; what it says nothing of is nobody's. */
  accelerators: ReadonlyMap<string, number>
  /** It and those below it. */
  queues: ReadonlySet<string>
}

/** Of Queues that own something, or of which one below does. */
export function quotasOf(queues: readonly Queue[]): ReadonlyMap<string, Quota> {
  const byName = new Map(queues.map((queue) => [queue.metadata.name, queue]))
  const found = new Map(queues.map(({ metadata }) => [metadata.name, emptyQuota()]))
  for (const { metadata, spec } of queues) {
    const owned = Object.entries(spec.nominalQuota ?? {})
    const passed = new Set<string>()
    for (let name: string | undefined = metadata.name; name !== undefined && !passed.has(name); ) {
      passed.add(name)
      const quota = found.get(name)
      quota?.queues.add(metadata.name)
      for (const [model, count] of owned) quota?.accelerators.set(model, (quota.accelerators.get(model) ?? 0) + count)
      name = byName.get(name)?.spec.parent
    }
  }
  return new Map([...found].filter(([, { accelerators }]) => accelerators.size > 0))
}

const emptyQuota = () => ({ accelerators: new Map<string, number>(), queues: new Set<string>() })

import type { Clock } from '../base/clock.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../model/kinds/training-job.ts'
import { annotation } from '../model/names.ts'
import type { Store } from '../store/contract.ts'

const byShutdown = 'shutdown'
const over = new Set(['Succeeded', 'Failed'])

/** Before a stop: suspends every running job, so that each checkpoints and its next start resumes it. */
export async function suspendAll(
  store: Store,
  clock: Clock,
  graceMs: number,
  hurry: AbortSignal,
): Promise<'suspended' | 'grace is over'> {
  for (const job of await unfinished(store)) {
    if (job.spec.suspend) continue
    await store.patch('TrainingJob', refOf(job), {
      metadata: { annotations: { [annotation.suspendedBy]: byShutdown } },
      spec: { suspend: true },
    })
  }
  const until = clock.steadyMs() + graceMs
  while (clock.steadyMs() < until && !hurry.aborted) {
    const busy = (await unfinished(store)).filter((job) => job.status?.phase !== 'Suspended')
    if (busy.length === 0) return 'suspended'
    await clock.sleep(50, hurry)
  }
  return 'grace is over'
}

/** After a start: resumes what the last stop suspended, and nothing that a person suspended. */
export async function resumeAll(store: Store): Promise<number> {
  let resumed = 0
  for (const job of await unfinished(store)) {
    if (job.metadata.annotations?.[annotation.suspendedBy] !== byShutdown) continue
    await store.patch('TrainingJob', refOf(job), {
      metadata: { annotations: { [annotation.suspendedBy]: null } },
      spec: { suspend: false },
    })
    resumed += 1
  }
  return resumed
}

/** Pods that a node has and that have not ended. */
export async function livePods(store: Store): Promise<Pod[]> {
  const { items } = await store.list('Pod')
  return items.filter((pod) => pod.spec.nodeName !== undefined && !over.has(pod.status?.phase ?? ''))
}

async function unfinished(store: Store): Promise<TrainingJob[]> {
  const { items } = await store.list('TrainingJob')
  return items.filter((job) => !over.has(job.status?.phase ?? ''))
}

const refOf = (job: TrainingJob) => ({ namespace: job.metadata.namespace, name: job.metadata.name })

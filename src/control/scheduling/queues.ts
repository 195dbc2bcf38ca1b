import { setCondition } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { controllerOf, keyOf } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import { listFresh } from '../fresh.ts'
import { isNewIn } from '../missing.ts'
import { again, type Context, type Outcome, type Reconciler, settled, sooner } from '../reconciler.ts'
import { isFinished } from '../training/job.ts'

/** A queue's numbers are for people: no need to write them for each of a thousand short jobs. */
const everyMs = 1_000

/** Keeps a queue that is being deleted for as long as work names it: without it all of that would wait for ever. */
export const queueFinalizer = 'millwright.dev/in-use'
const namedMax = 5

interface Work {
  jobs: readonly TrainingJob[]
  services: readonly InferenceService[]
  gangs: readonly Gang[]
}

/** How many gangs of each queue run and wait, and what they hold; and that none goes while it is in use. */
export function createQueues({ store, views, clock }: Context): Reconciler {
  const queues = views.of('Queue')
  const gangs = views.of('Gang')
  const jobs = views.of('TrainingJob')
  const services = views.of('InferenceService')
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
        const group = gang.spec.groups.find(({ name }) => name === member.group)
        const model = member.model ?? group?.accelerators[0]?.model ?? 'cpu'
        const held = member.devices.reduce((sum, device) => sum + device.milli, 0) / 1000
        usage[model] = (usage[model] ?? 0) + held
      }
    }
    return { ...queue.status, conditions: conditionsOf(queue), running, waiting, usage }
  }

  function conditionsOf({ metadata, status }: Queue): NonNullable<Queue['status']>['conditions'] {
    const conditions = status?.conditions ?? []
    if (metadata.deletionTimestamp === undefined) return conditions
    const users = usersOf(metadata.name, workKnown())
    const more = users.length > namedMax ? `, and ${users.length - namedMax} more` : ''
    const message = `it goes when these have ended or name another queue: ${users.slice(0, namedMax).join(', ')}${more}`
    return setCondition(conditions, { type: 'InUse', status: 'True', reason: 'WorkRemains', message }, clock.now())
  }

  /** Jobs that have not ended and services, of those that it had, and whoever still holds seats that are charged to it. */
  function usersOf(name: string, { jobs, services, gangs }: Work): string[] {
    const isOld = (work: TrainingJob | InferenceService) =>
      work.spec.queue === name && !isNewIn(queues.get({ name }), work)
    const working = jobs.filter((job) => isOld(job) && !isFinished(job))
    const serving = services.filter(isOld)
    const users = [...working, ...serving].map((one) => `${one.kind} ${keyOf(one)}`)
    for (const gang of gangs) {
      if (gang.spec.queue !== name || seatsNow(gang) === undefined) continue
      const owner = controllerOf(gang)
      const { namespace = 'default' } = gang.metadata
      users.push(owner === undefined ? `Gang ${keyOf(gang)}` : `${owner.kind} ${namespace}/${owner.name}`)
    }
    return [...new Set(users)].toSorted()
  }

  function workKnown(): Work {
    return { jobs: jobs.list(), services: services.list(), gangs: gangs.list() }
  }

  /** What a view has not seen yet was made before the queue was to go, too; undefined: a server is behind. */
  async function workStored(): Promise<Work | undefined> {
    const [jobs, services, gangs] = await Promise.all([
      listFresh(store, 'TrainingJob'),
      listFresh(store, 'InferenceService'),
      listFresh(store, 'Gang'),
    ])
    return jobs === undefined || services === undefined || gangs === undefined ? undefined : { jobs, services, gangs }
  }

  /** Every queue carries the finalizer from its first moment, so that no work comes into it unseen before it goes. */
  async function protect({ metadata }: Queue): Promise<'kept' | 'changed'> {
    const { name, finalizers = [], deletionTimestamp, resourceVersion } = metadata
    const has = finalizers.includes(queueFinalizer)
    if (deletionTimestamp === undefined ? has : !has || (await isUsed(name))) return 'kept'
    const others = finalizers.filter((finalizer) => finalizer !== queueFinalizer)
    const after = deletionTimestamp === undefined ? [...others, queueFinalizer] : others
    await store.patch('Queue', { name }, { metadata: { finalizers: after } }, { resourceVersion })
    return 'changed'
  }

  async function isUsed(name: string): Promise<boolean> {
    if (usersOf(name, workKnown()).length > 0) return true
    const stored = await workStored()
    return stored === undefined || usersOf(name, stored).length > 0
  }

  async function tell(queue: Queue): Promise<Outcome> {
    const { name } = queue.metadata
    const restMs = (writtenAtMs.get(name) ?? Number.NEGATIVE_INFINITY) + everyMs - clock.steadyMs()
    if (restMs > 0) return again(restMs)
    const status = statusFor(queue)
    if (JSON.stringify(status) === JSON.stringify(queue.status)) return settled()
    writtenAtMs.set(name, clock.steadyMs())
    await store.updateStatus('Queue', { ...queue, status })
    return settled()
  }

  /** Jobs change with every step; only a queue that waits for them wants to hear of it. */
  function leaving(name: string): string[] {
    return queues.get({ name })?.metadata.deletionTimestamp === undefined ? [] : [name]
  }

  return {
    name: 'queues',
    watches: [
      { kind: 'Queue', keys: (queue, type) => (type === 'DELETED' ? [] : [queue.metadata.name]) },
      // The one that it has left, too: it waits there no more.
      { kind: 'Gang', keys: (gang, _type, previous = gang) => [previous.spec.queue, gang.spec.queue] },
      { kind: 'TrainingJob', keys: (job) => leaving(job.spec.queue) },
      { kind: 'InferenceService', keys: (service) => leaving(service.spec.queue) },
    ],
    workers: 1,
    reconcile: async (name) => {
      const queue = queues.get({ name })
      if (queue === undefined) {
        writtenAtMs.delete(name)
        return settled()
      }
      if ((await protect(queue)) === 'changed') return settled()
      // Whoever names another queue now brings that one here, not this one.
      const isLeaving = queue.metadata.deletionTimestamp !== undefined
      return sooner(await tell(queue), isLeaving ? again(everyMs) : settled())
    },
  }
}

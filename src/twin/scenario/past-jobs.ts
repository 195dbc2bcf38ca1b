import type { DocumentError } from '../../compile/documents.ts'
import { anyGpu, isMeant } from '../../model/accelerators.ts'
import { canonicalModel, modelOfProduct } from '../../model/catalogue.ts'
import { fieldError, shown } from '../../model/field-error.ts'
import { type TrainingJob, trainingJob } from '../../model/kinds/training-job.ts'
import { dnsLabel, millwrightVersion } from '../../model/metadata.ts'
import { nearest } from '../../model/nearest.ts'
import { membersOf, type PastJob } from '../import/past-job.ts'
import { acceleratorsOfNode } from './fleet.ts'
import type { ReadScenario } from './read.ts'

interface Found {
  atMs: number
  object: TrainingJob
}

/** A finished job is deleted after so long: a hundred thousand of them would fill the store. */
const ttlSeconds = 3600

/**
 * Jobs as they once came: each asks for the accelerators that it held, on as many nodes, and works for as long as it ran.
 * Its queue must be there, and its model in the fleet.
 */
export function jobsOfHistory(
  read: ReadScenario,
  past: readonly PastJob[],
  { queues, taken }: { queues: readonly string[]; taken: readonly string[] },
): { arrivals: Found[] } | { errors: DocumentError[] } {
  const { history, fleet } = read.scenario.spec
  if (history === undefined) return { arrivals: [] }
  const perNode = new Map<string, number>()
  for (const shape of fleet) {
    const { model, count } = acceleratorsOfNode(shape)
    perNode.set(model, Math.max(count, perNode.get(model) ?? 0))
  }
  const sole = perNode.size === 1 ? [...perNode.keys()][0] : undefined
  const gpus = [...perNode].flatMap(([model, count]) => (isMeant(anyGpu, model) ? [count] : []))
  if (gpus.length > 0) perNode.set(anyGpu, Math.max(...gpus))
  const queueOf = (job: PastJob) => history.queue ?? job.queue ?? 'default'
  const modelOf = (job: PastJob) => {
    const model = canonicalModel(history.accelerator ?? job.model ?? sole ?? anyGpu)
    const product = modelOfProduct(model) // as a node's label has it
    return !perNode.has(model) && perNode.has(product) ? product : model
  }
  const errors = [
    ...unknown(read, 'queue', past.map(queueOf), queues, 'is no Queue of this scenario'),
    ...unknown(read, 'accelerator', past.map(modelOf), [...perNode.keys()], 'is no model of this fleet'),
  ]
  if (errors.length > 0) return { errors }
  const names = namesOf(past, taken)
  return {
    arrivals: past.map((job, index) => ({
      atMs: Math.round(job.submitSeconds * 1000),
      object: jobOf(names[index] ?? `j${index}`, job, {
        queue: queueOf(job),
        model: modelOf(job),
        perNode: perNode.get(modelOf(job)) ?? 1,
      }),
    })),
  }
}

/** By which a job in a report is found again: as it was called there, where that is a name, and of one job. */
function namesOf(past: readonly PastJob[], taken: readonly string[]): string[] {
  const ids = past.map(({ id }) => (id ?? '').toLowerCase().replaceAll(/[._]/g, '-'))
  const counts = new Map<string, number>()
  for (const id of [...ids, ...taken]) counts.set(id, (counts.get(id) ?? 0) + 1)
  // `j3` is the fourth of a history, whatever another was called.
  const isName = (id: string) => dnsLabel.safeParse(id).success && counts.get(id) === 1 && !/^j\d+$/.test(id)
  return ids.map((id, index) => (isName(id) ? id : `j${index}`))
}

/** One error a name: a history may hold it a million times. */
function unknown(
  { file, positionOf }: ReadScenario,
  field: 'queue' | 'accelerator',
  names: readonly string[],
  known: readonly string[],
  message: string,
): DocumentError[] {
  const at = ['spec', 'history', field]
  return [...new Set(names)]
    .filter((name) => !known.includes(name))
    .map((name) => {
      // A model of another name is another model, not a slip of the pen.
      const suggestion = field === 'queue' ? nearest(name, known) : undefined
      const more = { found: shown(name), suggestion, allowed: suggestion === undefined ? known.join(', ') : undefined }
      const hint = `${message}; add it, or name one for all jobs here`
      return { ...fieldError(at, hint, more), file, ...positionOf(at) }
    })
}

function jobOf(
  name: string,
  job: PastJob,
  { queue, model, perNode }: { queue: string; model: string; perNode: number },
): TrainingJob {
  const { workers, count } = membersOf(job, perNode)
  const priority = Math.round(job.priority ?? 0)
  return plainJob(name, { queue, workers, accelerators: `${model}:${count}`, priority, seconds: job.durationSeconds })
}

/** One that works for so long, writes checkpoints, and is deleted a while after it has ended. */
export function plainJob(
  name: string,
  of: { queue: string; workers: number; accelerators: string; priority: number; seconds: number },
): TrainingJob {
  return trainingJob.parse({
    apiVersion: millwrightVersion,
    kind: 'TrainingJob',
    metadata: { name, namespace: 'default' },
    spec: {
      queue: of.queue,
      command: ['train'],
      workers: of.workers,
      resources: { accelerators: of.accelerators },
      priority: of.priority,
      expectedSeconds: of.seconds,
      checkpoint: { interval: 'auto' },
      ttlSecondsAfterFinished: ttlSeconds,
    },
  })
}

import type { Client } from '../api/client.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { InferenceService } from '../model/kinds/inference-service.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../model/kinds/training-job.ts'
import { label } from '../model/names.ts'
import { isOwnedBy } from '../model/refs.ts'

/** Its pods of every attempt, by who owns them: those of an older one of its name may still be ending. */
export async function podsOf(client: Client, owner: TrainingJob | InferenceService | Gang): Promise<Pod[]> {
  const { name, namespace = 'default' } = owner.metadata
  const scope = { namespace, labels: `${labels[owner.kind]}=${name}` }
  const gangs = owner.kind === 'Gang' ? [owner] : (await client.list('Gang', scope)).items
  const own = gangs.filter((gang) => gang === owner || isOwnedBy(gang, owner))
  const { items } = await client.list('Pod', scope)
  return items.filter((pod) => own.some((gang) => isOwnedBy(pod, gang)))
}

const labels = { TrainingJob: label.job, InferenceService: label.service, Gang: label.gang }

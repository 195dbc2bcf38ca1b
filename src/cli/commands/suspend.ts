import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'

export async function suspend(name: string, wanted: boolean, global: Global): Promise<void> {
  const { client, namespace } = await connect(global)
  const ref = { namespace, name: name.replace(/^.*\//, '') }
  const job = await client.get('TrainingJob', ref)
  const kind = job !== undefined ? 'TrainingJob' : 'InferenceService'
  const found = job ?? (await client.get('InferenceService', ref))
  if (found === undefined)
    throw new Exit(exit.notFound, `there is no job or service "${ref.name}" in namespace ${ref.namespace}.`)
  if (job?.status?.phase === 'Succeeded' || job?.status?.phase === 'Failed') {
    throw new Exit(
      exit.failed,
      `job ${ref.name} is over (${job.status.phase}); there is nothing to ${wanted ? 'suspend' : 'resume'}.`,
    )
  }
  if (found.spec.suspend === wanted)
    return console.log(`${ref.name} is ${wanted ? 'suspended' : 'not suspended'} already`)
  await client.patch(kind, ref, { spec: { suspend: wanted } })
  const hint = wanted ? `; \`millwright resume ${ref.name}\` lets it go on` : ''
  console.log(`${ref.name}: ${words[kind][wanted ? 'suspended' : 'resumed']}${hint}`)
}

const words = {
  TrainingJob: { suspended: 'checkpoints and stops', resumed: 'goes on when it has seats' },
  InferenceService: {
    suspended: 'takes no new requests, finishes those that it has, and stops',
    resumed: 'serves again when its replicas are ready',
  },
} as const

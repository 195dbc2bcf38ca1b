import type { Client } from '../../api/client.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import { oneOf } from '../arguments.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { plain } from '../output.ts'

/** Runs the scheduler here, on a listed snapshot: the same answer in every world. */
export async function why(name: string, options: { output?: string }, global: Global): Promise<void> {
  const output = oneOf('--output', options.output, ['text', 'json'], 'text')
  const { client, namespace } = await connect(global)
  const gangs = (await client.list('Gang', { namespace })).items
  const mine = gangs.filter(
    (gang) => gang.metadata.name === name || gang.metadata.labels?.['millwright.dev/service'] === name,
  )
  if (mine.length === 0) {
    const job = await client.get('TrainingJob', { namespace, name })
    if (job !== undefined)
      return console.log(`${name}: ${job.status?.phase ?? 'Pending'}. ${job.status?.message ?? ''}`)
    throw new Exit(exit.notFound, `there is no job, service or gang "${name}" in namespace ${namespace}.`)
  }
  const scheduler = await snapshot(client)
  const answers = mine.map((gang) => scheduler.why(`${gang.metadata.namespace}/${gang.metadata.name}`, Date.now()))
  if (output === 'json') return console.log(JSON.stringify(answers.length === 1 ? answers[0] : answers, null, 2))
  for (const answer of answers) {
    const asked = answer.asked.accelerators
      .map((accelerator) => `${accelerator.model}:${accelerator.count}`)
      .join(' or ')
    console.log(
      plain(
        `${answer.gang}: ${answer.state}${answer.placeInLine === undefined ? '' : `, number ${answer.placeInLine} in line`}`,
      ),
    )
    console.log(plain(`  ${answer.reason}: ${answer.message}`))
    if (answer.state !== 'waiting') continue
    console.log(
      `  asked  ${answer.asked.members} member${answer.asked.members === 1 ? '' : 's'}, ${asked} in all; free ${answer.free.map((free) => `${free.count} of ${free.total} ${free.model}`).join(', ') || 'none'}`,
    )
    if (answer.holders.length > 0) {
      console.log(
        plain(
          `  held   ${answer.holders
            .slice(0, 4)
            .map(
              (holder) => `${holder.gang} ${holder.accelerators} (queue ${holder.queue}, priority ${holder.priority})`,
            )
            .join(', ')}`,
        ),
      )
    }
    console.log(
      `  starts now with: ${answer.fixes.length > 0 ? answer.fixes.join('; or ') : 'nothing smaller than waiting was found'}`,
    )
  }
}

async function snapshot(client: Client) {
  const scheduler = createScheduler()
  for (const kind of ['Queue', 'Node', 'Gang', 'Pod'] as const) {
    for (const object of (await client.list(kind, {})).items)
      scheduler.apply({ kind, object } as Parameters<typeof scheduler.apply>[0])
  }
  scheduler.decide(Date.now())
  return scheduler
}

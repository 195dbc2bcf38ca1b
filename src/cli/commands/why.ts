import { oneOf } from '../arguments.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import { explained, explainedLines, explainedValue } from '../explained.ts'
import type { Global } from '../global.ts'
import { plain } from '../output.ts'

/** Where a job or a service stands, in its own words, and, where a gang of it waits for seats, why. */
export async function why(word: string, options: { output?: string }, global: Global): Promise<void> {
  const output = oneOf('--output', options.output, ['text', 'json'], 'text')
  const { client, namespace } = await connect(global)
  const name = word.replace(/^.*\//, '')
  const nowMs = Date.now()
  const found = await explained(client, namespace, name, nowMs)
  if (found === undefined)
    throw new Exit(exit.notFound, `there is no job, service or gang "${name}" in namespace ${namespace}.`)
  if (output === 'json') console.log(JSON.stringify(explainedValue(found), null, 2))
  else for (const line of explainedLines(found, nowMs)) console.log(plain(line))
}

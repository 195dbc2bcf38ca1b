import { explainOf, type Written } from '../../model/explain.ts'
import { jsonSchemaOfWritten } from '../../model/json-schema.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { apiVersionOf } from '../../model/registry.ts'
import { scenario } from '../../twin/scenario/scenario.ts'
import { kindNamed } from '../arguments.ts'
import { Exit, exit } from '../exit.ts'

export function schema(kind: string): void {
  console.log(JSON.stringify(jsonSchemaOfWritten(writtenNamed(kind)), null, 2))
}

export function explainField(path: string): void {
  const [kind = path, ...names] = path.split('.').filter((name) => name !== '')
  const answer = explainOf(writtenNamed(kind), names)
  if (typeof answer !== 'string') throw new Exit(exit.usage, answer.error)
  console.log(answer)
}

/** A scenario is no resource: the twin plays it from its file. */
function writtenNamed(word: string): Written {
  if (/^scenarios?$/i.test(word))
    return { kind: 'Scenario', singular: 'scenario', apiVersion: millwrightVersion, schema: scenario }
  const info = kindNamed(word)
  return { ...info, apiVersion: apiVersionOf(info) }
}

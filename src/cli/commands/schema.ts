import { explain, type Written, writtenOf } from '../../model/explain.ts'
import { jsonSchemaOf } from '../../model/json-schema.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { scenario } from '../../twin/scenario/scenario.ts'
import { kindNamed } from '../arguments.ts'
import { Exit, exit } from '../exit.ts'

/** No resource: the twin plays it from its file. */
const scenarioFile: Written = {
  kind: 'Scenario',
  singular: 'scenario',
  apiVersion: millwrightVersion,
  schema: scenario,
}

export function schema(kind: string): void {
  console.log(JSON.stringify(jsonSchemaOf(writtenNamed(kind)), null, 2))
}

export function explainField(path: string): void {
  const [kind = path, ...rest] = path.split('.')
  const answer = explain([writtenNamed(kind).singular, ...rest].join('.'), [scenarioFile])
  if (typeof answer !== 'string') throw new Exit(exit.usage, answer.error)
  console.log(answer)
}

function writtenNamed(word: string): Written {
  return /^scenarios?$/i.test(word) ? scenarioFile : writtenOf(kindNamed(word))
}

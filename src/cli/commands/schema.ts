import { explain } from '../../model/explain.ts'
import { jsonSchemaOf } from '../../model/json-schema.ts'
import { kindNamed } from '../arguments.ts'
import { Exit, exit } from '../exit.ts'

export function schema(kind: string): void {
  console.log(JSON.stringify(jsonSchemaOf(kindNamed(kind).kind), null, 2))
}

export function explainField(path: string): void {
  const [kind, ...rest] = path.split('.')
  const info = kindNamed(kind ?? path)
  const answer = explain([info.singular, ...rest].join('.'))
  if (typeof answer !== 'string') throw new Exit(exit.usage, answer.error)
  console.log(answer)
}

import type { DocumentError, TextFile } from '../../compile/documents.ts'
import { type Position, readTrees, type Tree } from '../../compile/yaml-tree.ts'
import { type FieldError, fieldError, shown } from '../../model/field-error.ts'
import { kindNames } from '../../model/registry.ts'
import { schemaErrors } from '../../model/schema-errors.ts'
import { type Scenario, scenario } from './scenario.ts'

/** A scenario as it was read, and where in its file a field stands. */
export interface ReadScenario {
  file: string
  scenario: Scenario
  positionOf(at: readonly (string | number)[]): Position
}

/** Reads one scenario. All that is wrong with it comes back at once, with its place. Never throws. */
export function readScenario({ name, text }: TextFile): ReadScenario | { errors: DocumentError[] } {
  const { trees, errors } = readTrees(text)
  if (errors.length > 0) return { errors: errors.map((error) => ({ ...error, file: name })) }
  const [tree, other] = trees
  if (tree === undefined)
    return { errors: [{ ...fieldError([], 'holds no scenario'), file: name, line: 1, column: 1 }] }
  if (other !== undefined)
    return {
      errors: [{ ...fieldError([], 'begins another document: a file holds one scenario'), file: name, ...other.start }],
    }
  const resource = otherKind(tree.value)
  if (resource !== undefined) return { errors: [{ ...resource, file: name, ...tree.positionOf(['kind'], 'value') }] }
  const parsed = scenario.safeParse(tree.value)
  if (parsed.success) return { file: name, scenario: parsed.data, positionOf: (at) => tree.positionOf(at, 'value') }
  const found = schemaErrors(scenario, tree.value, parsed.error.issues, () => false)
  return { errors: found.map((error) => ({ ...error, ...placeOf(tree, error), file: name })) }
}

/** A resource is something else than a scenario with mistakes. */
function otherKind(value: unknown): FieldError | undefined {
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
  if (!kindNames.some((known) => known === kind)) return undefined
  return fieldError(['kind'], 'is no Scenario; name its file in spec.resources of one', { found: shown(kind) })
}

function placeOf(tree: Tree, { at, found }: FieldError): Position {
  return tree.positionOf(at, found === undefined ? 'key' : 'value')
}

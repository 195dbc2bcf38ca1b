import { z } from 'zod'
import type { Written } from './explain.ts'
import { type KindName, kinds } from './registry.ts'

export type JsonSchema = Record<string, unknown>

/** JSON Schema (draft 2020-12) of what a user writes: an editor completes and checks YAML with it. */
export function jsonSchemaOf({ kind, apiVersion, schema }: Written): JsonSchema {
  return {
    ...z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12', unrepresentable: 'any' }),
    title: `${kind} ${apiVersion}`,
  }
}

/** The same as an OpenAPI 3.0 schema object, marked as Kubernetes marks its own, for `/openapi/v3`. */
export function openApiSchemaOf(kind: KindName): JsonSchema {
  const info = kinds[kind]
  return {
    ...z.toJSONSchema(info.schema, { io: 'input', target: 'openapi-3.0', unrepresentable: 'any' }),
    'x-kubernetes-group-version-kind': [{ group: info.group, version: info.version, kind }],
  }
}

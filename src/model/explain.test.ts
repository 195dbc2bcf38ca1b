import { expect, test } from 'vitest'
import { explain, writtenOf } from './explain.ts'
import { jsonSchemaOf, openApiSchemaOf } from './json-schema.ts'
import { kindNames, kinds } from './registry.ts'
import { descriptionOf, elementOf, fieldsOf } from './schema-fields.ts'

test('a field is explained with its type, default, meaning and fields', () => {
  expect(explain('trainingjob.spec.checkpoint')).toBe(`KIND:     TrainingJob
VERSION:  millwright.dev/v1alpha1
FIELD:    spec.checkpoint
TYPE:     object

  When the job is asked for a checkpoint, who writes it, how many are kept, and where.

FIELDS:
  interval  <duration or auto>
      How often a checkpoint is asked for: 30s, 10m, or auto (the exact optimum from
      measured cost and failure rate, between 5s and 1h, never below what shipping takes,
      the first after 1m at the latest). Left out: the job's own rhythm.
  ranks  <first | all>, default "first"
      Which ranks write a part of each checkpoint.
  keep  <integer from 1 to 1000>, default 2
      Committed checkpoints kept.
  copies  <integer from 0 to 2>, default 0
      Nodes that also keep the newest checkpoint in memory, so that a restart need not
      wait for object storage: 1, the node that wrote it; 2, one in another rack as well.
      0: none. From the next attempt on.`)
})

test('lists and short names are walked', () => {
  expect(explain('job.spec.groups.template.spec.containers.resources')).toContain('TYPE:     object')
  expect(explain('jobs.spec.groups[0].name')).toContain('DEFAULT:  "worker"')
  expect(explain('tj.metadata.name')).toContain('Unique within its kind and namespace.')
  expect(explain('queue')).toContain("A tenant's share of the factory.")
})

test('a wrong word is answered with the nearest', () => {
  expect(explain('trainingjobb')).toEqual({ error: 'no kind is "trainingjobb"; did you mean "TrainingJob"?' })
  expect(explain('job.spec.chekpoint')).toEqual({
    error: 'no field of trainingjob.spec is "chekpoint"; did you mean "checkpoint"?',
  })
  expect(explain('job.spec.workers.deep')).toEqual({
    error: 'no field of trainingjob.spec.workers is "deep": it has no fields',
  })
  expect(explain('')).toHaveProperty('error')
  expect(explain('job.__proto__.constructor')).toHaveProperty('error')
})

test.each(kindNames.filter((kind) => kinds[kind].ours))('every field of %s has a description', (kind) => {
  const bare: string[] = []
  const visit = (schema: Parameters<typeof fieldsOf>[0], path: string) => {
    for (const field of fieldsOf(elementOf(schema)) ?? []) {
      const at = `${path}.${field.name}`
      if (foreign.test(at)) continue
      if (descriptionOf(field.schema) === undefined) bare.push(at)
      visit(field.schema, at)
    }
  }
  visit(kinds[kind].schema, kind)
  expect(descriptionOf(kinds[kind].schema)).toBeDefined()
  expect(bare).toEqual([])
})

/** Inside these, Kubernetes' own documentation speaks, or the whole is described above. */
const foreign =
  /\.(template|readinessProbe|livenessProbe|env|ownerReferences|lastGood|provisional|pod|service|hold)\..*|\.(checkpoint|checkpoints|lastFailure|output)\.(step|attempt|at|manifest|manifests|digest|reason|message|pod|logTail)$/

test.each(kindNames)('the JSON Schema of %s is for editors and for OpenAPI', (kind) => {
  const schema = jsonSchemaOf(writtenOf(kinds[kind]))
  expect(schema).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' })
  expect(JSON.parse(JSON.stringify(schema))).toEqual(schema)
  expect(openApiSchemaOf(kind)).toMatchObject({
    type: 'object',
    'x-kubernetes-group-version-kind': [{ kind }],
  })
  expect(JSON.stringify(openApiSchemaOf(kind))).not.toContain('"$ref"')
})

test('what has a default is not required of the user', () => {
  expect(jsonSchemaOf(writtenOf(kinds.TrainingJob))).toMatchObject({
    required: ['apiVersion', 'kind', 'metadata', 'spec'],
    additionalProperties: false,
    properties: { spec: { properties: { priority: { default: 0, description: 'Higher goes first.' } } } },
  })
  expect(JSON.stringify(jsonSchemaOf(writtenOf(kinds.TrainingJob)))).not.toContain('"required":["queue"')
})

import { expect, test } from 'vitest'
import { kindNames, kinds } from './registry.ts'
import { fieldsOf, schemaAt } from './schema-fields.ts'
import { conditionWriters, statusWriters } from './writers.ts'

const tables: Record<string, Record<string, string>> = statusWriters

test.each(kindNames.filter((kind) => kinds[kind].hasStatus))('every status field of %s has its one writer', (kind) => {
  const status = schemaAt(kinds[kind].schema, ['status'])
  const fields = status === undefined ? [] : (fieldsOf(status) ?? [])
  expect(fields.length).toBeGreaterThan(0)
  expect(Object.keys(tables[kind] ?? {}).sort()).toEqual(fields.map((field) => field.name).sort())
})

test('a list of conditions with several writers says who writes which type', () => {
  const shared = Object.entries(tables).filter(([, fields]) => fields.conditions === 'by condition type')
  expect(shared.map(([kind]) => kind).sort()).toEqual(Object.keys(conditionWriters).sort())
})

import type { KindName, Resource } from '../model/registry.ts'
import { type Column, columnsOf } from './columns.ts'

/** `meta.k8s.io/v1` Table: what `kubectl get` and ours print. */
export interface Table {
  kind: 'Table'
  apiVersion: 'meta.k8s.io/v1'
  metadata: { resourceVersion?: string; continue?: string }
  columnDefinitions: ColumnDefinition[]
  rows: { cells: (string | number | null)[]; object?: object }[]
}
export interface ColumnDefinition {
  name: string
  type: string
  format: string
  description: string
  priority: number
}
export type IncludeObject = 'None' | 'Metadata' | 'Object'

export function tableOf(
  kind: KindName,
  objects: readonly Resource[],
  metadata: Table['metadata'],
  include: IncludeObject,
  nowMs: number,
): Table {
  const columns = columnsOf(kind)
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: columns.map(definitionOf),
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.cell(object, nowMs)),
      ...(include !== 'None' && { object: include === 'Object' ? object : partialOf(object) }),
    })),
  }
}

/** The metadata of an object alone, as clients that only count or collect ask for it. */
export function partialOf(object: Resource): object {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }
}

function definitionOf(column: Column<Resource>): ColumnDefinition {
  return {
    name: column.name,
    type: column.type,
    format: column.name === 'Name' ? 'name' : '',
    description: column.description,
    priority: column.wide === true ? 1 : 0,
  }
}

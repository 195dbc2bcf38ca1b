import type { KindName, Resource } from '../model/registry.ts'
import { type Difference, differencesOf, patchOf, withLastApplied } from './differences.ts'
import { type Disturbs, disturbanceOf } from './disturbance.ts'
import type { Written } from './documents.ts'

export type { Difference } from './differences.ts'
export type { Disturbs } from './disturbance.ts'

export interface Change {
  action: 'create' | 'update' | 'unchanged'
  kind: KindName
  name: string
  namespace?: string
  /** As written in the file, with a note of that for the next plan. */
  object: Written
  /** RFC 7386: what turns the live object into the wanted one. Empty unless it is an update. */
  patch: Record<string, unknown>
  /** Field by field, in the file's order. */
  differences: Difference[]
  disturbs: Disturbs
  /** A sentence on that, or on what may come of it later; empty when there is nothing to say. */
  disturbance: string
  /** Why the factory will refuse this change as it stands, and what to do first. */
  blocked?: string
}

/**
 * The changes that make the factory what the files say, in an order in which they can be made, as `kubectl apply` merges: fields that the files name, and those
 * that they named when last applied and no longer do. What others set is left alone. Pure, and changes nothing.
 */
export function plan(
  wanted: readonly Written[],
  live: (object: Written) => Resource | undefined,
  hasNamespace: (name: string) => boolean = () => true,
): Change[] {
  const made = new Set(wanted.flatMap(({ kind, metadata }) => (kind === 'Namespace' ? [metadata.name] : [])))
  return wanted
    .toSorted((a, b) => rankOf(a.kind) - rankOf(b.kind))
    .map((object) => {
      const change = changeOf(object, live(object))
      const { namespace } = change
      if (namespace === undefined || made.has(namespace) || hasNamespace(namespace)) return change
      return { ...change, blocked: `namespace ${namespace} does not exist; write a Namespace into the file, too` }
    })
}

/** What others live in or draw on is there before them. */
function rankOf(kind: KindName): number {
  if (kind === 'Namespace') return 0
  return ['Pool', 'Queue', 'Secret', 'Dataset'].includes(kind) ? 1 : 2
}

function changeOf(written: Written, live: Resource | undefined): Change {
  const { name, namespace } = written.metadata
  const object = withLastApplied(written)
  const at = { kind: object.kind, name, ...(namespace === undefined ? {} : { namespace }), object }
  const quiet = { disturbs: 'nothing', disturbance: '' } as const
  const differences = differencesOf(written, live)
  if (live === undefined) return { action: 'create', ...at, patch: {}, differences, ...quiet }
  if (differences.length === 0) return { action: 'unchanged', ...at, patch: {}, differences, ...quiet }
  const patch = patchOf(differences, object)
  return { action: 'update', ...at, patch, differences, ...disturbanceOf(live, differences) }
}

/** A change as others may see it: of a Secret its keys, and no value. */
export function shownChange(change: Change): Change {
  if (change.kind !== 'Secret') return change
  const { object, patch, differences } = change
  return {
    ...change,
    object: { ...object, ...hiddenIn(object) },
    patch: { ...patch, ...hiddenIn(patch) },
    differences: differences.map((difference) => {
      const { at, value } = difference.patch
      return at[0] === 'data' ? { ...difference, patch: { at, value: hidden(value) } } : difference
    }),
  }
}

function hiddenIn(fields: Record<string, unknown>): Record<string, unknown> {
  const found = Object.entries(fields).filter(([field]) => field === 'data' || field === 'stringData')
  return Object.fromEntries(found.map(([field, value]) => [field, hidden(value)]))
}

/** That a key is to go (null) is no secret. */
function hidden(value: unknown): unknown {
  if (value === null || value === undefined) return value
  if (typeof value !== 'object') return '(not shown)'
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hidden(inner)]))
}

/** The plan as a person reads it before saying yes. */
export function formatPlan(changes: readonly Change[], { color }: { color: boolean }): string {
  const paint = color ? painted : plain
  const lines = changes.flatMap((change) => changeLines(change, paint))
  return [...lines, ...(lines.length > 0 ? [''] : []), summary(changes)].join('\n')
}

type Paint = (text: string, color: keyof typeof colors) => string

const colors = { green: 32, yellow: 33, red: 31, dim: 2, bold: 1 } as const
const plain: Paint = (text) => text
const painted: Paint = (text, color) => `\u001b[${colors[color]}m${text}\u001b[0m`

function changeLines(change: Change, paint: Paint): string[] {
  const title = `${change.kind} ${change.namespace === undefined ? '' : `${change.namespace}/`}${change.name}`
  if (change.action === 'unchanged') return [paint(`= ${title} is unchanged`, 'dim')]
  const fields = change.differences.map((difference) => differenceLine(difference, change.action))
  const lines =
    change.action === 'create'
      ? [`${paint('+', 'green')} ${paint(title, 'bold')} will be created`, ...fields]
      : [`${paint('~', 'yellow')} ${paint(title, 'bold')} will be changed`, ...fields]
  if (change.disturbance !== '') {
    const kind = change.disturbs === 'nothing' ? '' : `${change.disturbs}: `
    lines.push(paint(`    ! ${kind}${change.disturbance}`, change.disturbs === 'destroys' ? 'red' : 'yellow'))
  }
  if (change.blocked !== undefined) lines.push(paint(`    ! will be refused: ${change.blocked}`, 'red'))
  return lines
}

function differenceLine({ path, before, after }: Difference, action: Change['action']): string {
  if (action === 'create') return `    ${path}: ${short(after)}`
  return `    ${path}: ${before === undefined ? '(not set)' : short(before)} → ${after === undefined ? '(removed)' : short(after)}`
}

const valueWidthMax = 100

function short(value: unknown): string {
  const text = (typeof value === 'string' && /^[\w./:@%+-]+$/.test(value) ? value : JSON.stringify(value)) ?? 'null'
  const safe = text.replace(/[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '?')
  return safe.length > valueWidthMax ? `${safe.slice(0, valueWidthMax - 1)}…` : safe
}

function summary(changes: readonly Change[]): string {
  const count = (action: Change['action']) => changes.filter((change) => change.action === action).length
  const blocked = changes.filter((change) => change.blocked !== undefined).length
  const disturbing = changes.filter((change) => change.disturbs !== 'nothing').length
  const parts = [`${count('create')} to create`, `${count('update')} to change`, `${count('unchanged')} unchanged`]
  if (disturbing > 0) parts.push(`${disturbing} ${disturbing === 1 ? 'disturbs' : 'disturb'} running work`)
  if (blocked > 0) parts.push(`${blocked} will be refused`)
  return `Plan: ${parts.join(', ')}.`
}

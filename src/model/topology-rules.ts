import { levelNamed, levels } from './fabric.ts'
import { type FieldError, fieldError, printable, shown } from './field-error.ts'
import { nearest } from './nearest.ts'

type Raw = Readonly<Record<string, unknown>>
type At = readonly (string | number)[]

/** What a group has of members, each where it is written. */
export interface Members {
  name: unknown
  /** The group's own topology, and where it stands. */
  topology?: unknown
  at: At
  counts: readonly { at: At; count: unknown }[]
}

/** Rules of `spec.topology`, `spec.together` and of each group's own topology. */
export function topologyErrors(spec: Raw, groups: readonly Members[]): FieldError[] {
  const sets = list(spec['together']).map(record)
  return [
    ...ofOne(spec['topology'], ['spec', 'topology']),
    ...sets.flatMap((set, i) => ofOne(set['topology'], ['spec', 'together', i, 'topology'])),
    ...groups.flatMap((group) => ofOne(group.topology, [...group.at, 'topology'])),
    ...membershipErrors(sets, groups),
    ...groups.flatMap((group) => unevenSlices(spec, sets, group)),
  ]
}

function ofOne(value: unknown, at: At): FieldError[] {
  const topology = record(value)
  const { required, preferred, balanced, scattered } = topology
  const slices = list(topology['slices']).map(record)
  const errors = [
    ...levelErrors(required, [...at, 'required']),
    ...levelErrors(preferred, [...at, 'preferred']),
    ...slices.flatMap((slice, i) => sliceErrors(slices, slice, i, [...at, 'slices', i])),
  ]
  if (scattered === true) {
    for (const [field, said] of Object.entries({ required, preferred, balanced })) {
      if (said !== undefined && said !== false) {
        errors.push(fieldError([...at, field], 'contradicts scattered: true; leave one of them out'))
      }
    }
  }
  const [outer, inner] = [levelOf(required), levelOf(preferred)]
  if (outer !== undefined && inner !== undefined && inner < outer) {
    errors.push(tooWide([...at, 'preferred'], preferred, `required (${shown(required)})`))
  }
  const sliced = levelOf(slices[0]?.['required'])
  if (outer !== undefined && sliced !== undefined && sliced < outer) {
    errors.push(
      tooWide([...at, 'slices', 0, 'required'], slices[0]?.['required'], `what all share (${shown(required)})`),
    )
  }
  return errors
}

function sliceErrors(slices: readonly Raw[], { size, required }: Raw, i: number, at: At): FieldError[] {
  if (typeof required === 'string' && levelOf(required) === undefined) {
    const suggestion = nearest(required, levels)
    return [
      fieldError([...at, 'required'], 'is no level of the fabric', {
        found: printable(required),
        allowed: `${levels.join(', ')}, or one of their labels`,
        suggestion,
      }),
    ]
  }
  const outer = slices[i - 1]
  if (outer === undefined) return []
  const [level, above, whole] = [levelOf(required), levelOf(outer['required']), outer['size']]
  const errors: FieldError[] = []
  if (level !== undefined && above !== undefined && level <= above) {
    errors.push(
      fieldError([...at, 'required'], `must be narrower than that of the slices before it (${levels[above] ?? ''})`, {
        found: shown(required),
      }),
    )
  }
  if (typeof size === 'number' && typeof whole === 'number' && whole % size !== 0) {
    errors.push(
      fieldError([...at, 'size'], `must divide the slices before it, which are of ${whole}`, { found: `${size}` }),
    )
  }
  return errors
}

/** Every label is good; a word that is nearly the name of a level is a slip. */
function levelErrors(value: unknown, at: At): FieldError[] {
  if (typeof value !== 'string' || value.includes('/') || levelOf(value) !== undefined) return []
  const suggestion = nearest(value, levels)
  if (suggestion === undefined) return []
  const allowed = `${levels.join(', ')}, or a node label`
  return [fieldError(at, 'is no level of the fabric', { found: printable(value), allowed, suggestion })]
}

function tooWide(at: At, found: unknown, than: string): FieldError {
  return fieldError(at, `must not be wider than ${than}`, { found: shown(found) })
}

function membershipErrors(sets: readonly Raw[], groups: readonly Members[]): FieldError[] {
  const names = groups.flatMap(({ name }) => (typeof name === 'string' ? [name] : []))
  const seen = new Set<unknown>()
  return sets.flatMap((set, i) =>
    list(set['groups']).flatMap((name, j): FieldError[] => {
      if (typeof name !== 'string') return []
      const at = ['spec', 'together', i, 'groups', j]
      if (!names.includes(name)) {
        const suggestion = nearest(name, names)
        return [
          fieldError(at, 'is no group of this gang', { found: printable(name), allowed: names.join(', '), suggestion }),
        ]
      }
      if (seen.has(name)) return [fieldError(at, 'is in another set already', { found: printable(name) })]
      seen.add(name)
      return []
    }),
  )
}

function unevenSlices(spec: Raw, sets: readonly Raw[], group: Members): FieldError[] {
  const set = sets.find((one) => list(one['groups']).includes(group.name))
  const from = [group.topology, set?.['topology'], spec['topology']].map((one) => list(record(one)['slices']))
  const size = record(from.find((slices) => slices.length > 0)?.[0])['size']
  if (typeof size !== 'number' || size < 1) return []
  return group.counts.flatMap(({ at, count }) =>
    typeof count === 'number' && count % size !== 0
      ? [fieldError(at, `must be a multiple of its slices, which are of ${size}`, { found: String(count) })]
      : [],
  )
}

function levelOf(value: unknown): number | undefined {
  return typeof value === 'string' ? levelNamed(value) : undefined
}

function record(value: unknown): Raw {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? { ...value } : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

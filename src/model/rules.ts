import { affinityErrors, slicedErrors } from './affinity-rules.ts'
import { durationForms } from './duration.ts'
import { type FaultInfo, faultKinds, faults } from './faults.ts'
import { type FieldError, fieldError, printable, shown } from './field-error.ts'
import { envName, resourceName } from './metadata.ts'
import { readQuantity } from './quantity.ts'
import { toldXidErrors } from './told-xids.ts'
import { topologyErrors } from './topology-rules.ts'
import { xidInfo } from './xids.ts'

type Raw = Record<string, unknown>
type At = readonly (string | number)[]

/**
 * Rules across fields. They read the object as it was written, so that they speak also when the schema found something
 * elsewhere; of what has the wrong type they say nothing, the schema does.
 */
export function ruleErrors(kind: string, object: Raw): FieldError[] {
  const spec = record(object['spec'])
  switch (kind) {
    case 'TrainingJob':
      return trainingJob(spec)
    case 'InferenceService':
      return inferenceService(spec)
    case 'Gang':
      return gang(spec)
    case 'Pool':
      return ordered(spec, ['spec'], 'minNodes', 'maxNodes', 1)
    case 'Queue':
      return spec['parent'] !== undefined && spec['parent'] === record(object['metadata'])['name']
        ? [fieldError(['spec', 'parent'], 'must not be the queue itself')]
        : []
    case 'Report':
      return (spec['pod'] === undefined) === (spec['service'] === undefined)
        ? [fieldError(['spec'], 'must name either a pod or a service')]
        : []
    case 'Drill':
      return drill(spec)
    case 'Pod':
      return podSpec(spec, ['spec'])
    case 'Node':
      return toldXidErrors(record(record(object['metadata'])['annotations']))
    default:
      return []
  }
}

function gang(spec: Raw): FieldError[] {
  const groups = list(spec['groups']).map(record)
  const members = groups.map((group, i) => {
    const at = ['spec', 'groups', i]
    const counts = ['min', 'max'].map((field) => ({ at: [...at, field], count: group[field] }))
    return { name: group['name'], topology: group['topology'], at, counts }
  })
  return [
    ...groups.flatMap((group, i) => ordered(group, ['spec', 'groups', i], 'min', 'max')),
    ...groups.flatMap((group, i) => affinityErrors(group, ['spec', 'groups', i])),
    ...groups.flatMap((group, i) => slicedErrors(group, ['spec', 'groups', i], isSliced(spec, group))),
    ...topologyErrors(spec, members),
  ]
}

function trainingJob(spec: Raw): FieldError[] {
  const sugar = ['workers', 'minWorkers', 'command', 'args', 'image', 'workingDir', 'env', 'resources']
  const groups = list(spec['groups'])
  return [
    ...(spec['groups'] === undefined
      ? commandOrImage(spec)
      : both(spec, sugar, 'groups', 'says it twice: give groups, or the one-group form, not both')),
    ...ordered(spec, ['spec'], 'minWorkers', 'workers', 1),
    ...groups.flatMap((group, i) => ordered(record(group), ['spec', 'groups', i], 'minReplicas', 'replicas', 1)),
    ...groups.flatMap((group, i) => template(record(group)['template'], ['spec', 'groups', i, 'template'])),
    ...groups.map(record).flatMap((group, i) => {
      const pod = record(record(group['template'])['spec'])
      return slicedErrors(pod, ['spec', 'groups', i, 'template', 'spec'], isSliced(spec, group))
    }),
    ...repeatedNames(groups, ['spec', 'groups'], 'worker'),
    ...topologyErrors(spec, spec['groups'] === undefined ? [workers(spec)] : groups.map(membersOf)),
    ...environment(spec['env'], ['spec', 'env']),
    ...source(spec['dataset'], ['spec', 'dataset'], 'Dataset'),
    ...pattern(record(spec['progress'])['pattern']),
    ...exitCodes(record(spec['failurePolicy'])),
    ...rejoining(spec),
  ]
}

/** Whose workers start again alone: each has the whole state, and the others are enough without it. */
function rejoining(spec: Raw): FieldError[] {
  if (record(spec['failurePolicy'])['restart'] !== 'worker') return []
  const at = ['spec', 'failurePolicy', 'restart']
  const groups = list(spec['groups']).map(record)
  const [only] = groups
  const [fewest, most = 1] =
    only === undefined ? [spec['minWorkers'], spec['workers']] : [only['minReplicas'], only['replicas']]
  const min = only === undefined ? 'minWorkers' : 'minReplicas'
  const errors: FieldError[] = []
  if (groups.length > 1) errors.push(fieldError(at, `worker is for a job of one group; this one has ${groups.length}`))
  else if (fewest === undefined || fewest === most)
    errors.push(fieldError(at, `worker needs an elastic job: how few of its workers can go on alone? Say so in ${min}`))
  if (record(spec['checkpoint'])['ranks'] === 'all')
    errors.push(
      fieldError(
        ['spec', 'checkpoint', 'ranks'],
        'must be first where failurePolicy.restart is worker: one worker has the whole state',
      ),
    )
  return errors
}

function isSliced(spec: Raw, group: Raw): boolean {
  const sets = list(spec['together']).map(record)
  const set = sets.find((one) => list(one['groups']).includes(group['name']))
  return [group, set, spec].some((one) => record(one?.['topology'])['slices'] !== undefined)
}

function workers(spec: Raw) {
  return { name: 'worker', at: ['spec'], counts: [{ at: ['spec', 'workers'], count: spec['workers'] ?? 1 }] }
}

function membersOf(value: unknown, i: number) {
  const group = record(value)
  const at = ['spec', 'groups', i]
  const counts = [{ at: [...at, 'replicas'], count: group['replicas'] ?? 1 }]
  return { name: group['name'] ?? 'worker', topology: group['topology'], at, counts }
}

function inferenceService(spec: Raw): FieldError[] {
  const sugar = ['command', 'args', 'image', 'workingDir', 'env', 'resources', 'port']
  const errors = [
    ...ordered(spec, ['spec'], 'minReplicas', 'maxReplicas', 1),
    ...template(spec['template'], ['spec', 'template']),
    ...environment(spec['env'], ['spec', 'env']),
    ...source(spec['model'], ['spec', 'model'], 'Model'),
    ...eitherOf(spec['disruptionBudget'], ['spec', 'disruptionBudget'], ['minAvailable', 'maxUnavailable']),
  ]
  if (spec['template'] !== undefined) {
    return [
      ...errors,
      ...both(spec, ['engine', ...sugar], 'template', 'says it twice: give template, or this, not both'),
    ]
  }
  if (spec['engine'] === undefined) {
    return spec['command'] === undefined && spec['image'] === undefined
      ? [
          ...errors,
          fieldError(['spec'], 'says nothing to run', {
            allowed: 'engine: llama.cpp with a model, or command, image or template',
          }),
        ]
      : errors
  }
  if (spec['model'] === undefined) {
    errors.push(
      fieldError(['spec', 'model'], 'is required with engine', { allowed: 'a Model, NAME-vN, or file:///path.gguf' }),
    )
  }
  return [
    ...errors,
    ...both(spec, ['command', 'image'], 'engine', 'must be left out with engine, which brings its own'),
  ]
}

const targets = ['job', 'service', 'labels', 'node']

function drill(spec: Raw): FieldError[] {
  const { fault, target } = spec
  const kind = faultKinds.find((one) => one === record(fault)['kind'])
  if (kind === undefined) return []
  const { strikes } = faults[kind]
  // A day without a node is right for a scenario, and nothing that anybody should begin unawares.
  const isEndless = (strikes === 'node' || strikes === 'storage') && record(fault)['lasts'] === undefined
  const lasts = fieldError(['spec', 'fault', 'lasts'], `is required: how long a ${kind} lasts`, {
    allowed: durationForms,
  })
  return [...(isEndless ? [lasts] : []), ...harmless(record(fault)['xid']), ...drillTarget(strikes, target)]
}

/** There would be nothing to recover from. */
function harmless(xid: unknown): FieldError[] {
  if (typeof xid !== 'number' || xidInfo(xid)?.ends !== false) return []
  return [
    fieldError(['spec', 'fault', 'xid'], 'ends nothing that runs: there is nothing to recover from', {
      found: shown(xid),
    }),
  ]
}

function drillTarget(strikes: FaultInfo['strikes'], target: unknown): FieldError[] {
  const at = ['spec', 'target']
  const allowed = `one of ${targets.join(', ')}`
  if (strikes === 'control plane')
    return target === undefined ? [] : [fieldError(at, 'must be left out: there is one control plane')]
  if (strikes === 'storage')
    return target === undefined ? [] : [fieldError(at, 'must be left out: there is one object storage')]
  if (target === undefined) return [fieldError(at, 'is required', { allowed })]
  const { job, rank } = record(target)
  const given = targets.filter((field) => record(target)[field] !== undefined)
  return [
    ...(isRaw(target) && given.length !== 1
      ? [fieldError(at, 'must say what is struck, once', { found: given.join(' and ') || 'nothing', allowed })]
      : []),
    ...(rank !== undefined && job === undefined ? [fieldError([...at, 'rank'], 'goes with job')] : []),
  ]
}

function commandOrImage(spec: Raw): FieldError[] {
  if (spec['command'] !== undefined || spec['image'] !== undefined) return []
  return [fieldError(['spec'], 'says nothing to run', { allowed: 'command, image or groups' })]
}

function both(spec: Raw, fields: readonly string[], other: string, message: string): FieldError[] {
  return spec[other] === undefined
    ? []
    : fields.filter((field) => spec[field] !== undefined).map((field) => fieldError(['spec', field], message))
}

function eitherOf(value: unknown, at: At, fields: readonly string[]): FieldError[] {
  const given = fields.filter((field) => record(value)[field] !== undefined)
  if (!isRaw(value) || given.length === 1) return []
  return [fieldError(at, `must say one of ${fields.join(' and ')}`, { found: given.join(' and ') || 'neither' })]
}

function ordered(spec: Raw, at: At, low: string, high: string, highDefault?: number): FieldError[] {
  const from = spec[low]
  const to = spec[high] ?? highDefault
  if (typeof from !== 'number' || typeof to !== 'number' || from <= to) return []
  return [fieldError([...at, low], `must not be above ${high} (${to})`, { found: String(from) })]
}

function repeatedNames(groups: readonly unknown[], at: At, nameDefault: string): FieldError[] {
  const seen = new Set<unknown>()
  return groups.flatMap((group, i) => {
    const name = record(group)['name'] ?? nameDefault
    if (!seen.has(name)) {
      seen.add(name)
      return []
    }
    return [fieldError([...at, i, 'name'], 'is taken by another group of this job', { found: shown(name) })]
  })
}

function template(value: unknown, at: At): FieldError[] {
  return podSpec(record(record(value)['spec']), [...at, 'spec'])
}

function podSpec(spec: Raw, at: At): FieldError[] {
  return [
    ...['containers', 'initContainers'].flatMap((field) =>
      list(spec[field]).flatMap((value, i) => container(record(value), [...at, field, i])),
    ),
    ...affinityErrors(spec, at),
  ]
}

function container(value: Raw, at: At): FieldError[] {
  const resources = record(value['resources'])
  return [
    ...environment(value['env'], [...at, 'env']),
    ...['limits', 'requests'].flatMap((field) => quantities(record(resources[field]), [...at, 'resources', field])),
    ...['command', 'args'].flatMap((field) => withoutNul(list(value[field]), [...at, field])),
  ]
}

function quantities(values: Raw, at: At): FieldError[] {
  return Object.entries(values).flatMap(([name, value]) => {
    if (typeof value !== 'string' && typeof value !== 'number') return []
    const read = readQuantity(value)
    return 'problem' in read ? [fieldError([...at, name], read.problem, { found: shown(value) })] : []
  })
}

function withoutNul(values: readonly unknown[], at: At): FieldError[] {
  return values.flatMap((value, i) =>
    typeof value === 'string' && value.includes('\0') ? [fieldError([...at, i], 'must not hold a NUL character')] : [],
  )
}

/** Names in the list form; the schema checks those of the map form. */
function environment(value: unknown, at: At): FieldError[] {
  const seen = new Set<string>()
  return list(value).flatMap((entry, i) => {
    const { name, value: text } = record(entry)
    if (typeof name !== 'string') return []
    if (!envName.test(name)) {
      return [
        fieldError([...at, i, 'name'], 'must be letters, digits and "_", not starting with a digit', {
          found: printable(name),
        }),
      ]
    }
    if (seen.has(name)) return [fieldError([...at, i, 'name'], 'is set twice', { found: name })]
    seen.add(name)
    if (typeof text === 'string' && text.includes('\0')) {
      return [fieldError([...at, i, 'value'], 'must not hold a NUL character')]
    }
    return []
  })
}

/** Where data and models come from. */
const schemes = ['file', 's3', 'hf', 'gs', 'pvc', 'https']

function source(value: unknown, at: At, kind: string): FieldError[] {
  if (typeof value !== 'string' || value.length > 2000) return []
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(value)?.[1]
  if (scheme !== undefined && !schemes.includes(scheme)) {
    return [
      fieldError(at, 'has a scheme that we do not know', { found: printable(value), allowed: schemes.join(', ') }),
    ]
  }
  if (scheme === 'file' && !/^file:\/\/\/./.test(value)) {
    return [fieldError(at, 'must name an absolute path', { found: printable(value), allowed: 'file:///path' })]
  }
  if (scheme !== undefined || resourceName.safeParse(value).success) return []
  return [
    fieldError(at, `must be the name of a ${kind}, or a URI`, {
      found: printable(value),
      suggestion: value.startsWith('/') ? `file://${value}` : undefined,
    }),
  ]
}

const progressGroups = ['step', 'loss', 'samples', 'tokens']

function pattern(value: unknown): FieldError[] {
  if (typeof value !== 'string' || value.length > 1000) return []
  const at = ['spec', 'progress', 'pattern']
  try {
    new RegExp(value)
  } catch (error) {
    return [fieldError(at, `is not a regular expression (${error instanceof Error ? error.message : 'unknown'})`)]
  }
  // `(a+)+` takes time that doubles with each character, on a log that the job's author controls.
  if (/\((?:[^()\\]|\\.)*[+*](?:[^()\\]|\\.)*\)(?:[+*]|\{[0-9]+,)/.test(value)) {
    return [fieldError(at, 'repeats a repetition, which can take for ever; write it without')]
  }
  if (progressGroups.some((name) => value.includes(`(?<${name}>`))) return []
  return [
    fieldError(at, 'has none of the named groups', {
      allowed: progressGroups.map((name) => `(?<${name}>…)`).join(', '),
    }),
  ]
}

function exitCodes(policy: Raw): FieldError[] {
  const fails = new Set(list(policy['failExitCodes']))
  return list(policy['restartExitCodes']).flatMap((code, i) =>
    fails.has(code)
      ? [
          fieldError(['spec', 'failurePolicy', 'restartExitCodes', i], 'is also in failExitCodes', {
            found: shown(code),
          }),
        ]
      : [],
  )
}

function record(value: unknown): Raw {
  return isRaw(value) ? value : {}
}

function isRaw(value: unknown): value is Raw {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

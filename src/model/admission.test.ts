import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { admit, admitUpdate } from './admission.ts'
import { formatFieldError } from './field-error.ts'
import type { TrainingJob } from './kinds/training-job.ts'
import { type KindName, kindNames, kinds } from './registry.ts'

const apiVersion = 'millwright.dev/v1alpha1'
const job = (spec: object, more: object = {}) => ({
  apiVersion,
  kind: 'TrainingJob',
  metadata: { name: 'tiny' },
  spec,
  ...more,
})
const service = (spec: object) => ({ apiVersion, kind: 'InferenceService', metadata: { name: 'chat' }, spec })

/** What rules about `failurePolicy.restart` are told. */
const alone = { failurePolicy: { restart: 'worker' } }
const group = (replicas: number, minReplicas: number, name = 'worker') => {
  return { name, replicas, minReplicas, template: { spec: { containers: [{ name: 'a' }] } } }
}
const needsElastic = (field: string) =>
  `spec.failurePolicy.restart: worker needs an elastic job: how few of its workers can go on alone? Say so in ${field}`

function errorsOf(kind: KindName, object: unknown): string[] {
  const verdict = admit(kinds[kind], object)
  return 'errors' in verdict ? verdict.errors.map(formatFieldError) : []
}

function admitted(object: object): TrainingJob {
  const verdict = admit(kinds.TrainingJob, object)
  if ('errors' in verdict) throw new Error(verdict.errors.map(formatFieldError).join('\n'))
  if (verdict.object.kind !== 'TrainingJob') throw new Error('another kind')
  return verdict.object
}

test('a disruption budget says one of its two, as a count or a share', () => {
  const errors = (disruptionBudget: object) => errorsOf('InferenceService', service({ command: 's', disruptionBudget }))
  expect(errors({ maxUnavailable: 1 })).toEqual([])
  expect(errors({ minAvailable: '50%' })).toEqual([])
  const either = 'spec.disruptionBudget: must say one of minAvailable and maxUnavailable'
  expect(errors({})).toEqual([`${either}, found neither`])
  expect(errors({ minAvailable: 1, maxUnavailable: 1 })).toEqual([`${either}, found minAvailable and maxUnavailable`])
  expect(errors({ minAvailable: '150%' })).toHaveLength(1)
})

test('a probe is one that can be made', () => {
  const errors = (readinessProbe: object) => errorsOf('InferenceService', service({ command: 's', readinessProbe }))
  expect(errors({ exec: { command: ['true'] }, timeoutSeconds: 0.5, initialDelaySeconds: 0 })).toEqual([])
  const at = 'spec.readinessProbe'
  expect(errors({ exec: { command: [] } })).toEqual([
    `${at}.exec.command: must have at least 1 entries, found an empty list`,
  ])
  expect(errors({ timeoutSeconds: -1 })).toEqual([`${at}.timeoutSeconds: must be at least 0, found -1`])
  expect(errors({ timeoutSeconds: 1e10 })).toEqual([expect.stringContaining('must be at most 86400')])
  expect(errors({ periodSeconds: -1, initialDelaySeconds: -1 })).toHaveLength(2)
})

test('a time is one that a date can be made of', () => {
  const page = (fromMs: number) => ({
    apiVersion,
    kind: 'LedgerPage',
    metadata: { name: 'p' },
    spec: { node: 'n', pool: 'p', fromMs },
  })
  expect(errorsOf('LedgerPage', page(Date.parse('2100-01-01')))).toEqual([])
  expect(errorsOf('LedgerPage', page(1e20))).toEqual([expect.stringContaining('spec.fromMs')])
})

test('defaults and the namespace are filled in', () => {
  const { metadata, spec } = admitted(job({ command: ['true'] }))
  expect(metadata).toEqual({ name: 'tiny', namespace: 'default' })
  expect(spec).toMatchObject({ queue: 'default', priority: 0, checkpoint: { ranks: 'first', keep: 2 }, maxRestarts: 5 })
})

describe('each error says the field, what was found, what is allowed and the nearest spelling', () => {
  test.each<[string, object, string[]]>([
    ['a typo', { worker: 2, command: ['x'] }, ['spec.worker: unknown field; did you mean "workers"?']],
    [
      'snake case',
      { command: ['x'], max_restarts: 1 },
      ['spec.max_restarts: unknown field; did you mean "maxRestarts"?'],
    ],
    [
      "another tool's word",
      { run: 'x' },
      [
        'spec.run: unknown field; did you mean "command"?',
        'spec: says nothing to run; allowed: command, image or groups',
      ],
    ],
    [
      'one level too high',
      { command: 'x', accelerators: 'H100' },
      ['spec.accelerators: unknown field; did you mean "resources.accelerators"?'],
    ],
    [
      'quotes',
      { command: 'x', workers: '2' },
      ['spec.workers: must be an integer from 1 to 100000, found "2"; drop the quotes'],
    ],
    [
      'yes',
      { command: 'x', suspend: 'yes' },
      ['spec.suspend: must be true | false, found "yes"; write true or false, without quotes'],
    ],
    ['no quotes', { command: 'x', queue: 5 }, ['spec.queue: must be a string, found 5; put it in quotes']],
    [
      'no unit',
      { command: 'x', checkpoint: { interval: 30 } },
      ['spec.checkpoint.interval: must be a duration or auto, found 30; write 30s'],
    ],
    ['out of range', { command: 'x', workers: 0 }, ['spec.workers: must be at least 1, found 0']],
    ['NaN', { command: 'x', workers: Number.NaN }, ['spec.workers: must be a finite number, found NaN']],
    [
      'an absurd priority',
      { command: 'x', priority: 1e12 },
      ['spec.priority: must be at most 1000000000, found 1000000000000'],
    ],
    ['half a worker', { command: 'x', workers: 1.5 }, ['spec.workers: must be an integer from 1 to 100000, found 1.5']],
    [
      'a word',
      { command: 'x', checkpoint: { ranks: 'al' } },
      ['spec.checkpoint.ranks: must be one of a few words, found "al"; allowed: first, all; did you mean "all"?'],
    ],
    [
      'more copies than there is a rule for',
      { command: 'x', checkpoint: { copies: 3 } },
      ['spec.checkpoint.copies: must be at most 2, found 3'],
    ],
    [
      'half a copy',
      { command: 'x', checkpoint: { copies: 0.5 } },
      ['spec.checkpoint.copies: must be an integer from 0 to 2, found 0.5'],
    ],
    [
      'a copy too many letters',
      { command: 'x', checkpoint: { copiess: 1 } },
      ['spec.checkpoint.copiess: unknown field; did you mean "copies"?'],
    ],
    [
      'a duration',
      { command: 'x', checkpoint: { interval: '10' } },
      [
        'spec.checkpoint.interval: is not a duration; write a number with a unit, e.g. 500ms, 30s, 10m, 1h30m or 2d, or auto, found "10"',
      ],
    ],
    [
      'a quantity',
      { command: 'x', resources: { memory: '8GB', cpu: -1 } },
      [
        'spec.resources.cpu: is negative, found -1',
        'spec.resources.memory: is not a quantity; write a number with an optional unit, e.g. 500m, 2, 1.5, 8Gi or 100M, found "8GB"',
      ],
    ],
    [
      'accelerators',
      { command: 'x', resources: { accelerators: ['H100:8', 'H200:x'] } },
      [
        'spec.resources.accelerators[1]: is not an accelerator; write MODEL:COUNT, e.g. H100:8, cpu:1 or H100:0.5, found "H200:x"',
      ],
    ],
    [
      'an env name',
      { command: 'x', env: { 'A B': 1 } },
      ['spec.env["A B"]: is not a good name: write letters, digits and "_", not starting with a digit'],
    ],
    [
      'an env value stays unseen',
      { command: 'x', env: { PASSWORD: ['s3cret'] } },
      ['spec.env.PASSWORD: must be string | number | true | false, found (not shown)'],
    ],
    [
      'a list of env',
      { command: 'x', env: [{ name: '1A' }, { name: 'B' }, { name: 'B' }] },
      [
        'spec.env[0].name: must be letters, digits and "_", not starting with a digit, found "1A"',
        'spec.env[2].name: is set twice, found B',
      ],
    ],
    ['an empty command', { command: [] }, ['spec.command: must have at least 1 entries, found an empty list']],
    ['an empty line', { command: '' }, ['spec.command: must not be empty, found ""']],
    ['a NUL', { command: ['a\0b'] }, ['spec.command[0]: must be text without NUL characters, found "a\\u0000b"']],
    [
      'a terminal escape',
      { command: 'x', image: '\u001b[31mred' },
      ['spec.image: must be an image reference such as ghcr.io/org/name:tag, found "\\u001b[31mred"'],
    ],
    [
      'a path where a URI goes',
      { command: 'x', dataset: '/data/a' },
      ['spec.dataset: must be the name of a Dataset, or a URI, found "/data/a"; did you mean "file:///data/a"?'],
    ],
    [
      'a scheme',
      { command: 'x', dataset: 'ftp://a' },
      ['spec.dataset: has a scheme that we do not know, found "ftp://a"; allowed: file, s3, hf, gs, pvc, https'],
    ],
    [
      'both forms',
      { workers: 2, groups: [{ template: { spec: { containers: [{ name: 'a' }] } } }] },
      ['spec.workers: says it twice: give groups, or the one-group form, not both'],
    ],
    [
      'more members at least than at most',
      { command: 'x', workers: 2, minWorkers: 3 },
      ['spec.minWorkers: must not be above workers (2), found 3'],
    ],
    [
      'several members of the one that there is',
      { command: 'x', minWorkers: 2 },
      ['spec.minWorkers: must not be above workers (1), found 2'],
    ],
    ['no member', { command: 'x', minWorkers: 0 }, ['spec.minWorkers: must be at least 1, found 0']],
    [
      'a minimum beside groups',
      { minWorkers: 1, groups: [{ template: { spec: { containers: [{ name: 'a' }] } } }] },
      ['spec.minWorkers: says it twice: give groups, or the one-group form, not both'],
    ],
    [
      'more members of a group at least than at most',
      { groups: [{ replicas: 2, minReplicas: 3, template: { spec: { containers: [{ name: 'a' }] } } }] },
      ['spec.groups[0].minReplicas: must not be above replicas (2), found 3'],
    ],
    [
      'a group twice',
      { groups: [1, 2].map(() => ({ template: { spec: { containers: [{ name: 'a' }] } } })) },
      ['spec.groups[1].name: is taken by another group of this job, found "worker"'],
    ],
    [
      'no container',
      { groups: [{ template: { spec: { containers: [] } } }] },
      ['spec.groups[0].template.spec.containers: must have at least 1 entries, found an empty list'],
    ],
    [
      "a container's quantity",
      { groups: [{ template: { spec: { containers: [{ name: 'a', resources: { limits: { memory: '-1Gi' } } }] } } }] },
      ['spec.groups[0].template.spec.containers[0].resources.limits.memory: is negative, found "-1Gi"'],
    ],
    [
      'a pattern',
      { command: 'x', progress: { pattern: 'step (' } },
      ['spec.progress.pattern: is not a regular expression (Invalid regular expression: /step (/: Unterminated group)'],
    ],
    [
      'a slow pattern',
      { command: 'x', progress: { pattern: '(?<step>([0-9]+)+)x' } },
      ['spec.progress.pattern: repeats a repetition, which can take for ever; write it without'],
    ],
    [
      'a useless pattern',
      { command: 'x', progress: { pattern: 'step ([0-9]+)' } },
      [
        'spec.progress.pattern: has none of the named groups; allowed: (?<step>…), (?<loss>…), (?<samples>…), (?<tokens>…)',
      ],
    ],
    [
      'exit codes',
      { command: 'x', failurePolicy: { failExitCodes: [2], restartExitCodes: [1, 2] } },
      ['spec.failurePolicy.restartExitCodes[1]: is also in failExitCodes, found 2'],
    ],
    [
      'workers that start again alone, and nothing said of how few can go on',
      { command: 'x', workers: 4, ...alone },
      [needsElastic('minWorkers')],
    ],
    ['… all of whom are needed', { command: 'x', workers: 4, minWorkers: 4, ...alone }, [needsElastic('minWorkers')]],
    ['… of whom there is one', { command: 'x', minWorkers: 1, ...alone }, [needsElastic('minWorkers')]],
    ['… of one group', { groups: [group(4, 4)], ...alone }, [needsElastic('minReplicas')]],
    ['… of one that may be smaller', { groups: [group(4, 2)], ...alone }, []],
    [
      '… of several groups',
      { groups: [group(4, 2, 'a'), group(4, 2, 'b')], ...alone },
      ['spec.failurePolicy.restart: worker is for a job of one group; this one has 2'],
    ],
    [
      '… each with a part of the state',
      { command: 'x', workers: 4, minWorkers: 2, checkpoint: { ranks: 'all' }, ...alone },
      ['spec.checkpoint.ranks: must be first where failurePolicy.restart is worker: one worker has the whole state'],
    ],
    [
      '… each with all of it',
      { command: 'x', workers: 4, minWorkers: 2, checkpoint: { ranks: 'first' }, ...alone },
      [],
    ],
    [
      'workers that all start again',
      { command: 'x', workers: 4, checkpoint: { ranks: 'all' }, failurePolicy: { restart: 'gang' } },
      [],
    ],
  ])('%s', (_, spec, errors) => expect(errorsOf('TrainingJob', job(spec)).sort()).toEqual([...errors].sort()))

  test.each<[string, object, string[]]>([
    [
      'nothing',
      {},
      ['spec: says nothing to run; allowed: engine: llama.cpp with a model, or command, image or template'],
    ],
    [
      'an engine alone',
      { engine: 'llama.cpp' },
      ['spec.model: is required with engine; allowed: a Model, NAME-vN, or file:///path.gguf'],
    ],
    [
      'an engine and a command',
      { engine: 'llama.cpp', model: 'm', command: 'x' },
      ['spec.command: must be left out with engine, which brings its own'],
    ],
    [
      'an engine that is not built in',
      { engine: 'vllm', model: 'm' },
      ['spec.engine: must be "llama.cpp", found "vllm"'],
    ],
    [
      'min above max',
      { command: 'x', minReplicas: 3, maxReplicas: 2 },
      ['spec.minReplicas: must not be above maxReplicas (2), found 3'],
    ],
    [
      'min above the default max',
      { command: 'x', minReplicas: 3 },
      ['spec.minReplicas: must not be above maxReplicas (1), found 3'],
    ],
  ])('a service: %s', (_, spec, errors) => expect(errorsOf('InferenceService', service(spec))).toEqual(errors))

  test.each<[string, unknown, string]>([
    ['no name', { ...job({ command: 'x' }), metadata: {} }, 'metadata.name: is required and missing; allowed: string'],
    [
      'a shell',
      { ...job({ command: 'x' }), metadata: { name: '$(rm -rf)' } },
      'metadata.name: must be lower-case letters, digits, "-" and ".", found "$(rm -rf)"',
    ],
    [
      'a way out',
      { ...job({ command: 'x' }), metadata: { name: '../../etc' } },
      'metadata.name: must be lower-case letters, digits, "-" and ".", found "../../etc"',
    ],
    [
      'a label',
      { ...job({ command: 'x' }), metadata: { name: 'a', labels: { a: 'b c' } } },
      'metadata.labels.a: must be letters, digits, "-", "_" and ".", at most 63, found "b c"',
    ],
    [
      'another version',
      { ...job({ command: 'x' }), apiVersion: 'millwright.dev/v1' },
      'apiVersion: must be "millwright.dev/v1alpha1", found "millwright.dev/v1"',
    ],
    ['no object', null, 'must be an object, found null'],
    ['no spec', { ...job({}), spec: undefined }, 'spec: is required and missing; allowed: object'],
  ])('%s', (_, object, error) => expect(errorsOf('TrainingJob', object)).toContain(error))

  test('a cluster-wide kind has no namespace', () => {
    const pool = { apiVersion, kind: 'Pool', metadata: { name: 'p', namespace: 'default' }, spec: { minNodes: 2 } }
    expect(errorsOf('Pool', pool)).toEqual([
      'metadata.namespace: must be left out: a Pool belongs to no namespace',
      'spec.minNodes: must not be above maxNodes (1), found 2',
    ])
  })

  test('a Secret never shows its values', () => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { key: 5 } }
    expect(errorsOf('Secret', secret)).toEqual([
      'stringData.key: must be a string, found (not shown); put it in quotes',
    ])
  })
})

describe('hostile objects', () => {
  test('a prototype is no field', () => {
    const object = JSON.parse('{"metadata":{"name":"a","labels":{"__proto__":"x"}}}')
    expect(errorsOf('TrainingJob', object)).toEqual(['metadata.labels.__proto__: is not allowed as a key'])
  })

  test('depth and size are bounded', () => {
    let deep: unknown = 1
    for (let i = 0; i < 100_000; i++) deep = [deep]
    expect(errorsOf('Pod', { spec: deep })).toEqual(['is nested deeper than 64 levels'])
    expect(errorsOf('Pod', { spec: new Array(300_000).fill(1) })).toEqual(['has more than 200000 values'])
  })

  test('nothing makes it throw, and the object given is left alone', () => {
    const values = fc.object({
      key: fc.oneof(fc.string(), fc.constantFrom('spec', 'metadata', 'groups', 'template', 'name')),
    })
    fc.assert(
      fc.property(fc.constantFrom(...kindNames), fc.oneof(fc.anything(), values), (kind, object) => {
        admit(kinds[kind], object)
      }),
    )
    const given = Object.freeze(job(Object.freeze({ command: 'x' })))
    expect(errorsOf('TrainingJob', given)).toEqual([])
  })
})

describe('updates', () => {
  const running = admitted(job({ command: ['x'], workers: 2 }, { status: { phase: 'Running' } }))
  const change = (before: TrainingJob, spec: object) => {
    const verdict = admitUpdate(kinds.TrainingJob, before, { ...before, spec: { ...before.spec, ...spec } })
    return 'errors' in verdict ? verdict.errors.map(formatFieldError) : 'ok'
  }

  test('a job that may run keeps its shape; suspended it may change; ended it may not', () => {
    expect(change(running, { workers: 3 })).toEqual([
      'spec.workers: cannot change while the job may run; suspend it first (spec.suspend: true)',
    ])
    expect(change(running, { priority: 7, maxRestarts: 9 })).toBe('ok')
    expect(change(running, { failurePolicy: { failExitCodes: [9] } })).toBe('ok')
    expect(change(running, { minWorkers: 1, ...alone })).toEqual(
      ['minWorkers', 'failurePolicy.restart'].map(
        (field) => `spec.${field}: cannot change while the job may run; suspend it first (spec.suspend: true)`,
      ),
    )
    expect(change(running, { workers: 3, suspend: true })).toBe('ok')
    expect(change({ ...running, spec: { ...running.spec, suspend: true } }, { workers: 3, suspend: false })).toBe('ok')
    const ended = { ...running, status: { conditions: [], phase: 'Succeeded' as const } }
    expect(change(ended, { command: ['y'], suspend: true })).toEqual([
      'spec.command: cannot change any more: the job has ended; run it again under another name',
    ])
  })

  test('a Model never changes', () => {
    const model = {
      apiVersion,
      kind: 'Model',
      metadata: { name: 'm-v1' },
      spec: { model: 'm', version: 1, manifest: 'k', digest: 'd', bytes: 1, files: [] },
    }
    const before = admit(kinds.Model, model)
    if ('errors' in before) throw new Error('refused')
    expect(admitUpdate(kinds.Model, before.object, before.object)).toHaveProperty('object')
    const other = admitUpdate(kinds.Model, before.object, { ...model, spec: { ...model.spec, bytes: 2 } })
    expect(other).toMatchObject({ errors: [{ path: 'spec', message: 'never changes: publish a new version instead' }] })
  })
})

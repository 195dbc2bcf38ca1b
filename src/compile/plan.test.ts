import { describe, expect, test } from 'vitest'
import { annotation } from '../model/names.ts'
import type { Resource } from '../model/registry.ts'
import { formatErrors, readDocuments } from './documents.ts'
import { type Change, formatPlan, plan, shownChange } from './plan.ts'

function read(text: string) {
  const found = readDocuments([{ name: 'a.yaml', text }])
  if ('errors' in found) throw new Error(formatErrors(found.errors))
  return found.documents
}
const head = (kind: string) => `apiVersion: millwright.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: x}\n`

/** The live object is what the factory made of `before`, with a status on top. */
function change(kind: string, before: string, after: string, status: object = {}): Change {
  const [document] = read(`${head(kind)}spec: ${before}\n`)
  const live = { ...document?.admitted, status } as Resource
  const [found] = plan(
    read(`${head(kind)}spec: ${after}\n`).map(({ object }) => object),
    () => live,
  )
  if (found === undefined) throw new Error('no change')
  return found
}
/** The patch without the note of what was applied, which is in all of them. */
function patchIn({ patch }: Change | undefined = change('Queue', '{}', '{}')): unknown {
  const { metadata, ...rest } = JSON.parse(JSON.stringify(patch))
  const { [annotation.lastApplied]: _, ...annotations } = metadata?.annotations ?? {}
  const kept = { ...metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : { annotations: undefined }) }
  return JSON.parse(JSON.stringify(kept.labels || kept.annotations ? { metadata: kept, ...rest } : rest))
}
const words = ({ disturbs, disturbance, blocked }: Change) =>
  [disturbs, disturbance, ...(blocked === undefined ? [] : [`refused: ${blocked}`])].join('; ')

describe('what others need', () => {
  const documents = () =>
    read(
      `${head('TrainingJob').replace('{name: x}', '{name: x, namespace: team}')}spec: {command: a, queue: q}
---
${head('Queue').replace('name: x', 'name: q')}spec: {namespaces: [team]}
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
`,
    ).map(({ object }) => object)
  const none = () => undefined

  test('comes first, whatever the order of the file', () => {
    const changes = plan(documents(), none, () => false)
    expect(changes.map(({ kind, blocked }) => [kind, blocked])).toEqual([
      ['Namespace', undefined],
      ['Queue', undefined],
      ['TrainingJob', undefined],
    ])
  })

  test('is asked for before anything is applied', () => {
    const [queue, job] = plan(documents().slice(0, 2), none, () => false)
    expect([queue?.blocked, job?.blocked]).toEqual([
      undefined,
      'namespace team does not exist; write a Namespace into the file, too',
    ])
    expect(formatPlan(job === undefined ? [] : [job], { color: false })).toContain(
      '    ! will be refused: namespace team does not exist',
    )
    expect(plan(documents().slice(0, 1), none, (name) => name === 'team')[0]?.blocked).toBeUndefined()
  })
})

describe('differences', () => {
  test('what is not there is created, with all that the file says', () => {
    const wanted = read(`${head('TrainingJob')}spec: {workers: 2, command: [a, b]}`).map(({ object }) => object)
    expect(plan(wanted, () => undefined)).toMatchObject([
      { action: 'create', kind: 'TrainingJob', name: 'x', namespace: 'default', disturbs: 'nothing', patch: {} },
    ])
    expect(
      formatPlan(
        plan(wanted, () => undefined),
        { color: false },
      ),
    ).toBe(`+ TrainingJob default/x will be created
    spec.workers: 2
    spec.command: ["a","b"]

Plan: 1 to create, 0 to change, 0 unchanged.`)
  })

  test('only what the file names counts: defaults and what others set are left alone', () => {
    expect(change('TrainingJob', '{command: x, suspend: true, priority: 7}', '{command: x}')).toMatchObject({
      action: 'unchanged',
      patch: {},
    })
    const grouped = '{groups: [{template: {spec: {containers: [{name: a}]}}}]}'
    expect(change('TrainingJob', grouped, grouped).action).toBe('unchanged')
  })

  test('field by field, old and new; the patch carries no more', () => {
    const found = change(
      'InferenceService',
      '{command: x, maxReplicas: 2}',
      '{command: x, maxReplicas: 4, target: 8, env: {A: 1}}',
    )
    expect(found.differences.map(({ path, before, after }) => [path, before, after])).toEqual([
      ['spec.maxReplicas', 2, 4],
      ['spec.target', 4, 8],
      ['spec.env.A', undefined, 1],
    ])
    expect(patchIn(found)).toEqual({ spec: { maxReplicas: 4, target: 8, env: { A: 1 } } })
  })

  test('inside a list the reader sees the entry, the patch carries the list', () => {
    const group = (image: string) =>
      `{groups: [{name: a, template: {spec: {containers: [{name: c, image: ${image}}]}}}]}`
    const found = change('TrainingJob', group('v1'), group('v2'), { phase: 'Suspended' })
    expect(found.differences.map(({ path, before, after }) => [path, before, after])).toEqual([
      ['spec.groups[0].template.spec.containers[0].image', 'v1', 'v2'],
    ])
    expect(patchIn(found)).toEqual({
      spec: { groups: [{ name: 'a', template: { spec: { containers: [{ name: 'c', image: 'v2' }] } } }] },
    })
  })

  test('what the file named when it was last applied and no longer names goes back to its default', () => {
    const apply = (spec: string, live?: Resource) =>
      plan(
        read(`${head('TrainingJob')}spec: ${spec}`).map(({ object }) => object),
        () => live,
      )
    const [created] = apply('{command: x, maxRestarts: 9, env: {A: 1, B: 2}, output: {model: m}, args: [a]}')
    const admitted = read(JSON.stringify(created?.object))[0]?.admitted as Resource
    if (admitted.kind !== 'TrainingJob') throw new Error('another kind')
    const live: Resource = { ...admitted, spec: { ...admitted.spec, priority: 7 } }
    const [found] = apply('{command: x, env: {A: 1}, args: [a]}', live)
    expect(found?.differences.map(({ path, before, after }) => [path, before, after])).toEqual([
      ['spec.maxRestarts', 9, 5],
      ['spec.env.B', 2, undefined],
      ['spec.output', { model: 'm' }, undefined],
    ])
    expect(patchIn(found)).toEqual({ spec: { maxRestarts: null, env: { B: null }, output: null } })
    expect(formatPlan(found === undefined ? [] : [found], { color: false })).toContain('spec.env.B: 2 → (removed)')
  })

  test('an entry of a list that says less than it did is a change', () => {
    const apply = (containers: string, live?: Resource) =>
      plan(
        read(`${head('TrainingJob')}spec: {groups: [{template: {spec: {containers: [${containers}]}}}]}`).map(
          ({ object }) => object,
        ),
        () => live,
      )
    const [created] = apply('{name: a, image: v1}')
    const live = read(JSON.stringify(created?.object))[0]?.admitted
    expect(apply('{name: a, image: v1}', live)[0]?.action).toBe('unchanged')
    expect(apply('{name: a}', live)[0]?.differences.map(({ path }) => path)).toEqual(['spec.groups'])
    const edited = {
      ...live,
      metadata: { ...live?.metadata, annotations: { [annotation.lastApplied]: '{' } },
    } as Resource
    expect(apply('{name: a}', edited)[0]?.action).toBe('unchanged')
  })

  test('labels count, the rest of metadata is the store’s', () => {
    const [live] = read(`${head('Queue')}spec: {}`)
    const [document] = read(`${head('Queue').replace('name: x', 'name: x, uid: u, labels: {a: b}')}spec: {}`)
    const [found] = plan(document === undefined ? [] : [document.object], () => live?.admitted)
    expect(patchIn(found)).toEqual({ metadata: { labels: { a: 'b' } } })
  })

  test('what `get` wrote is unchanged once it is applied, and its note is of what it says without one', () => {
    const apply = (object: object, live?: Resource) =>
      plan(
        read(JSON.stringify(object)).map((document) => document.object),
        () => live,
      )[0]
    const made = (found: Change | undefined) => read(JSON.stringify(found?.object))[0]?.admitted as Resource
    const [wanted] = read(`${head('Queue')}spec: {weight: 2}`)
    const live = made(apply(wanted?.object ?? {}))
    const edited = { ...live, spec: { weight: 3 } }
    const found = apply(edited, live)
    expect(found?.differences.map(({ path }) => path)).toEqual(['spec.weight'])
    const after = made(found)
    const note = JSON.parse(after.metadata.annotations?.[annotation.lastApplied] ?? '')
    expect(note.metadata.annotations).toEqual({})
    expect(apply(edited, after)?.action).toBe('unchanged')
  })

  test('of labels and annotations go only those that the file named, also where it names none any more', () => {
    const apply = (metadata: string, live?: Resource) =>
      plan(
        read(`${head('Queue').replace('name: x', `name: x${metadata}`)}spec: {}`).map(({ object }) => object),
        () => live,
      )[0]
    const made = read(JSON.stringify(apply(', labels: {a: b}, annotations: {c: d}')?.object))[0]?.admitted as Resource
    const { labels, annotations } = made.metadata
    const live = {
      ...made,
      metadata: {
        ...made.metadata,
        labels: { ...labels, of: 'others' },
        annotations: { ...annotations, of: 'others' },
      },
    } as Resource
    for (const metadata of ['', ', labels: {}, annotations: {}'])
      expect(patchIn(apply(metadata, live))).toEqual({
        metadata: { labels: { a: null }, annotations: { c: null } },
      })
  })

  test('labels and annotations that are empty are as good as none', () => {
    const [live] = read(`${head('Queue')}spec: {}`)
    const empty = read(`${head('Queue').replace('name: x', 'name: x, labels: {}, annotations: {}')}spec: {}`)
    const changes = plan(
      empty.map(({ object }) => object),
      () => live?.admitted,
    )
    expect(changes[0]?.action).toBe('unchanged')
  })

  test('a Secret is compared, and never shown', () => {
    const secret = (value: string) => `apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {key: ${value}}\n`
    const live = { ...read(secret('a'))[0]?.admitted, data: { key: 'cGFzcw==' } } as Resource
    const of = (value: string) =>
      plan(
        read(secret(value)).map(({ object }) => object),
        () => live,
      )
    expect(of('pass')[0]?.action).toBe('unchanged')
    expect(of('other')[0]?.patch).toEqual({ data: { key: 'b3RoZXI=' } })
    expect(formatPlan(of('other'), { color: false })).toContain('data.key: "(not shown)" → "(not shown)"')
    const shown = of('other').map(shownChange)
    expect(shown).toMatchObject([
      { object: { stringData: { key: '(not shown)' } }, patch: { data: { key: '(not shown)' } } },
    ])
    expect(JSON.stringify(shown)).not.toMatch(/other|b3RoZXI=|cGFzcw==/)
  })
})

describe('what a change disturbs', () => {
  test.each<[string, string, string, string, object, string]>([
    ['priority', 'TrainingJob', '{command: x}', '{priority: 5, command: x}', { phase: 'Running' }, 'nothing; '],
    [
      'the command of a running job',
      'TrainingJob',
      '{command: x}',
      '{command: y, workers: 2}',
      { phase: 'Running' },
      'restarts; workers, command can change only while x is suspended; it then goes on from its last checkpoint; refused: suspend it first: millwright suspend x',
    ],
    [
      'who starts again, of a running job',
      'TrainingJob',
      '{command: x, workers: 2, minWorkers: 1, failurePolicy: {failExitCodes: [9]}}',
      '{command: x, workers: 2, minWorkers: 1, failurePolicy: {failExitCodes: [8], restart: worker}}',
      { phase: 'Running' },
      'restarts; failurePolicy.restart can change only while x is suspended; it then goes on from its last checkpoint; refused: suspend it first: millwright suspend x',
    ],
    [
      '… of a suspended one',
      'TrainingJob',
      '{command: x, suspend: true}',
      '{command: y}',
      { phase: 'Suspended' },
      'nothing; ',
    ],
    [
      '… while suspending it',
      'TrainingJob',
      '{command: x}',
      '{command: y, suspend: true}',
      { phase: 'Running' },
      'restarts; x stops at a checkpoint and goes on from there when resumed',
    ],
    [
      '… of one that has ended',
      'TrainingJob',
      '{command: x}',
      '{command: y}',
      { phase: 'Failed' },
      'nothing; ; refused: x has ended; run it again under another name',
    ],
    [
      'a shorter deadline',
      'TrainingJob',
      '{command: x}',
      '{command: x, activeDeadlineSeconds: 60}',
      { phase: 'Running', startTime: 't' },
      'destroys; x fails at once if it has run for 60 s already',
    ],
    [
      'a template',
      'InferenceService',
      '{command: x}',
      '{command: y}',
      { replicas: 3 },
      'rolls; x replaces its 3 replicas one by one; a new one is ready before an old one drains',
    ],
    ['a template at zero', 'InferenceService', '{command: x}', '{command: y}', { replicas: 0 }, 'nothing; '],
    [
      'fewer replicas',
      'InferenceService',
      '{command: x, maxReplicas: 4}',
      '{command: x, maxReplicas: 1}',
      { replicas: 3 },
      'rolls; 2 of 3 replicas of x drain and leave',
    ],
    [
      'a suspended service',
      'InferenceService',
      '{command: x}',
      '{command: x, suspend: true}',
      {},
      'destroys; x drains all its replicas and refuses requests until resumed',
    ],
    [
      'fewer nodes',
      'Pool',
      '{maxNodes: 4}',
      '{maxNodes: 1}',
      { nodes: 3 },
      'destroys; 2 of 3 nodes leave, with what runs on them',
    ],
    ['more nodes', 'Pool', '{maxNodes: 4}', '{maxNodes: 9}', { nodes: 3 }, 'nothing; '],
    [
      'a drained queue',
      'Queue',
      '{}',
      '{stopPolicy: HoldAndDrain}',
      { running: 2 },
      'restarts; 2 running gangs of x stop at a checkpoint',
    ],
    [
      'a smaller quota',
      'Queue',
      '{nominalQuota: {H100: 16, cpu: 4}}',
      '{nominalQuota: {H100: 8, cpu: 2}}',
      { usage: { H100: 12, cpu: 1 } },
      'nothing; work above the new quota of H100 (12 in use) goes on, and yields when a queue of its tree claims its own',
    ],
  ])('%s', (_, kind, before, after, status, expected) =>
    expect(words(change(kind, before, after, status))).toBe(expected),
  )
})

test('the plan is read before it is carried out', () => {
  const changes = [
    change('TrainingJob', '{command: x}', '{command: y}', { phase: 'Running' }),
    change('Pool', '{maxNodes: 4}', '{maxNodes: 1}', { nodes: 3 }),
    change('Queue', '{}', '{}'),
  ]
  expect(formatPlan(changes, { color: false })).toBe(`~ TrainingJob default/x will be changed
    spec.command: x → y
    ! restarts: command can change only while x is suspended; it then goes on from its last checkpoint
    ! will be refused: suspend it first: millwright suspend x
~ Pool x will be changed
    spec.maxNodes: 4 → 1
    ! destroys: 2 of 3 nodes leave, with what runs on them
= Queue x is unchanged

Plan: 0 to create, 2 to change, 1 unchanged, 2 disturb running work, 1 will be refused.`)
  expect(formatPlan(changes, { color: true })).toContain('\u001b[31m    ! destroys')
  const smaller = change('Queue', '{nominalQuota: {cpu: 4}}', '{nominalQuota: {cpu: 1}}', { usage: { cpu: 4 } })
  expect(formatPlan([smaller], { color: false })).toBe(`~ Queue x will be changed
    spec.nominalQuota.cpu: 4 → 1
    ! work above the new quota of cpu (4 in use) goes on, and yields when a queue of its tree claims its own

Plan: 0 to create, 1 to change, 0 unchanged.`)
  expect(formatPlan([], { color: false })).toBe('Plan: 0 to create, 0 to change, 0 unchanged.')
})

test('a value from a file cannot drive the terminal', () => {
  const wanted = read(`${head('TrainingJob')}spec: {command: ["\\e[2J", "${'x'.repeat(500)}"]}`).map(
    ({ object }) => object,
  )
  const text = formatPlan(
    plan(wanted, () => undefined),
    { color: false },
  )
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(130)
})

import { describe, expect, test } from 'vitest'
import { formatErrors } from './documents.ts'
import { readState, type State, stateLimits } from './state.ts'

const nowMs = Date.parse('2026-01-01T00:00:00Z')
const ours = 'apiVersion: millwright.dev/v1alpha1\nkind: '

const node = (name: string, status = '{allocatable: {nvidia.com/gpu: 8}}', annotations = '{}') =>
  `apiVersion: v1\nkind: Node\nmetadata: {name: ${name}, labels: {millwright.dev/accelerator: H100}, annotations: ${annotations}}\nstatus: ${status}\n`
const queue = (name: string, spec: string) => `${ours}Queue\nmetadata: {name: ${name}}\nspec: ${spec}\n`
const job = (name: string, spec = '', rest = '') =>
  `${ours}TrainingJob\nmetadata: {name: ${name}}\nspec: {command: [x], resources: {accelerators: "H100:8"}${spec}}\n${rest}`
const gang = (name: string, groups: string, status = '') =>
  `${ours}Gang\nmetadata: {name: ${name}}\nspec: {attempt: 1, queue: default, priority: 0, groups: ${groups}}\n${status}`
const group = '[{name: worker, min: 1, max: 1, accelerators: [{model: H100, count: 8}]}]'
const seats = (on: string, device: string, pod = 'g-worker-0-1', at = '2026-01-01T00:00:00Z') =>
  `status:\n  seats:\n    attempt: 1\n    epoch: 1\n    at: "${at}"\n    masterAddr: 127.0.0.1\n    masterPort: 1\n    members:\n` +
  `      - {pod: ${pod}, group: worker, rank: 0, localRank: 0, node: ${on}, devices: [{id: ${device}, milli: 1000}], ports: []}\n`
const pod = (on: string, devices = '', phase = 'Running') =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {millwright.dev/devices: "${devices}"}}\nspec: {nodeName: ${on}, containers: [{name: main}]}\nstatus: {phase: ${phase}}\n`
const state = (...documents: string[]) => documents.join('---\n')

function read(text: string): State {
  const found = readState([{ name: 's.yaml', text }], { nowMs })
  if ('errors' in found) throw new Error(formatErrors(found.errors))
  return found.state
}

function errorsOf(text: string): string {
  const found = readState([{ name: 's.yaml', text }], { nowMs })
  return 'errors' in found ? formatErrors(found.errors) : 'no error'
}

describe('what is wrong with a state is said with its place', () => {
  test.each<[string, string, string]>([
    [
      'a cycle of queues',
      state(queue('a', '{parent: c}'), queue('b', '{parent: a}'), queue('c', '{parent: b}'), queue('d', '{parent: a}')),
      's.yaml:4:16: spec.parent: makes a cycle of queues: a → c → b → a',
    ],
    [
      'a queue that is its own parent',
      queue('a', '{parent: a}'),
      's.yaml:4:8: spec.parent: must not be the queue itself',
    ],
    [
      'a parent that is not there',
      state(queue('research', '{}'), queue('b', '{parent: reserch}')),
      's.yaml:9:16: spec.parent: names a Queue that is not in this state, found "reserch"; did you mean "research"?',
    ],
    [
      'queues nested too deeply',
      state(...Array.from({ length: 66 }, (_, i) => queue(`q${i}`, i === 0 ? '{}' : `{parent: q${i - 1}}`))),
      's.yaml:324:16: spec.parent: is nested deeper than 64 queues\ns.yaml:329:16: spec.parent: is nested deeper than 64 queues',
    ],
    [
      'a negative quota',
      queue('a', '{nominalQuota: {H100: -1}}'),
      's.yaml:4:29: spec.nominalQuota.H100: must be at least 0, found -1',
    ],
    [
      'a quota that is no number',
      queue('a', '{nominalQuota: {H100: .nan}}'),
      's.yaml:4:29: spec.nominalQuota.H100: must be a finite number, found .nan',
    ],
    [
      'an absurd quota',
      queue('a', '{nominalQuota: {H100: 1e300}}'),
      's.yaml:4:29: spec.nominalQuota.H100: must be at most 1000000000, found 1e+300',
    ],
    [
      'an absurd number of devices',
      node('a', '{allocatable: {nvidia.com/gpu: 4000000000}}'),
      's.yaml:4:40: status.allocatable["nvidia.com/gpu"]: must be at most 1024: no machine has more, found 4000000000',
    ],
    [
      'a negative amount of memory',
      node('a', '{allocatable: {memory: -1Gi}}'),
      's.yaml:4:32: status.allocatable.memory: is negative, found "-1Gi"',
    ],
    [
      'devices that are no list',
      node('a', '{}', `{millwright.dev/node-devices: '{"id": 1}'}`),
      's.yaml:3:108: metadata.annotations["millwright.dev/node-devices"]: must be a JSON list of {"id", "model", "healthy"}',
    ],
    [
      'a device that is listed twice',
      node(
        'a',
        '{}',
        `{millwright.dev/node-devices: '${JSON.stringify([1, 2].map(() => ({ id: 'x', model: 'y', healthy: true })))}'}`,
      ),
      's.yaml:3:108: metadata.annotations["millwright.dev/node-devices"]: lists device "x" twice',
    ],
    [
      'a pod that is bound to an unknown node',
      state(node('rack-1'), pod('rack-2')),
      's.yaml:9:18: spec.nodeName: names a Node that is not in this state; add it, or leave this out, found "rack-2"; did you mean "rack-1"?',
    ],
    [
      'a pod with an unknown device',
      state(node('a'), pod('a', 'H100-0,H100-9')),
      's.yaml:8:59: metadata.annotations["millwright.dev/devices"]: names what is no device of node a, found "H100-9"',
    ],
    [
      'seats on an unknown node',
      state(node('a'), gang('g', group, seats('b', 'H100-0'))),
      's.yaml:18:73: status.seats.members[0].node: names a Node that is not in this state; add it, or leave this out, found "b"',
    ],
    [
      'a seat with an unknown device',
      state(node('a'), gang('g', group, seats('a', 'H100-8'))),
      's.yaml:18:91: status.seats.members[0].devices[0].id: is no device of node a, found "H100-8"',
    ],
    [
      'a device that is promised twice',
      state(node('a'), gang('g', group, seats('a', 'H100-0')), gang('h', group, seats('a', 'H100-0', 'h-worker-0-1'))),
      's.yaml:32:91: status.seats.members[0].devices[0].id: of node a is promised twice: gang default/g has it too, found "H100-0"',
    ],
    [
      'a time that is none',
      state(node('a'), gang('g', group, seats('a', 'H100-0', 'p', 'yesterday'))),
      's.yaml:14:9: status.seats.at: must be a time such as 2026-01-01T00:00:00Z, found "yesterday"',
    ],
    [
      'a gang of a billion',
      gang('g', '[{name: w, min: 1, max: 1000000000, accelerators: [{model: H100, count: 0}]}]'),
      's.yaml:4:49: spec.groups: must have at most 50000 such members together, for their seats are written in one piece, found 1000000000',
    ],
    [
      'two groups of one name',
      gang('g', `[${group.slice(1, -1)}, ${group.slice(1, -1)}]`),
      's.yaml:4:138: spec.groups[1].name: is taken by another group, found "worker"',
    ],
    [
      'two jobs of one name',
      state(job('a'), job('a')),
      's.yaml:8:18: metadata.name: names a TrainingJob that s.yaml:3 also describes, found "a"',
    ],
    [
      'a job with the name of another gang',
      state(gang('a', group), job('a')),
      "s.yaml:8:18: metadata.name: is also the name of the Gang of s.yaml:1, which is not this job's",
    ],
    [
      'a kind that nobody knows',
      'apiVersion: apps/v1\nkind: Deployment\n',
      's.yaml:2:7: kind: is a kind that we do not know, found "Deployment"; allowed: Pool, Queue,',
    ],
    [
      'an alias of itself',
      `${ours}Queue\nmetadata: {name: a}\nspec: &x {nominalQuota: *x}\n`,
      's.yaml:4:25: spec.nominalQuota: refers to *x, which it is a part of',
    ],
    [
      'more aliases than anybody writes',
      `apiVersion: v1\nkind: List\nitems: [&n ${JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'a' } })}${', *n'.repeat(1001)}]\n`,
      's.yaml:3:4071: has more than 1000 aliases',
    ],
    ['nothing at all', '', 's.yaml:1:1: holds no resource'],
  ])('%s', (_, text, expected) => {
    const said = errorsOf(text)
    expect(said.slice(0, expected.length)).toBe(expected)
  })

  test('more than is read at most: YAML, JSON, objects, files', () => {
    const items = (count: number) =>
      Array.from({ length: count }, (_, i) => `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n${i}"}}`).join(',')
    const list = (count: number) => `{"apiVersion":"v1","kind":"List","items":[${items(count)}]}`
    expect(errorsOf(`# ${'x'.repeat(4 * 1024 * 1024)}`)).toBe(
      's.yaml:1:1: is larger than 4 MiB; write it as JSON, of which more is read',
    )
    expect(errorsOf(`{${' '.repeat(stateLimits.jsonCharacters)}}`)).toBe(
      's.yaml:1:1: is larger than 64 MiB; split it in two',
    )
    const many = Array.from({ length: 3 }, (_, i) => ({ name: `${i}.json`, text: ' '.repeat(50 * 1024 * 1024) }))
    const found = readState(many, { nowMs })
    expect('errors' in found && formatErrors(found.errors)).toBe('0.json:1:1: are larger than 128 MiB together')
    expect(errorsOf(list(stateLimits.resources + 1))).toBe(
      's.yaml:1:1: holds 250001 resources; 250000 are read at most',
    )
  })

  test('a service that wants more replicas than a state may hold', () => {
    const service = (name: string) =>
      `${ours}InferenceService\nmetadata: {name: ${name}}\nspec: {command: [x], minReplicas: 10000, maxReplicas: 10000}\n`
    const services = Array.from({ length: 26 }, (_, i) => service(`s${i}`))
    expect(errorsOf(state(...services))).toBe(
      's.yaml:129:35: spec.minReplicas: makes more than 250000 gangs of this state',
    )
  })
})

describe('with a change the state is what apply makes of it', () => {
  function changed(before: string, change: string): ReturnType<typeof readState> {
    return readState([{ name: 's.yaml', text: before }], { nowMs, change: [{ name: 'c.yaml', text: change }] })
  }
  const suspended = job('a', ', suspend: true, priority: 3, workers: 2')

  test('what it does not name stays as it is', () => {
    expect(changed(suspended, job('a', ', priority: 7'))).toMatchObject({
      state: { jobs: [{ spec: { suspend: true, priority: 7, workers: 2 } }], gangs: [{ spec: { suspend: true } }] },
    })
  })

  test('... but what it named when it was last applied goes back to its default', () => {
    const last = JSON.stringify({ metadata: {}, spec: { priority: 3, workers: 2 } })
    const applied = suspended.replace('{name: a}', `{name: a, annotations: {millwright.dev/last-applied: '${last}'}}`)
    expect(changed(applied, job('a', ', workers: 2'))).toMatchObject({
      state: { jobs: [{ spec: { suspend: true, priority: 0, workers: 2 } }] },
    })
  })

  test('what is no resource together is said with its place in the change', () => {
    const found = changed(job('a', ', minWorkers: 3, workers: 4'), job('a', ', workers: 2'))
    expect('errors' in found && formatErrors(found.errors)).toMatch(/^c\.yaml:\d+:\d+: spec\./)
  })
})

describe('jobs and services become gangs', () => {
  const names = ({ gangs }: State) =>
    gangs.map(({ metadata, spec }) => `${metadata.name}${spec.suspend ? ' suspended' : ''}`)

  test('a job without a gang gets one, one that has ended does not, one that is suspended wants no seats', () => {
    const done = "status: {conditions: [{type: Complete, status: 'True'}]}\n"
    expect(names(read(state(job('a'), job('b', '', done), job('c', ', suspend: true'))))).toEqual(['a', 'c suspended'])
    expect(read(job('a', ', workers: 3')).gangs[0]?.spec.groups[0]).toMatchObject({
      min: 3,
      accelerators: [{ model: 'H100', count: 8 }],
    })
  })

  test("a job's gang is its own, follows its spec, and takes its shape while it holds nothing", () => {
    const own = (status = '') =>
      gang('a', group, status).replace('{name: a}', '{name: a, labels: {millwright.dev/job: a}}')
    const changed = job('a', ', workers: 3, priority: 7, topology: {required: rack}')
    expect(read(state(own(), changed)).gangs).toMatchObject([
      { spec: { priority: 7, topology: { required: 'rack' }, groups: [{ min: 3 }] } },
    ])
    const seated = read(state(node('a'), own(seats('a', 'H100-0')), changed))
    expect(seated.gangs).toMatchObject([{ spec: { priority: 7, groups: [{ min: 1 }] } }])
    const ofGang = pod('a').replace('{name: p,', '{name: p, labels: {millwright.dev/gang: a},')
    expect(read(state(node('a'), own(), ofGang, changed)).gangs).toMatchObject([{ spec: { groups: [{ min: 1 }] } }])
  })

  test('a job that was suspended and is not any more goes on as the next attempt', () => {
    const held = gang('a', group)
      .replace('{name: a}', '{name: a, labels: {millwright.dev/job: a}}')
      .replace('{attempt: 1', '{suspend: true, attempt: 1')
    expect(read(state(held, job('a', '', 'status: {phase: Suspended}\n'))).gangs).toMatchObject([
      { spec: { suspend: false, attempt: 2 } },
    ])
    expect(names(read(state(held, job('a'))))).toEqual(['a suspended'])
  })

  test('a service gets the replicas that are wanted and not there', () => {
    const service = (rest: string, status = '') =>
      `${ours}InferenceService\nmetadata: {name: s}\nspec: {command: [x], maxReplicas: 4${rest}}\n${status}`
    const replica = gang('s-0', group).replace('{name: s-0}', '{name: s-0, labels: {millwright.dev/service: s}}')
    expect(names(read(service(', minReplicas: 2')))).toEqual(['s-0', 's-1'])
    expect(names(read(state(replica, service(', minReplicas: 0', 'status: {wantedReplicas: 3}\n'))))).toEqual([
      's-0',
      's-1',
      's-2',
    ])
    expect(names(read(service(', minReplicas: 2, suspend: true')))).toEqual([])
    expect(names(read(service(', minReplicas: 2', 'status: {wantedReplicas: 9, revision: abc}\n')))).toEqual([
      's-abc-0',
      's-abc-1',
      's-abc-2',
      's-abc-3',
    ])
  })

  test('what has no time stands behind what has one, in the order of the file', () => {
    const old = job('z').replace('{name: z}', '{name: z, creationTimestamp: "2025-01-01T00:00:00Z"}')
    const times = read(state(job('b'), job('a'), old)).gangs.map(
      ({ metadata }) => `${metadata.name} ${metadata.creationTimestamp}`,
    )
    expect(times).toEqual(['b 2026-01-01T00:00:00.000Z', 'a 2026-01-01T00:00:00.001Z', 'z 2025-01-01T00:00:00.000Z'])
  })

  test('a state of its time is of when the newest happened that it says, whatever is to come, and comes with a change', () => {
    const at = (text: string, change: string[] = []) => {
      const files = (texts: string[]) => texts.map((one) => ({ name: 's.yaml', text: one }))
      const found = readState(files([text]), { nowMs, isOfItsTime: true, change: files(change) })
      if ('errors' in found) throw new Error(formatErrors(found.errors))
      const [gang] = found.state.gangs.slice(-1)
      return [new Date(found.state.nowMs).toISOString(), gang?.metadata.creationTimestamp]
    }
    const seated = gang('g', group, seats('a', 'H100-0', undefined, '2025-03-01T00:00:00Z'))
    const ends = '  expectedEnd: "2025-04-01T00:00:00Z"\n'
    const then = '2025-03-01T00:00:00.000Z'
    expect(at(state(node('a'), `${seated}${ends}`))[0]).toBe(then)
    const later = job('j').replace('{name: j}', '{name: j, creationTimestamp: "2025-05-01T00:00:00Z"}')
    expect(at(state(node('a'), seated), [later])).toEqual([then, '2025-05-01T00:00:00.000Z'])
    expect(at(state(node('a'), job('j')))).toEqual(['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.001Z'])
  })

  test('a queue is taken for granted where none is given; kinds that say nothing of seats are passed over', () => {
    const pool = `${ours}Pool\nmetadata: {name: p}\nspec: {accelerator: H100, maxNodes: 1, spares: auto}\n`
    const model = `${ours}Model\nmetadata: {name: m, namespace: default}\nspec: {model: m, version: 1, manifest: x, digest: d, bytes: 1, files: [], lineage: {job: a, jobUid: u, attempt: 1}}\n`
    const found = read(state(job('a'), pool, model))
    expect(found).toMatchObject({ isQueueAssumed: true, passedOver: [{ kind: 'Model', count: 1 }] })
    expect(found.pools).toMatchObject([{ metadata: { name: 'p' }, spec: { spares: 'auto' } }])
    expect(found.queues.map(({ metadata }) => metadata.name)).toEqual(['default'])
    expect(read(queue('q', '{}')).queues.map(({ metadata }) => metadata.name)).toEqual(['q'])
  })

  test('a pod that has ended, and any pod where there are no nodes, need no node', () => {
    expect(errorsOf(state(node('a'), pod('b', '', 'Failed')))).toBe('no error')
    expect(errorsOf(pod('b'))).toBe('no error')
  })
})

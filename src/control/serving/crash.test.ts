import { expect, test } from 'vitest'
import { inferenceService } from '../../model/kinds/inference-service.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { label } from '../../model/names.ts'
import { refOf } from '../../model/refs.ts'
import { mortalControl } from '../crashing.fixture.ts'
import { createWorld, type World } from '../world.fixture.ts'

const ref = { name: 'chat', namespace: 'default' }

/**
 * Kills the whole control plane after its n-th write, for every n of a service's life: start, a rolling update, a
 * failed replica, more demand, suspension, resumption, deletion. A new one must reach the same states on the way.
 */
test('a control plane that dies after any of its writes changes nothing about what a service becomes', async () => {
  const undisturbed = await lifeOf()
  expect(undisturbed.states).toEqual([
    'Ready 1: 1',
    'Ready 1: 1', // of another revision
    'Ready 1: 2',
    'Ready 3: 1 1 2',
    'Suspended 0: ',
    'Ready 1: 1',
  ])
  expect(undisturbed.writes).toBeGreaterThan(25)
  for (let n = 1; n <= undisturbed.writes; n++) {
    const { states } = await lifeOf(n)
    expect({ n, states }).toEqual({ n, states: undisturbed.states })
  }
}, 120_000)

async function lifeOf(crashAfter = Number.POSITIVE_INFINITY): Promise<{ states: string[]; writes: number }> {
  const world = await createWorld({ seed: 5 })
  await world.node('a', 6)
  world.agent.onStart((pod) => becomeReady(world, pod))
  const { writes, until } = mortalControl(world, crashAfter)
  const states: string[] = []
  const change = (spec: object) => world.store.patch('InferenceService', ref, { spec })
  /** Waits until exactly so many replicas run, all ready, all of one revision and none of them leaving. */
  const steady = async (what: string, ready: number, revisionNot?: string) => {
    await until(async () => {
      const { status } = await serviceOf(world)
      const gangs = await gangsOf(world)
      const revisions = new Set(gangs.map((gang) => gang.metadata.labels?.[label.revision]))
      const done = status?.readyReplicas === ready && status.replicas === ready && gangs.length === ready
      return done && revisions.size <= 1 && (revisionNot === undefined || !revisions.has(revisionNot))
    }, what)
    states.push(await stateOf(world))
  }

  await world.store.create(
    'InferenceService',
    inferenceService.parse({
      apiVersion: millwrightVersion,
      kind: 'InferenceService',
      metadata: ref,
      spec: { command: ['serve'], maxReplicas: 3, target: 1, scaleDownSeconds: 5 },
    }),
  )
  await steady('one replica', 1)
  const { revision } = (await serviceOf(world)).status ?? {}
  await change({ env: { V: '2' } })
  await steady('the new revision', 1, revision)
  await world.agent.end(world.agent.running()[0] ?? '', { exitCode: 1 })
  await until(async () => (await gangsOf(world))[0]?.spec.attempt === 2, 'attempt 2')
  await steady('a restarted replica', 1)
  await demand(world, 3)
  await steady('three replicas', 3)
  await change({ suspend: true })
  await steady('none', 0)
  expect(world.agent.running()).toEqual([])
  await demand(world, 0)
  await change({ suspend: false })
  await steady('one again', 1)
  expect([...world.agent.starts].filter(([, starts]) => starts > 2)).toEqual([])
  await world.store.delete('InferenceService', ref)
  await until(async () => (await gangsOf(world)).length === 0, 'no gang is left')
  await until(async () => (await podsOf(world)).length === 0, 'no pod is left')
  await world.close()
  return { states, writes: writes() }
}

async function stateOf(world: World): Promise<string> {
  const { status } = await serviceOf(world)
  const attempts = (await gangsOf(world)).map((gang) => gang.spec.attempt).sort()
  return `${status?.phase} ${status?.readyReplicas}: ${attempts.join(' ')}`
}

async function serviceOf(world: World) {
  const found = await world.store.get('InferenceService', ref)
  if (found === undefined) throw new Error('the service is gone')
  return found
}

const gangsOf = async (world: World) => (await world.store.list('Gang', { labels: `${label.service}=chat` })).items
const podsOf = async (world: World) => (await world.store.list('Pod', { labels: `${label.service}=chat` })).items

async function becomeReady(world: World, pod: Pod): Promise<void> {
  const status = { conditions: [{ type: 'Ready', status: 'True' }] }
  await world.store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
}

async function demand(world: World, inFlight: number): Promise<void> {
  const { uid = '' } = (await serviceOf(world)).metadata
  const name = 'service.chat'
  const status = { checkpoints: [], inFlight }
  const created = await world.store.create(
    'Report',
    {
      apiVersion: millwrightVersion,
      kind: 'Report',
      metadata: { name, namespace: 'default' },
      spec: { service: { name: 'chat', uid } },
      status,
    },
    { withStatus: true },
  )
  if (created === 'exists')
    await world.store.patch('Report', { name, namespace: 'default' }, { status }, { status: true })
}

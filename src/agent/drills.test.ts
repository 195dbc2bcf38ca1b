import { beforeEach, expect, test } from 'vitest'
import { silentLog } from '../base/log.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import { faultKinds, faults, isOfTwin } from '../model/faults.ts'
import { type Drill, drill } from '../model/kinds/drill.ts'
import { millwrightVersion } from '../model/metadata.ts'
import type { Store } from '../store/contract.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import type { PodEnd } from './contract.ts'
import { type Drills, startDrills } from './drills.ts'
import type { Hand } from './hand.ts'

let clock: ManualClock
let store: Store
/** What was done, in order. */
let done: string[]
beforeEach(async () => {
  clock = createManualClock()
  store = createMemoryStore({ clock, random: seededRandom(1) })
  done = []
  await store.create(
    'Pod',
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'default', uid: 'u' },
      spec: { nodeName: 'n', containers: [{ name: 'main' }] },
      status: { phase: 'Running' },
    },
    { withStatus: true },
  )
})

const ref = { name: 'd', namespace: 'default' }
const status = async () => (await store.get('Drill', ref))?.status

const held = 'millwright.dev/devices'
const noDisk = { fill: async () => {}, free: async () => {} }

function hand(): Hand {
  const say = (words: string) => void done.push(words)
  const find = async (uid: string) => ({
    signal: (name: string) => say(`${name} ${uid}`),
    ended: new Promise<PodEnd>(() => {}),
  })
  return {
    runnerOf: (node) => (node === 'n' ? { find } : undefined),
    loseNode: async (node) => say(`lose ${node}`),
    restoreNode: async (node) => say(`restore ${node}`),
    diskOf: (node) => ({
      problem: () => undefined,
      fill: async () => say(`fill ${node}`),
      free: async () => say(`free ${node}`),
    }),
    crashControl: () => say('crash control'),
    startControl: () => say('start control'),
  }
}

function start(over: { store?: Store; hand?: Hand } = {}): Drills {
  return startDrills({ store, clock, random: seededRandom(2), log: silentLog, hand: hand(), ...over })
}

/** A drill whose target the control plane has chosen. */
async function chosen(fault: Drill['spec']['fault'], over: object = {}): Promise<void> {
  const uid = await uidOfPod()
  const { strikes } = faults[fault.kind]
  const spec = { fault, target: strikes === 'process' || strikes === 'node' ? { node: 'n' } : undefined }
  const made = drill.parse({
    apiVersion: millwrightVersion,
    kind: 'Drill',
    metadata: { ...ref, finalizers: ['f'] },
    spec,
  })
  const target = { nodes: ['n'], pods: [{ name: 'p', namespace: 'default', uid }], gangs: [], epoch: 1 }
  await store.create('Drill', { ...made, status: { phase: 'Striking', target, ...over } }, { withStatus: true })
  done.length = 0
}

async function uidOfPod(): Promise<string> {
  return (await store.get('Pod', { name: 'p', namespace: 'default' }))?.metadata.uid ?? ''
}

test.each<[Drill['spec']['fault'], string[], string[]]>([
  [{ kind: 'process-crash' }, ['SIGKILL POD'], []],
  [{ kind: 'hang' }, ['SIGSTOP POD'], []],
  [{ kind: 'hang', lasts: '20s' }, ['SIGSTOP POD'], ['SIGCONT POD']],
  [{ kind: 'node-loss', lasts: '20s' }, ['lose n'], ['restore n']],
  [{ kind: 'control-plane-crash' }, ['crash control'], ['start control']],
])('a %o strikes, and is undone when its time is over', async (fault, strikes, mends) => {
  const named = async (words: string[]) => words.map((word) => word.replace('POD', uid))
  const uid = await uidOfPod()
  start()
  await chosen(fault)
  await clock.advance(0)
  expect(done).toEqual(await named(strikes))
  expect((await status())?.mendedAt).toBeUndefined()
  await clock.advance(20_000)
  expect(done).toEqual(await named([...strikes, ...mends]))
  expect((await status())?.mendedAt !== undefined).toBe(mends.length > 0)
})

test('a GPU error is told of the GPU that the process holds before it ends, beside what was told before', async () => {
  const before = JSON.stringify([{ xid: 31, device: 'gpu-7', at: '2026-11-05T10:00:00Z' }])
  const metadata = { name: 'n', annotations: { 'millwright.dev/xids': before } }
  await store.create('Node', { apiVersion: 'v1', kind: 'Node', metadata })
  await store.patch(
    'Pod',
    { name: 'p', namespace: 'default' },
    { metadata: { annotations: { [held]: 'gpu-2,gpu-3' } } },
  )
  const told = async () =>
    (await store.get('Node', { name: 'n' }))?.metadata.annotations?.['millwright.dev/xids'] ?? '[]'
  const xids: string[] = []
  const find = async () => ({
    signal: async (name: string) => {
      done.push(name)
      xids.push(await told())
    },
    ended: new Promise<PodEnd>(() => {}),
  })
  start({ hand: { ...hand(), runnerOf: () => ({ find }) } })
  await chosen({ kind: 'gpu-error', xid: 79 })
  await clock.advance(20_000)
  expect(done).toEqual(['SIGKILL'])
  expect(JSON.parse(xids[0] ?? '')).toMatchObject([{ xid: 31 }, { xid: 79, device: 'gpu-2' }])
  expect((await status())?.mendedAt).toBeUndefined()
})

test('of a GPU whose node is slow to say so the process ends first', async () => {
  await store.create('Node', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } })
  await store.patch('Pod', { name: 'p', namespace: 'default' }, { metadata: { annotations: { [held]: 'gpu-2' } } })
  const told = async () => (await store.get('Node', { name: 'n' }))?.metadata.annotations?.['millwright.dev/xids']
  start()
  await chosen({ kind: 'gpu-error', xid: 79, toldAfter: '2s' })
  await clock.advance(1_900)
  expect(done).toEqual([`SIGKILL ${await uidOfPod()}`])
  expect(await told()).toBeUndefined()
  await clock.advance(200)
  expect(JSON.parse((await told()) ?? '')).toMatchObject([{ xid: 79, device: 'gpu-2' }])
})

test('a disk is filled again and again, as others give up room, until it is freed', async () => {
  start()
  await chosen({ kind: 'disk-full', lasts: '3s' })
  await clock.advance(2_500)
  expect(done).toEqual(['fill n', 'fill n', 'fill n'])
  await clock.advance(60_000)
  expect(done.slice(-1)).toEqual(['free n'])
  expect(done.filter((words) => words === 'free n')).toHaveLength(1)
})

test('one that a life before has filled is freed at once', async () => {
  await chosen({ kind: 'disk-full', lasts: '1h' }, { struckAt: new Date(clock.now()).toISOString() })
  start()
  await clock.advance(0)
  expect(done).toEqual(['free n'])
  expect((await status())?.mendedAt).toBeDefined()
})

test('a disk that is not to be filled is not, and its drill says why', async () => {
  const refusing: Hand = { ...hand(), diskOf: () => ({ ...noDisk, problem: () => 'it is also that of the store' }) }
  start({ hand: refusing })
  await chosen({ kind: 'disk-full', lasts: '1h' })
  await clock.advance(60_000)
  expect(done).toEqual([])
  expect(await status()).toMatchObject({ refused: 'it is also that of the store' })
  expect((await status())?.struckAt).toBeUndefined()
})

test.each(faultKinds.filter(isOfTwin))('a %s is refused at once where nobody can play it', async (kind) => {
  start()
  await chosen({ kind, lasts: '1h' })
  await clock.advance(0)
  expect(done).toEqual([])
  expect(await status()).toMatchObject({ refused: `a ${kind} can be played in the twin alone` })
  expect((await status())?.struckAt).toBeUndefined()
})

test('who cannot strike undoes what he has done, says why, and does not strike again', async () => {
  const failing: Hand = {
    ...hand(),
    loseNode: async (node) => {
      done.push(`lose ${node}`)
      throw new Error('the agent does not stop')
    },
  }
  start({ hand: failing })
  await chosen({ kind: 'node-loss', lasts: '1h' })
  await clock.advance(60_000)
  expect(done).toEqual(['lose n', 'restore n'])
  expect(await status()).toMatchObject({ refused: 'it could not strike: the agent does not stop' })
  expect((await status())?.mendedAt).toBeDefined()
})

test('what could not be undone after that is tried again', async () => {
  let isStuck = true
  const failing: Hand = {
    ...hand(),
    loseNode: () => Promise.reject(new Error('no')),
    restoreNode: async () => {
      if (isStuck) throw new Error('not yet')
    },
  }
  start({ hand: failing })
  await chosen({ kind: 'node-loss', lasts: '1h' })
  await clock.advance(5_000)
  expect((await status())?.mendedAt).toBeUndefined()
  expect((await status())?.refused).toBeUndefined()
  isStuck = false
  await clock.advance(2_000)
  expect(await status()).toMatchObject({ refused: 'it could not strike: no' })
})

test('a node that is to be lost says so before, and no more when it is back', async () => {
  await store.create('Node', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, spec: {}, status: {} })
  const taints = async () => (await store.get('Node', { name: 'n' }))?.spec?.taints ?? []
  start()
  await chosen({ kind: 'node-loss', lasts: '20s', notice: '60s' })
  await clock.advance(0)
  expect(await taints()).toEqual([{ key: 'millwright.dev/leaving', value: 'reclaim', effect: 'NoSchedule' }])
  await clock.advance(59_000)
  expect(done).toEqual([])
  await clock.advance(1_000)
  expect(done).toEqual(['lose n'])
  await clock.advance(20_000)
  expect(done).toEqual(['lose n', 'restore n'])
  expect(await taints()).toEqual([])
})

test('a node that is not lost yet when its drill is deleted stays', async () => {
  await store.create('Node', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, spec: {}, status: {} })
  start()
  await chosen({ kind: 'node-loss', lasts: '20s', notice: '60s' })
  await clock.advance(0)
  await store.delete('Drill', ref)
  await clock.advance(120_000)
  expect(done).not.toContain('lose n')
  expect((await store.get('Node', { name: 'n' }))?.spec?.taints ?? []).toEqual([])
})

test('nothing is struck before somebody has chosen, nor what had ended by then', async () => {
  start()
  await store.create(
    'Drill',
    drill.parse({
      apiVersion: millwrightVersion,
      kind: 'Drill',
      metadata: ref,
      spec: { fault: { kind: 'hang' }, target: { node: 'n' } },
    }),
  )
  await clock.advance(60_000)
  expect(done).toEqual([])
  await store.delete('Drill', ref)
  await store.patch('Pod', { name: 'p', namespace: 'default' }, { status: { phase: 'Failed' } }, { status: true })
  await chosen({ kind: 'hang' })
  await clock.advance(0)
  expect(done).toEqual([])
  expect((await status())?.refused).toBe('pod p had ended before it could be struck; run the drill again')
})

test('that it strikes is written before it does: whoever dies in between strikes no second time', async () => {
  const dying: Store = {
    ...store,
    patch: async (...args) => {
      await store.patch(...args)
      return await new Promise(() => {}) // the answer never comes
    },
  }
  start({ store: dying })
  await chosen({ kind: 'process-crash' })
  await clock.advance(0)
  expect((await status())?.struckAt).toBeDefined()
  start()
  await clock.advance(60_000)
  expect(done).toEqual([])
})

test('the next life lets go on what still stands when its time is over', async () => {
  await chosen({ kind: 'hang', lasts: '20s' }, { struckAt: new Date(clock.now()).toISOString() })
  await clock.advance(5_000)
  start()
  await clock.advance(14_000)
  expect(done).toEqual([])
  await clock.advance(2_000)
  expect(done).toEqual([`SIGCONT ${await uidOfPod()}`])
})

test('and at once where it was over meanwhile', async () => {
  await chosen({ kind: 'hang', lasts: '20s' }, { struckAt: new Date(clock.now()).toISOString() })
  await clock.advance(60_000)
  start()
  await clock.advance(0)
  expect(done).toEqual([`SIGCONT ${await uidOfPod()}`])
})

test('a node that a life before has lost is back with the next one, and so its drill is over', async () => {
  await chosen({ kind: 'node-loss', lasts: '1h' }, { struckAt: new Date(clock.now()).toISOString() })
  start()
  await clock.advance(0)
  expect((await status())?.mendedAt).toBeDefined()
})

test('what lasts is undone at once when its drill is deleted, and when this is stopped', async () => {
  const drills = start()
  await chosen({ kind: 'hang', lasts: '1h' })
  await clock.advance(0)
  await store.delete('Drill', ref)
  await clock.advance(0)
  expect(done).toEqual([`SIGSTOP ${await uidOfPod()}`, `SIGCONT ${await uidOfPod()}`])
  await store.patch('Drill', ref, { metadata: { finalizers: [] } })
  await chosen({ kind: 'hang' })
  await clock.advance(0)
  await drills.stop()
  expect(done).toEqual([`SIGSTOP ${await uidOfPod()}`, `SIGCONT ${await uidOfPod()}`])
  expect((await status())?.mendedAt).toBeDefined()
})

test('a straggler stands still for a part of the time, and goes on as before when that is over', async () => {
  start()
  await chosen({ kind: 'straggler', slowness: 4, lasts: '1m' })
  await clock.advance(0)
  const [stop, goOn] = [`SIGSTOP ${await uidOfPod()}`, `SIGCONT ${await uidOfPod()}`]
  await clock.advance(174)
  expect(done).toEqual([stop])
  await clock.advance(226)
  expect(done).toEqual([stop, goOn, stop, goOn, stop, goOn, stop])
  await clock.advance(60_000)
  expect((await status())?.mendedAt).toBeDefined()
  expect(done.at(-1)).toBe(goOn)
  const told = done.length
  await clock.advance(1_000)
  expect(done.length).toBe(told)
})

test('a straggler of a life of ours before goes on', async () => {
  start()
  await chosen({ kind: 'straggler', lasts: '1h' })
  await clock.advance(110)
  expect(done).toEqual([`SIGSTOP ${await uidOfPod()}`])
  done = []
  start()
  await clock.advance(0)
  expect(done).toContain(`SIGCONT ${await uidOfPod()}`)
})

test('what could not be undone is tried again', async () => {
  let tries = 0
  const restoreNode = async () => {
    tries += 1
    if (tries < 3) throw new Error('not yet')
  }
  start({ hand: { ...hand(), restoreNode } })
  await chosen({ kind: 'node-loss', lasts: '1s' })
  await clock.advance(10_000)
  expect(tries).toBe(3)
  expect((await status())?.mendedAt).toBeDefined()
})

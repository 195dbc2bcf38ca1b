import { afterEach, beforeEach, expect, test } from 'vitest'
import { OperatingError } from '../base/errors.ts'
import { around } from '../store/around.ts'
import type { Store } from '../store/contract.ts'
import { type Reconciler, type ReconcilerFactory, settled } from './reconciler.ts'
import { createWorld, type World } from './world.fixture.ts'

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 4)
})
afterEach(() => world.close())

test.each([true, false])(
  'a paused ex-leader wakes up in the middle of its decisions and changes nothing (store checks epochs: %s)',
  async (fencing) => {
    await world.close()
    world = await createWorld({ fencing })
    await world.node('a', 4)
    const paused = createPausable(world.store)
    const first = world.control({ store: paused.store, leaseSeconds: 2 })
    await world.settle()
    const second = world.control({ leaseSeconds: 2 })
    await world.settle(3_000)
    expect([first.leading(), second.leading()]).toEqual([true, false])
    await world.job('before', { workers: 2 })
    await world.until(() => world.agent.running().length === 2, 'the first leader runs a job')
    paused.pause()
    await world.agent.end('before-worker-0-1', { signal: 'SIGKILL' })
    await world.job('after', { workers: 2 })
    await world.until(
      async () => (await world.getJob('after')).status?.phase === 'Running',
      'the second leader runs the other',
    )
    await world.until(() => world.agent.running().includes('before-worker-0-2'), 'and restarts the first')
    await world.settle(2_000)
    const before = (await world.store.list('Gang')).items
    const pods = (await world.store.list('Pod')).items
    paused.resume()
    await world.settle(5_000)
    expect([first.leading(), second.leading()]).toEqual([false, true])
    expect((await world.store.list('Gang')).items).toEqual(before)
    expect((await world.store.list('Pod')).items).toEqual(pods)
    expect([...world.agent.starts.values()].every((starts) => starts === 1)).toBe(true)
  },
)

test('a leader that stops gives the lease back, and the next one need not wait', async () => {
  const first = world.control()
  await world.settle()
  const stopped = first.stop()
  await world.settle()
  await stopped
  const second = world.control()
  await world.settle()
  expect(second.leading()).toBe(true)
})

test('errors decide by their policy when a key comes back', async () => {
  const tries: [string, number][] = []
  const startMs = world.clock.now()
  const failing: ReconcilerFactory = (): Reconciler => ({
    name: 'failing',
    watches: [{ kind: 'Node', keys: () => ['later', 'never', 'backoff'] }],
    reconcile: async (key) => {
      tries.push([key, world.clock.now() - startMs])
      if (key === 'later') throw new OperatingError('full', { retryAfterMs: 500 }, 'come back later')
      if (key === 'never') throw new OperatingError('bad', 'give-up', 'no use')
      if (tries.filter(([tried]) => tried === 'backoff').length < 3) throw new Error('a bug')
      return settled()
    },
  })
  const log = { debug() {}, info() {}, warn() {}, error() {}, with: () => log }
  world.control({ reconcilers: [failing], log })
  await world.settle()
  await world.settle(600)
  const of = (key: string) => tries.filter(([tried]) => tried === key).map(([, atMs]) => atMs)
  expect(of('later')).toEqual([0, 500])
  expect(of('never')).toEqual([0])
  expect(of('backoff').length).toBe(3)
})

/** While paused no write gets out; afterwards all that waited go out at once, as after SIGSTOP and SIGCONT. */
function createPausable(store: Store): { store: Store; pause(): void; resume(): void } {
  let gate: Promise<void> | undefined
  let open = () => {}
  const through = async <T>(run: () => Promise<T>): Promise<T> => {
    await gate
    return run()
  }
  return {
    pause: () => {
      gate = new Promise((resolve) => {
        open = resolve
      })
    },
    resume: () => {
      gate = undefined
      open()
    },
    store: around(store, { read: (ask) => ask(), write: through }),
  }
}

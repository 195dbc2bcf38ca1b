import { around } from '../store/around.ts'
import type { Store } from '../store/contract.ts'
import type { World } from './world.fixture.ts'

/** A control plane that dies after so many writes. */
export interface Mortal {
  /** How many writes it came to. */
  writes(): number
  /** As the world's own; once the control plane is dead, whoever waits finds a new one started. */
  until: World['until']
}

export function mortalControl(world: World, crashAfter: number, options: Parameters<World['control']>[0] = {}): Mortal {
  const crashing = createCrashing(world.store, crashAfter)
  const { until } = world
  const leaseSeconds = 1
  world.control({ ...options, store: crashing.store, leaseSeconds })
  let restarted = false
  return {
    writes: crashing.writes,
    until: (holds, what) =>
      until(() => {
        if (crashing.dead() && !restarted) {
          restarted = true
          world.control({ ...options, store: world.store, leaseSeconds })
        }
        return holds()
      }, `${what} (crashed after write ${crashAfter})`),
  }
}

/** The store as a process sees it that dies once its n-th write is durable: no answer comes any more, to anything. */
function createCrashing(store: Store, crashAfter: number): { store: Store; writes(): number; dead(): boolean } {
  let writes = 0
  const isDead = () => writes >= crashAfter
  const never = <T>(): Promise<T> => new Promise(() => {})
  async function write<T>(run: () => Promise<T>): Promise<T> {
    if (isDead()) return never()
    writes++
    const wrote = await run()
    return isDead() ? never() : wrote
  }
  const read = <T>(run: () => Promise<T>): Promise<T> => (isDead() ? never() : run())
  return {
    writes: () => writes,
    dead: isDead,
    store: around(store, {
      read,
      write,
      watch: (kind, options, sink) =>
        store.watch(kind, options, {
          event: (event) => void (isDead() || sink.event(event)),
          ended: (reason) => void (isDead() || sink.ended(reason)),
        }),
    }),
  }
}

import type { Clock } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import type { Store } from '../contract.ts'
import { createCore } from '../core.ts'
import type { Entry } from '../history.ts'

export interface MemoryStoreOptions {
  clock: Clock
  random: Random
  /** Changes kept for watchers; 10,000 when left out. */
  history?: number
  /** false: writes under a lease are not checked, as on Kubernetes, whose API server has no such check. */
  fencing?: boolean
  /** Hears each change as it becomes visible, before anybody else: the twin's invariants. It writes nothing meanwhile. */
  onEntry?: (entry: Entry) => void
  /** Events kept, and for how long. */
  events?: { max: number; ageMsMax: number }
}

/** A store that is gone with its process: for tests and for the twin. */
export function createMemoryStore(options: MemoryStoreOptions): Store & { close(): Promise<void> } {
  return createCore(options)
}

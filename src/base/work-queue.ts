import { type BackoffLimits, backoffMs } from './backoff.ts'
import type { Cancel, Clock } from './clock.ts'
import { assert } from './errors.ts'
import { Heap } from './heap.ts'
import type { Random } from './random.ts'

/**
 * Keys that want work. A key is never handed to two workers at once: one that is added while it is being worked on
 * becomes dirty and comes back after `done`. Adding a key twice before it is taken is the same as adding it once.
 */
export interface WorkQueue {
  add(key: string): void
  /** Adds the key after `ms`. Of several, the earliest counts. */
  addAfter(key: string, ms: number): void
  /** Adds the key after a wait that doubles, with jitter, with each retry since `forget`. Returns that wait. */
  retry(key: string): number
  /** The key went well: its next retry waits the shortest time again. */
  forget(key: string): void
  /** The next key, as soon as there is one; undefined once the queue is closed. Call `done` when its work has ended. */
  take(): Promise<string | undefined>
  done(key: string): void
  /** Takes keys for ever in `workers` loops. A work that throws counts as a failure: the key is retried. Ends after `close`. */
  run(
    workers: number,
    work: (key: string) => Promise<void>,
    failed: (key: string, error: unknown) => void,
  ): Promise<void>
  /** Keys ready to be taken. */
  readonly ready: number
  /** Keys that wait for their time. */
  readonly delayed: number
  /** Keys being worked on. */
  readonly busy: number
  /** Resolves when nothing is ready or being worked on. Keys that wait for their time don't count. */
  idle(): Promise<void>
  /** Hands out nothing more and drops what waits; resolves when the work under way has ended. */
  close(): Promise<void>
}

export interface WorkQueueOptions {
  clock: Clock
  random: Random
  retry?: BackoffLimits
}

export function createWorkQueue({ clock, random, retry }: WorkQueueOptions): WorkQueue {
  const limits = retry ?? { baseMs: 50, maxMs: 30_000 }
  const ready = new Set<string>() // insertion order is first in, first out
  const busy = new Set<string>()
  const dirty = new Set<string>()
  const failures = new Map<string, number>()
  const delays = createDelays(clock, add)
  let takers: ((key: string | undefined) => void)[] = []
  let idlers: (() => void)[] = []
  let closed = false

  function add(key: string): void {
    if (closed) return
    if (busy.has(key)) {
      dirty.add(key)
      return
    }
    ready.add(key)
    handOut()
  }

  function handOut(): void {
    while (takers.length > 0) {
      const [key] = ready
      if (key === undefined) return
      ready.delete(key)
      busy.add(key)
      takers.shift()?.(key)
    }
  }

  function take(): Promise<string | undefined> {
    if (closed) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      takers.push(resolve)
      handOut()
    })
  }

  function done(key: string): void {
    assert(busy.delete(key), `work queue: "${key}" is done but was not taken`)
    if (dirty.delete(key)) add(key)
    if (busy.size === 0 && ready.size === 0) wakeIdlers()
  }

  function wakeIdlers(): void {
    const waiting = idlers
    idlers = []
    for (const wake of waiting) wake()
  }

  function idle(): Promise<void> {
    if (busy.size === 0 && ready.size === 0) return Promise.resolve()
    return new Promise((resolve) => idlers.push(resolve))
  }

  function retryKey(key: string): number {
    const count = (failures.get(key) ?? 0) + 1
    failures.set(key, count)
    const waitMs = backoffMs(count, limits, random)
    if (!closed) delays.add(key, waitMs)
    return waitMs
  }

  async function worker(
    work: (key: string) => Promise<void>,
    failed: (key: string, error: unknown) => void,
  ): Promise<void> {
    for (let key = await take(); key !== undefined; key = await take()) {
      try {
        await work(key)
      } catch (error) {
        failed(key, error)
        retryKey(key)
      } finally {
        done(key)
      }
    }
  }

  return {
    add,
    addAfter: (key, ms) => {
      if (closed) return
      if (ms <= 0) add(key)
      else delays.add(key, ms)
    },
    retry: retryKey,
    forget: (key) => void failures.delete(key),
    take,
    done,
    run: async (workers, work, failed) => {
      await Promise.all(Array.from({ length: workers }, () => worker(work, failed)))
    },
    get ready() {
      return ready.size
    },
    get delayed() {
      return delays.size()
    },
    get busy() {
      return busy.size
    },
    idle,
    close: () => {
      closed = true
      delays.clear()
      ready.clear()
      dirty.clear()
      const waiting = takers
      takers = []
      for (const resolve of waiting) resolve(undefined)
      const ended = idle()
      if (busy.size === 0) wakeIdlers()
      return ended
    },
  }
}

/** Keys by due time: one timer for all of them, set for the earliest. */
function createDelays(clock: Clock, due: (key: string) => void) {
  /** In steady time: a clock that is set must keep nobody waiting. */
  const dueAt = new Map<string, number>()
  const heap = new Heap<{ key: string; atMs: number }>((a, b) => a.atMs - b.atMs)
  let timer: { atMs: number; cancel: Cancel } | undefined

  function add(key: string, ms: number): void {
    // Whole milliseconds: less than one, beside the time of virtual days, would be none.
    const atMs = clock.steadyMs() + Math.ceil(ms)
    const known = dueAt.get(key)
    if (known !== undefined && known <= atMs) return
    dueAt.set(key, atMs)
    heap.push({ key, atMs })
    arm()
  }

  function arm(): void {
    const next = heap.peek()
    if (next === undefined || (timer !== undefined && timer.atMs <= next.atMs)) return
    timer?.cancel()
    timer = { atMs: next.atMs, cancel: clock.after(Math.max(0, next.atMs - clock.steadyMs()), fire) }
  }

  function fire(): void {
    timer = undefined
    const nowMs = clock.steadyMs()
    for (let next = heap.peek(); next !== undefined && next.atMs <= nowMs; next = heap.peek()) {
      heap.pop()
      if (dueAt.get(next.key) !== next.atMs) continue // replaced by an earlier time, which has fired already
      dueAt.delete(next.key)
      due(next.key)
    }
    arm()
  }

  return {
    add,
    size: () => dueAt.size,
    clear: () => {
      timer?.cancel()
      timer = undefined
      heap.clear()
      dueAt.clear()
    },
  }
}

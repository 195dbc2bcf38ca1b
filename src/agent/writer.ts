import { backoffMs } from '../base/backoff.ts'
import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'

/**
 * Writes one object again and again, the newest state each time: what changes while a write is under way, or before its
 * time has come, goes out with the next one. A failing store is tried again for ever: the pod runs on meanwhile.
 */
export interface Writer {
  /** Something changed; it is written within `delayMs`. */
  touch(delayMs: number): void
  /** Writes what changed now; resolves when it is written, gone, or the writer closed. */
  flush(): Promise<void>
  close(): void
}

export interface WriterOptions {
  clock: Clock
  random: Random
  log: Log
  what: string
  /** 'gone': there is nothing left to write to. */
  write(): Promise<'ok' | 'gone'>
}

export function createWriter({ clock, random, log, what, write }: WriterOptions): Writer {
  let dirty = false
  let timer: { atMs: number; cancel: Cancel } | undefined
  let busy: Promise<void> | undefined
  /** The earliest time asked for while a write was under way; all of them steady. */
  let soonestMs = Number.POSITIVE_INFINITY
  const closed = new AbortController()

  function touch(delayMs: number): void {
    if (closed.signal.aborted) return
    dirty = true
    const atMs = clock.steadyMs() + delayMs
    if (busy !== undefined) {
      soonestMs = Math.min(soonestMs, atMs)
      return
    }
    if (timer !== undefined && timer.atMs <= atMs) return
    timer?.cancel()
    if (delayMs <= 0) start()
    else timer = { atMs, cancel: clock.after(delayMs, start) }
  }

  function start(): void {
    timer?.cancel()
    timer = undefined
    busy ??= work().finally(() => {
      busy = undefined
      const wantedMs = soonestMs
      soonestMs = Number.POSITIVE_INFINITY
      if (dirty) touch(Math.max(0, wantedMs - clock.steadyMs()))
    })
  }

  async function work(): Promise<void> {
    for (let failures = 0; !closed.signal.aborted; ) {
      dirty = false
      try {
        if ((await write()) === 'gone') close()
        return
      } catch (error) {
        dirty = true
        failures += 1
        log.warn(`cannot write ${what} yet`, { error: messageOf(error), failures })
        await clock.sleep(backoffMs(failures, { baseMs: 100, maxMs: 5000 }, random), closed.signal)
      }
    }
  }

  function close(): void {
    closed.abort()
    dirty = false
    timer?.cancel()
    timer = undefined
  }

  return {
    touch,
    close,
    async flush() {
      while (dirty || busy !== undefined) {
        if (busy === undefined) start()
        await busy
      }
    },
  }
}

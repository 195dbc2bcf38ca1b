import type { Clock } from '../../base/clock.ts'
import { storageUnreachable, storeUnreachable } from '../../base/errors.ts'
import { around as aroundBlobs } from '../../blob/around.ts'
import type { Blobs } from '../../blob/contract.ts'
import type { KindName } from '../../model/registry.ts'
import { around } from '../../store/around.ts'
import type { Stop, Store, WatchSink } from '../../store/contract.ts'
import type { Behind } from './behind.ts'
import type { Process } from './process.ts'

/** How the line between a process and the store behaves. */
export interface Weather {
  /** How long the next answer or event takes. 0: it comes at once. */
  delayMs(): number
  /** A call is given up after so long without an answer. */
  timeoutMs: number
  /** Called as each write is sent, and after it got through: a place to crash at. */
  onWrite?(point: 'before' | 'after', process: Process, kind: KindName): void
}

export const fairWeather: Weather = { delayMs: () => 0, timeoutMs: 10_000 }

/**
 * The store as a process has it. What it writes gets through unless its line is cut or it is dead; the answer comes when
 * the process runs and the line holds. Events of one watch come in order; a line that was cut ends its watches. Who is
 * answered by a server that is behind is shown older lists; one that keeps few writes lets watches from before expire.
 */
export function storeOf(process: Process, store: Store, clock: Clock, weather: Weather, behind?: Behind): Store {
  async function read<T>(ask: () => Promise<T>): Promise<T> {
    await send()
    return arrive(await ask())
  }

  async function write<T>(ask: () => Promise<T>, kind: KindName): Promise<T> {
    weather.onWrite?.('before', process, kind)
    process.writes()
    await send()
    const written = await ask().catch((error: unknown) => ({ error }))
    weather.onWrite?.('after', process, kind)
    if (isFailure(written)) throw written.error
    return arrive(written)
  }

  /** A call of a dead process is none; one over a cut line fails when the caller has waited long enough. */
  async function send(): Promise<void> {
    if (process.state === 'paused') await later(0)
    if (process.state === 'crashed') return never()
    if (process.isCut) {
      await later(weather.timeoutMs)
      if (process.isCut) throw storeUnreachable()
    }
    // What is on its way arrives, whatever becomes of the sender.
    const delayMs = weather.delayMs()
    if (delayMs > 0) await clock.sleep(delayMs)
  }

  /** Held while the process is paused; lost if it died meanwhile. */
  function arrive<T>(answer: T): T | Promise<T> {
    const delayMs = weather.delayMs() + process.lateMs
    if (delayMs === 0 && process.state === 'running' && !process.isCut) return answer
    const isInTime = process.lateMs < weather.timeoutMs
    return later(isInTime ? delayMs : weather.timeoutMs).then(async () => {
      if (!isInTime) throw storeUnreachable()
      if (!process.isCut) return answer
      await later(weather.timeoutMs)
      throw storeUnreachable()
    })
  }

  function later(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (ms === 0) process.pass(resolve)
      else clock.after(ms, () => process.pass(resolve))
    })
  }

  const watch: Store['watch'] = (kind, options, sink) => {
    if (process.isCut) throw storeUnreachable()
    const writesSince = (behind?.revision ?? 0) - Number(options.from)
    const start = (through: typeof sink) => store.watch(kind, options, through)
    return follow(process, clock, weather, sink, writesSince > process.writesKept ? expired : start)
  }

  const passed = around(store, { read, write, watch })
  const list: Store['list'] = async (kind, options = {}) =>
    process.writesBehind === 0 || behind === undefined
      ? await passed.list(kind, options)
      : await read(() => behind.list(kind, options, process.writesBehind))
  return { ...passed, list }
}

/** A watch from what is no longer kept, as a store answers it. */
function expired(through: WatchSink<unknown>): Stop {
  void Promise.resolve().then(() => through.ended('expired'))
  return () => {}
}

/** Events are on their way one after the other, never overtaking. */
function follow<T>(
  process: Process,
  clock: Clock,
  weather: Weather,
  sink: WatchSink<T>,
  start: (through: WatchSink<T>) => Stop,
): Stop {
  let lastMs = 0
  let isOver = false
  const onItsWay: (() => void)[] = []
  const forgets = [
    process.onChange(() => {
      if (process.state === 'crashed') end()
      else if (process.isCut) close(weather.timeoutMs)
    }),
    process.onBreak(() => close(0)),
  ]
  const stop = start({
    event: (event) => carry(() => sink.event(event)),
    ended: (reason) => carry(() => finish(() => sink.ended(reason))),
    bookmark: (revision) => carry(() => sink.bookmark?.(revision)),
  })

  /** One that comes at once still comes after those that are on their way, and may arrive in this very moment. */
  function carry(run: () => void): void {
    const delayMs = weather.delayMs() + process.eventsLateMs
    const arrivesMs = Math.max(lastMs, clock.now() + delayMs)
    lastMs = arrivesMs
    onItsWay.push(run)
    const deliver = (): void => {
      const next = onItsWay.shift()
      process.pass(() => isOver || next?.())
    }
    if (arrivesMs <= clock.now() && onItsWay.length === 1) deliver()
    else clock.after(arrivesMs - clock.now(), deliver)
  }

  /** Whoever is cut off notices after a while that nothing comes any more, and has to list again. */
  function close(noticedMs: number): void {
    clock.after(noticedMs, () => process.pass(() => isOver || finish(() => sink.ended('closed'))))
    stop()
  }

  function finish(tell: () => void): void {
    end()
    tell()
  }

  function end(): void {
    isOver = true
    for (const forget of forgets) forget()
    stop()
  }

  return end
}

/** The blob store as a process has it: behind the same line, unless that is cut at the control plane alone. */
export function blobsOf(process: Process, blobs: Blobs): Blobs {
  async function ask<T>(call: () => Promise<T>): Promise<T> {
    if (process.state === 'crashed') return never()
    if (!process.reachesStorage) throw storageUnreachable('the line is cut')
    const answer = await call()
    return process.state === 'running' ? answer : new Promise((resolve) => process.pass(() => resolve(answer)))
  }
  return aroundBlobs(blobs, { read: ask, write: ask })
}

function never(): Promise<never> {
  return new Promise(() => {})
}

function isFailure(outcome: unknown): outcome is { error: unknown } {
  return typeof outcome === 'object' && outcome !== null && 'error' in outcome && Object.keys(outcome).length === 1
}

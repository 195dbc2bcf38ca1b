import { OperatingError } from '../base/errors.ts'
import type { Control } from '../control/run.ts'
import { around } from '../store/around.ts'
import type { Store, WatchSink } from '../store/contract.ts'

/**
 * The control plane of this process, which a drill may crash: it is cut off from the store in the midst of what it does,
 * and gives no lease back. The one that is started then has a new name, and waits until that lease has run out.
 */
export class ControlPlane {
  readonly #store: Store
  readonly #start: (store: Store, life: number) => Control
  #lives = 0
  #now: { control: Control; cut(): void } | undefined

  constructor(store: Store, start: (store: Store, life: number) => Control) {
    this.#store = store
    this.#start = start
  }

  start(): void {
    if (this.#now !== undefined) return
    const { store, cut } = lineTo(this.#store)
    this.#now = { control: this.#start(store, this.#lives++), cut }
  }

  crash(): void {
    const now = this.#now
    this.#now = undefined
    now?.cut()
    void now?.control.stop()
  }

  async stop(): Promise<void> {
    await this.#now?.control.stop()
  }
}

/** A way to the store that can be cut: nothing goes out from then on, and no answer and no event comes back. */
function lineTo(store: Store): { store: Store; cut(): void } {
  let isCut = false
  function check(): void {
    if (isCut) throw new OperatingError('store-unreachable', { retryAfterMs: 1_000 }, 'this control plane has crashed')
  }
  async function ask<T>(call: () => Promise<T>): Promise<T> {
    check()
    const answer = await call()
    check()
    return answer
  }
  const unlessCut = <T>(sink: WatchSink<T>): WatchSink<T> => ({
    event: (event) => isCut || sink.event(event),
    ended: (reason) => isCut || sink.ended(reason),
    bookmark: (revision) => isCut || sink.bookmark?.(revision),
  })
  return {
    store: around(store, {
      read: ask,
      write: ask,
      watch: (kind, options, sink) => store.watch(kind, options, unlessCut(sink)),
    }),
    cut: () => {
      isCut = true
    },
  }
}

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { label } from '../model/names.ts'
import { keyOf } from '../model/refs.ts'
import type { Store } from '../store/contract.ts'
import { createInformer, type Informer } from '../store/informer.ts'
import type { Exchange, Replica } from './contract.ts'
import type { Limits } from './decide.ts'
import { Dispatch } from './dispatch.ts'
import { Reporter } from './report.ts'
import { Routes } from './routes.ts'

export interface CoreHandles {
  store: Store
  clock: Clock
  random: Random
  log: Log
  limits: Limits
  /** A replica gets no more requests; those that it has go on. */
  left?(replica: Replica): void
}

/** Everything of the gateway but its sockets: it follows the store, places requests and reports. The twin runs the same. */
export class Core {
  readonly routes: Routes
  readonly #dispatch: Dispatch
  readonly #reporter: Reporter
  readonly #watches: readonly Watch[]

  constructor(handles: CoreHandles) {
    const { store, clock, random, log, limits, left = () => {} } = handles
    this.#reporter = new Reporter({ store, clock, log, everyMs: limits.reportMs })
    const changed = this.#reporter.changed.bind(this.#reporter)
    this.#dispatch = new Dispatch({ clock, random, log, limits, changed })
    this.routes = new Routes({ appeared: (service) => this.#dispatch.wake(service), left })
    this.#watches = [this.#services(handles), this.#pods(handles)]
  }

  /** Follows the store from now on; resolves once what is there is known. */
  async start(): Promise<void> {
    for (const watch of this.#watches) watch.start()
    await Promise.all(this.#watches.map((watch) => watch.synced()))
  }

  get isSynced(): boolean {
    return this.#watches.every((watch) => watch.isSynced)
  }

  submit(exchange: Exchange): void {
    this.#dispatch.submit(exchange)
  }

  /** Answers what waits, lets streams run for `graceMs`, cuts the rest, and reports for the last time. */
  async close(graceMs: number): Promise<void> {
    await this.#dispatch.drain(graceMs)
    for (const watch of this.#watches) watch.stop()
    await this.#reporter.stop()
    this.routes.close()
  }

  #services({ store, clock, log, random }: CoreHandles): Watch {
    const services = createInformer({ store, clock, log, random, kind: 'InferenceService' })
    services.onChange(({ type, object }) => {
      if (type !== 'DELETED') {
        const service = this.routes.setService(object)
        if (type === 'ADDED') this.#reporter.changed(service, false)
        this.#dispatch.review(service)
        return
      }
      const gone = this.routes.removeService(keyOf(object))
      if (gone === undefined) return
      this.#reporter.forget(gone)
      this.#dispatch.forget(gone)
    })
    return services
  }

  #pods({ store, clock, log, random }: CoreHandles): Watch {
    const pods = createInformer({ store, clock, log, random, kind: 'Pod', selectors: { labels: label.service } })
    pods.onChange(({ type, object }) =>
      type === 'DELETED' ? this.routes.removePod(keyOf(object)) : this.routes.setPod(object),
    )
    return pods
  }
}

type Watch = Pick<Informer<unknown>, 'start' | 'stop' | 'synced' | 'isSynced'>

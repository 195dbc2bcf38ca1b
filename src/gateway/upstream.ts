import { Client, type Dispatcher } from 'undici'
import type { Replica } from './contract.ts'
import type { Failure } from './decide.ts'

/** The connections to all replicas. */
export class Upstreams {
  readonly #all = new Map<Replica, Upstream>()

  of(replica: Replica): Upstream {
    const known = this.#all.get(replica)
    if (known !== undefined) return known
    const made = new Upstream(replica.origin)
    this.#all.set(replica, made)
    return made
  }

  /** The replica gets no more requests. */
  close(replica: Replica): void {
    this.#all.get(replica)?.close()
    this.#all.delete(replica)
  }
}

/** The kept connections to one replica. Each carries one request at a time, so that a cancelled one closes only itself. */
export class Upstream {
  readonly #origin: string
  readonly #idle: Connection[] = []
  #closed = false

  constructor(origin: string) {
    this.#origin = origin
  }

  /** Sends a request on the connection used last, or on a new one. Returns what cancels it at once, in any phase. */
  send(request: UpstreamRequest, events: UpstreamEvents): (why: Error) => void {
    const connection = this.#idle.pop() ?? new Connection(this.#origin)
    return connection.send(request, events, (reusable) => {
      if (reusable && !this.#closed && this.#idle.length < idleMax) this.#idle.push(connection)
      else connection.close()
      // Where one broke, the others mostly did too: whoever is sent again gets a new one.
      if (!reusable) this.#closeIdle()
    })
  }

  /** Lets go of the idle connections; busy ones go when their answer has ended. */
  close(): void {
    this.#closed = true
    this.#closeIdle()
  }

  #closeIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.close()
  }
}

export interface UpstreamRequest {
  path: string
  method: 'POST'
  headers: Record<string, string>
  body: Uint8Array
}

export interface UpstreamEvents {
  /** The request was handed to an open connection. */
  sent(): void
  head(status: number, headers: Record<string, string | string[] | undefined>, flow: Flow): void
  data(bytes: Buffer): void
  end(): void
  /** Nothing follows. Not called after a cancel. */
  failed(error: Error, failure: Failure): void
}

export interface Flow {
  pause(): void
  resume(): void
}

const idleMax = 64
const connectMs = 3000

class Connection {
  readonly #client: Client
  #served = 0

  constructor(origin: string) {
    this.#client = new Client(origin, {
      pipelining: 1,
      // The gateway has its own deadline for the whole request.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: connectMs },
      maxHeaderSize: 65_536,
    })
    // Undici connects again by itself when the other side closed an idle connection: that one is new, not reused.
    this.#client.on('connect', () => {
      this.#served = 0
    })
    this.#client.on('connectionError', () => {})
  }

  send(request: UpstreamRequest, events: UpstreamEvents, release: (reusable: boolean) => void): (why: Error) => void {
    const seen: Failure = { sent: false, reused: false, responseBytes: false }
    let over = false
    const finish = (reusable: boolean) => {
      over = true
      release(reusable)
    }
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => {
        seen.sent = true
        seen.reused = this.#served > 0
        if (!over) events.sent()
      },
      onResponseStart: (controller, status, headers) => {
        if (over || status < 200) return
        seen.responseBytes = true
        events.head(status, headers, controller)
      },
      onResponseData: (_controller, bytes) => {
        if (!over) events.data(bytes)
      },
      onResponseEnd: () => {
        if (over) return
        this.#served++
        finish(true)
        events.end()
      },
      onResponseError: (_controller, error) => {
        if (over) return
        finish(false)
        events.failed(error, seen)
      },
    }
    this.#client.dispatch({ ...request, body: Buffer.from(request.body) }, handler)
    return (why) => {
      if (over) return
      over = true
      // Destroying the client closes the socket now, also one that is still being opened.
      this.#client.destroy(why).catch(() => {})
    }
  }

  close(): void {
    this.#client.destroy().catch(() => {})
  }
}

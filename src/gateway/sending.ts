import type { Usage } from '../wire/responses.ts'
import type { Flight, Replica, SendEvents } from './contract.ts'
import { accepted, type Failure } from './decide.ts'

/** Whoever looks after flights. */
export interface Hears {
  /** A replica that was out accepted a connection. */
  cameBack(flight: Flight): void
  firstByte(flight: Flight): void
  ended(flight: Flight, usage: Usage | undefined): void
  failed(flight: Flight, replica: Replica, error: Error, failure: Failure): void
}

/** One try to have a request answered. */
export class Sending implements SendEvents {
  isOver = false
  readonly #flight: Flight
  readonly #replica: Replica
  readonly #hears: Hears

  constructor(flight: Flight, replica: Replica, hears: Hears) {
    this.#flight = flight
    this.#replica = replica
    this.#hears = hears
  }

  sent(): void {
    const { breaker } = this.#replica
    this.#replica.breaker = accepted()
    if (breaker.state !== 'closed') this.#hears.cameBack(this.#flight)
  }

  firstByte(): void {
    this.#hears.firstByte(this.#flight)
  }

  ended(usage: Usage | undefined): void {
    this.isOver = true
    this.#hears.ended(this.#flight, usage)
  }

  failed(error: Error, failure: Failure): void {
    this.isOver = true
    this.#hears.failed(this.#flight, this.#replica, error, failure)
  }
}

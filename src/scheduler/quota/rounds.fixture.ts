import type { Queue } from '../../model/kinds/queue.ts'
import { type Candidate, candidateOrder, type Request, type Stage } from './candidates.ts'
import { Displacements } from './displacements.ts'
import { QuotaTree } from './tree.ts'
import { nextInTurn } from './turns.fixture.ts'
import { victimsFor } from './victims.ts'

/** A gang as the rounds play it: it wants the first of `sizes` that fits, and holds it until it is displaced. */
export interface Player {
  key: string
  queue: string
  priority: number
  model: string
  /** Milli-accelerators, the largest first: an elastic gang shrinks to what is free before it displaces anybody. */
  sizes: readonly number[]
  price?: number
}

/** A fleet that commits what is decided, in rounds: who fits sits, who does not displaces whom he may, until nobody can. */
export class Rounds {
  readonly tree = new QuotaTree()
  readonly displaced = new Displacements()
  readonly seated = new Map<string, { candidate: Candidate; size: number }>()
  readonly log: string[] = []
  readonly #players: readonly Player[]
  readonly #capacity: ReadonlyMap<string, number>
  readonly #remembers: boolean
  #now = 0

  constructor(
    queues: readonly Queue[],
    capacity: Readonly<Record<string, number>>,
    players: readonly Player[],
    remembers = true,
  ) {
    this.#remembers = remembers
    this.#players = players
    this.#capacity = new Map(Object.entries(capacity))
    for (const queue of queues) this.tree.set(queue)
    for (const [model, milli] of this.#capacity) this.tree.setCapacity(model, milli)
  }

  /** Evictions until nothing more changes; undefined when it never rests. */
  play(evictionsMax: number): number | undefined {
    let evictions = 0
    for (;;) {
      const evicted = this.#round()
      if (evicted === undefined) return evictions
      evictions += evicted
      if (evictions > evictionsMax) return undefined
    }
  }

  /** One gang sits, with whoever it displaces; how many that were, or undefined when nobody can sit. */
  #round(): number | undefined {
    const waiting = new Set(
      this.#players.filter(({ key }) => !this.seated.has(key)).map((player, at) => this.#asks(player, at)),
    )
    for (let head = nextInTurn(this.tree, waiting); head !== undefined; head = nextInTurn(this.tree, waiting)) {
      waiting.delete(head)
      const size = head.player.sizes.find((one) => this.#fits(head.player, one))
      if (size !== undefined) {
        this.sit(head.player.key, size)
        return 0
      }
      const victims = victimsFor(this.tree, head, (queue) => this.#in(queue), this.#stage(head), this.displaced)
      if (victims === undefined) continue
      if (this.#remembers)
        this.displaced.record(
          head.gang,
          victims.map(({ key }) => key),
        )
      for (const { key } of victims) this.leave(key)
      this.log.push(`${head.gang} for ${victims.map(({ key, reason }) => `${key} ${reason}`).join(', ')}`)
      this.sit(head.gang, head.player.sizes.at(-1) ?? 0)
      return victims.length
    }
    return undefined
  }

  /** Whatever the quota says. */
  sitIfRoom(key: string, size: number): void {
    const player = this.#players.find((one) => one.key === key)
    if (player !== undefined && size <= this.#free(player.model)) this.sit(key, size)
  }

  sit(key: string, size: number): void {
    const player = this.#players.find((one) => one.key === key)
    if (player === undefined) return
    this.#now++
    this.tree.add(player.queue, player.model, size)
    const candidate: Candidate = {
      key,
      uid: key,
      queue: player.queue,
      priority: player.priority,
      createdAt: '',
      sinceMs: this.#now,
      leaving: false,
      preemptible: true,
      holds: new Map([[player.model, size]]),
      price: player.price ?? 0,
    }
    this.seated.set(key, { candidate, size })
  }

  leave(key: string): void {
    const held = this.seated.get(key)
    if (held === undefined) return
    this.seated.delete(key)
    for (const [model, milli] of held.candidate.holds) this.tree.add(held.candidate.queue, model, -milli)
  }

  /** The part of the model that is held. */
  use(model: string): number {
    return 1 - this.#free(model) / (this.#capacity.get(model) ?? 1)
  }

  #asks(player: Player, at: number): Request & { player: Player } {
    const wants = new Map([[player.model, player.sizes.at(-1) ?? 0]])
    const { queue, priority, key } = player
    return { gang: key, queue, priority, createdAt: new Date(at).toISOString(), wants, player }
  }

  #free(model: string): number {
    let held = 0
    for (const { candidate } of this.seated.values()) held += candidate.holds.get(model) ?? 0
    return (this.#capacity.get(model) ?? 0) - held
  }

  #fits({ queue, model }: Player, size: number): boolean {
    return size <= this.#free(model) && this.tree.fits(queue, new Map([[model, size]]))
  }

  #in(queue: string): Candidate[] {
    return [...this.seated.values()]
      .map(({ candidate }) => candidate)
      .filter((one) => one.queue === queue)
      .toSorted(candidateOrder(queue))
  }

  #stage({ wants }: Request): Stage {
    const away = new Map<string, { candidate: Candidate; size: number }>()
    return {
      lift: (key) => {
        const held = this.seated.get(key)
        if (held === undefined) throw new Error(`${key} is lifted but sits nowhere`)
        away.set(key, held)
        this.leave(key)
      },
      putBack: (key) => {
        const held = away.get(key)
        if (held === undefined) throw new Error(`${key} is put back but was not lifted`)
        away.delete(key)
        this.seated.set(key, held)
        for (const [model, milli] of held.candidate.holds) this.tree.add(held.candidate.queue, model, milli)
      },
      fits: () => [...wants].every(([model, milli]) => milli <= this.#free(model)),
      isSpare: () => false,
      roomStays: () => false,
      helps: (key) => [...(this.seated.get(key)?.candidate.holds.keys() ?? [])].some((model) => wants.has(model)),
    }
  }
}

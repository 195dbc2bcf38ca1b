import { expect } from 'vitest'
import { type Candidate, candidateOrder, type Request, type Stage } from './candidates.ts'
import type { Displacements } from './displacements.ts'
import { queueNamed, type Spec } from './quota.fixture.ts'
import { QuotaTree } from './tree.ts'
import { victimsFor } from './victims.ts'

export type Held = Partial<Candidate> & { key: string; queue: string; gpus: number }

/** Queues, who holds what, and nodes of which only the number of free accelerators counts. */
export class World {
  readonly tree = new QuotaTree()
  readonly calls: string[] = []
  readonly #held = new Map<string, Candidate>()
  readonly #away = new Set<string>()
  readonly #capacity: number
  useless = new Set<string>()

  constructor(capacity: number, queues: Record<string, Spec>, held: readonly Held[]) {
    this.#capacity = capacity
    this.tree.setCapacity('H100', capacity * 1000)
    for (const [name, spec] of Object.entries(queues)) this.tree.set(queueNamed(name, spec))
    for (const [at, { gpus, ...one }] of held.entries()) {
      const holds = new Map([['H100', gpus * 1000]])
      const base = {
        uid: one.key,
        priority: 0,
        createdAt: '',
        sinceMs: at,
        leaving: false,
        preemptible: true,
        price: 0,
      }
      this.#held.set(one.key, { ...base, ...one, holds })
      this.tree.add(one.queue, 'H100', gpus * 1000)
    }
  }

  victims(
    queue: string,
    gpus: number,
    request: Partial<Request> = {},
    displaced?: Displacements,
  ): string[] | undefined {
    const wants = new Map([['H100', gpus * 1000]])
    const asked = { gang: 'new', queue, priority: 0, createdAt: '', wants, ...request }
    const before = this.#seen()
    const of = (name: string) =>
      [...this.#held.values()].filter((one) => one.queue === name).toSorted(candidateOrder(name))
    const chosen = victimsFor(this.tree, asked, of, this.#stage(gpus), displaced)
    expect(this.#seen(), 'the world is left as it was').toEqual(before)
    return chosen?.map(({ key, reason }) => `${key} ${reason}`)
  }

  get asked(): number {
    return this.calls.filter((call) => call === 'fits').length
  }

  #stage(gpus: number): Stage {
    const move = (key: string, sign: 1 | -1) => {
      const { queue, holds } = this.#held.get(key) ?? { queue: '', holds: new Map() }
      for (const [model, milli] of holds) this.tree.add(queue, model, sign * milli)
    }
    return {
      lift: (key) => {
        this.calls.push(`lift ${key}`)
        expect(this.#away.has(key)).toBe(false)
        this.#away.add(key)
        move(key, -1)
      },
      putBack: (key) => {
        expect(this.#away.delete(key)).toBe(true)
        move(key, 1)
      },
      fits: () => {
        this.calls.push('fits')
        return this.#free() >= gpus * 1000
      },
      isSpare: () => false,
      roomStays: () => false,
      helps: (key) => !this.useless.has(key),
    }
  }

  #free(): number {
    let free = this.#capacity * 1000
    for (const [key, { holds }] of this.#held) if (!this.#away.has(key)) free -= holds.get('H100') ?? 0
    return free
  }

  #seen() {
    const names = new Set([...this.#held.values()].map(({ queue }) => queue))
    return {
      away: this.#away.size,
      usage: [...names].map((name) => [name, this.tree.usage(name, 'H100'), this.tree.share(name)]),
    }
  }
}

export const two: Record<string, Spec> = {
  all: { nominalQuota: { H100: 0 } },
  a: { parent: 'all', nominalQuota: { H100: 4 } },
  b: { parent: 'all', nominalQuota: { H100: 4 } },
}

export const many = (count: number, queue: string, gpus = 1): Held[] =>
  Array.from({ length: count }, (_, at) => ({ key: `${queue}${at}`, queue, gpus }))

import { type Chosen, candidateOrder, type Stage } from '../../src/scheduler/quota/candidates.ts'
import { QuotaTree } from '../../src/scheduler/quota/tree.ts'
import { nextInTurn } from '../../src/scheduler/quota/turns.fixture.ts'
import { victimsFor } from '../../src/scheduler/quota/victims.ts'
import { candidateOf, type Translated, translate } from './kueue.ts'
import type { KueueCase } from './tables.ts'

/** What became of a case. `victims`: `name reason`, sorted. */
export interface Outcome {
  admitted: { gang: string; models: string[] }[]
  victims: string[]
  waiting: string[]
}

/** What the table expects of a case, and what the accounts say. */
export type Judge = (one: KueueCase) => { expected: unknown; found: unknown }

export const judgeOrder: Judge = ({ input, expected }) => ({
  expected: expected.order,
  found: input.candidates
    .map((one) => ({ name: one.name, candidate: candidateOf(one, new Map()) }))
    .toSorted((a, b) => candidateOrder(input.preemptorQueue)(a.candidate, b.candidate))
    .map(({ name }) => name),
})

export const judgeShares: Judge = (one) => {
  if (one.kind === 'share_format') return judgeFormat(one)
  const { input, expected } = one
  const world = translate(one, true)
  const tree = treeOf(world, true)
  const scale = scaleOf(one)
  for (const { queue = '', flavor, resource, amount } of input.usage) {
    tree.add(queue, `${flavor}-${resource}`, scale(resource, amount))
  }
  /** The table adds the request to everybody who has, or whose children have, a quota for it. */
  const extraOf = (name: string) => {
    const declared = declaredBelow(one, name)
    const pairs = input.additionalRequest.map(
      ({ flavor, resource, amount }) => [`${flavor}-${resource}`, scale(resource, amount)] as const,
    )
    return new Map(pairs.filter(([model]) => declared.has(model)))
  }
  if (one.kind === 'borrowing_on') {
    const models = [...new Set(world.queues.flatMap(({ spec }) => Object.keys(spec.nominalQuota ?? {})))]
    const requested = input.requested.map(({ flavor, resource }) => `${flavor}-${resource}`)
    return {
      expected: [expected.borrowing, expected.borrowingOnRequested],
      found: [tree.isBorrowing(expected.queue, models), tree.isBorrowing(expected.queue, requested)],
    }
  }
  return {
    expected: expected.shares.map(({ name, share, dominantResource }) => [name, share, dominantResource]),
    found: expected.shares.map(({ name }) => {
      const share = tree.share(name, extraOf(name))
      const most = Number.MAX_SAFE_INTEGER
      return [name, Math.min(Math.ceil(share.perMille), most), share.model ?? null]
    }),
  }
}

/** A queue that borrows as much of a thousand as the case says. */
function judgeFormat({ input, expected }: KueueCase): { expected: unknown; found: unknown } {
  const tree = new QuotaTree()
  const base = { namespaces: ['*'], stopPolicy: 'None' as const }
  const queue = (name: string, spec: object) =>
    tree.set({
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'Queue',
      metadata: { name },
      spec: { ...base, weight: 1, ...spec },
    })
  queue('all', { nominalQuota: { H100: 1000 } })
  queue('one', { parent: 'all', weight: input.weight })
  tree.add('one', 'H100', input.unweightedRatio * 1000)
  const { perMille } = tree.share('one')
  return { expected: expected.text, found: perMille === Number.POSITIVE_INFINITY ? '+Inf' : String(perMille) }
}

export const judgeVictims =
  (isFair: boolean): Judge =>
  (one) => {
    const world = translate(one, isFair)
    const tree = treeOf(world, false)
    const [incoming] = world.incoming
    if (incoming === undefined) throw new Error('a case of preemption has somebody who comes in')
    const request = { ...incoming.request, wants: incoming.choices[0] ?? new Map() }
    const chosen = victimsFor(tree, request, (queue) => inOrder(world, queue), stageOf(world, tree))
    return { expected: expectedVictims(one), found: { victims: told(world, chosen ?? []), count: chosen?.length ?? 0 } }
  }

export function expectedVictims({ expected }: KueueCase): { victims: string[]; count: number } {
  const victims = expected.preempted.map(({ name, reason }) => `${name} ${reasonOf(reason)}`).toSorted()
  return { victims, count: expected.preemptedCount ?? victims.length }
}

/** One round: each queue's first is given its choice of models, then they come in turn. */
export const judgeCycle: Judge = (one) => {
  const outcome = cycle(one)
  return {
    expected: expectedOutcome(one),
    found: {
      admitted: outcome.admitted.toSorted((a, b) => (a.gang < b.gang ? -1 : 1)),
      victims: outcome.victims.toSorted(),
      waiting: outcome.waiting.toSorted(),
    },
  }
}

export function expectedOutcome(one: KueueCase): Outcome {
  const { expected } = one
  const admitted = expected.admitted.map((gang) => ({
    gang,
    models: (expected.assignmentsAfter[gang]?.assigned ?? [])
      .flatMap(({ flavors }) => Object.entries(flavors).map(([resource, flavor]) => `${flavor}-${resource}`))
      .toSorted(),
  }))
  return {
    admitted: admitted.toSorted((a, b) => (a.gang < b.gang ? -1 : 1)),
    victims: expectedVictims(one).victims,
    waiting: expected.pending.map(({ name }) => name).toSorted(),
  }
}

function cycle(one: KueueCase): Outcome {
  const world = translate(one, true)
  const tree = treeOf(world, false)
  const outcome: Outcome = { admitted: [], victims: [], waiting: [] }
  const heads = new Set(
    world.incoming.map(({ request, choices }) => {
      const wants =
        choices.find((choice) => tree.fits(request.queue, choice)) ?? choices[0] ?? new Map<string, number>()
      return { ...request, wants }
    }),
  )
  for (let head = nextInTurn(tree, heads); head !== undefined; head = nextInTurn(tree, heads)) {
    heads.delete(head)
    const { gang, queue, wants } = head
    if (tree.fits(queue, wants)) {
      for (const [model, milli] of wants) tree.add(queue, model, milli)
      outcome.admitted.push({ gang, models: [...wants.keys()].toSorted() })
      continue
    }
    outcome.waiting.push(gang)
    const chosen = victimsFor(tree, head, (of) => inOrder(world, of), stageOf(world, tree))
    outcome.victims.push(...told(world, chosen ?? []))
  }
  return outcome
}

function treeOf(world: Translated, isEmpty: boolean): QuotaTree {
  const tree = new QuotaTree(world.resourceOf)
  for (const queue of world.queues) tree.set(queue)
  if (isEmpty) return tree
  for (const { queue, holds } of world.running) for (const [model, milli] of holds) tree.add(queue, model, milli)
  return tree
}

/** Nodes enough for everybody: only quota decides. */
function stageOf(world: Translated, tree: QuotaTree): Stage {
  const count = (key: string, sign: 1 | -1) => {
    const held = world.running.find((one) => one.key === key)
    for (const [model, milli] of held?.holds ?? []) tree.add(held?.queue ?? '', model, sign * milli)
  }
  return {
    lift: (key) => count(key, -1),
    putBack: (key) => count(key, 1),
    fits: () => true,
    isSpare: () => false,
    roomStays: () => false,
    helps: () => true,
  }
}

function inOrder(world: Translated, queue: string) {
  return world.running.filter((held) => held.queue === queue).toSorted(candidateOrder(queue))
}

function told(world: Translated, chosen: readonly Chosen[]): string[] {
  return chosen
    .filter(({ key }) => world.running.find((one) => one.key === key)?.leaving === false)
    .map(({ key, reason }) => `${key} ${reason}`)
    .toSorted()
}

export function reasonOf(reason: string): string {
  return reason === 'InClusterQueue' ? 'InQueue' : reason
}

/** The scale of `translate`, for amounts that stand beside the queues. */
function scaleOf(one: KueueCase): (resource: string, amount: number) => number {
  const { queues } = translate(one, true)
  const all = [...one.input.cohorts, ...one.input.queues]
  return (resource, amount) => {
    for (const { name, quotas } of all) {
      for (const quota of quotas) {
        if (quota.resource !== resource || quota.nominal === 0) continue
        const count = queues.find(({ metadata }) => metadata.name === name)?.spec.nominalQuota?.[
          `${quota.flavor}-${resource}`
        ]
        if (count !== undefined) return Math.round((amount * count * 1000) / quota.nominal)
      }
    }
    return amount * 1000
  }
}

function declaredBelow({ input }: KueueCase, name: string): Set<string> {
  const nodes = [...input.cohorts, ...input.queues]
  const names = new Set([name])
  for (let before = 0; before < names.size; ) {
    before = names.size
    for (const node of nodes) if (node.parent !== null && names.has(node.parent)) names.add(node.name)
  }
  return new Set(
    nodes
      .filter((node) => names.has(node.name))
      .flatMap(({ quotas }) => quotas.map(({ flavor, resource }) => `${flavor}-${resource}`)),
  )
}

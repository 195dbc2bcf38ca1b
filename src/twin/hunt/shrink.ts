import { acceleratorsOf } from '../../model/accelerators.ts'
import { label } from '../../model/names.ts'
import type { Arrival, Fault, History } from './history.ts'

export interface Shrunk {
  history: History
  /** Histories that were tried. */
  plays: number
  /** Nothing of it can be left out any more; false: the time was over. */
  isMinimal: boolean
}

export interface ShrinkOptions {
  /** Whether a history breaks the rule that the first one breaks. */
  breaks(history: History): Promise<boolean>
  /** Asked before each try. */
  goesOn(): boolean
}

/**
 * Leaves out of a history what the broken rule does not need: faults, work, nodes, queues, late lines. Halves first, then
 * smaller parts (Zeller's delta debugging), again and again until nothing more can go.
 */
export async function shrink(history: History, options: ShrinkOptions): Promise<Shrunk> {
  return await new Shrinking(history, options).run()
}

class Shrinking {
  #history: History
  #plays = 0
  #isOver = false
  readonly #options: ShrinkOptions

  constructor(history: History, options: ShrinkOptions) {
    this.#history = history
    this.#options = options
  }

  async run(): Promise<Shrunk> {
    for (let before: History | undefined; before !== this.#history && !this.#isOver; ) {
      before = this.#history
      await this.#fewer(this.#history.faults, (faults) => ({ ...this.#history, faults }))
      await this.#fewer(this.#history.arrivals, (arrivals) => ({ ...this.#history, arrivals }))
      await this.#fewer(this.#history.traffic ?? [], (traffic) => ({ ...this.#history, traffic }))
      await this.#fewer(this.#history.nodes, (nodes) => withNodes(this.#history, nodes))
      for (const simpler of simplerThan(this.#history)) await this.#try({ ...this.#history, ...simpler })
    }
    return { history: this.#history, plays: this.#plays, isMinimal: !this.#isOver }
  }

  /** As few of `items` as the rule needs. */
  async #fewer<T>(items: readonly T[], made: (kept: T[]) => History): Promise<void> {
    let kept = items
    for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
      // From behind: what comes after the break goes at once.
      for (let to = kept.length; to > 0 && !this.#isOver; to -= size) {
        const rest = kept.filter((_, index) => index < to - size || index >= to)
        if (await this.#try(made(rest))) kept = rest
      }
  }

  async #try(history: History): Promise<boolean> {
    this.#isOver ||= !this.#options.goesOn()
    if (this.#isOver || !holdsEach(history)) return false
    this.#plays++
    const isBroken = await this.#options.breaks(history)
    if (isBroken) this.#history = history
    return isBroken
  }
}

/** Each job alone has room in the whole fleet: else that it never ends says nothing. */
function holdsEach({ nodes, arrivals }: History): boolean {
  if (nodes.length === 0) return false
  return arrivals.every((arrival) => {
    if (arrival.kind !== 'TrainingJob') return true
    const { workers = 1, minWorkers = workers, resources, topology } = arrival.object.spec
    const slots = resources?.accelerators === undefined ? 1 : (acceleratorsOf(resources.accelerators)[0]?.count ?? 1)
    const roomIn = (some: History['nodes']) =>
      some.reduce((sum, node) => sum + Math.floor((node.slots + node.gpus.length) / slots), 0)
    const domains = topology?.required === undefined ? [nodes] : nodes.map((one) => nodes.filter(inRackOf(one)))
    return domains.some((domain) => roomIn(domain) >= minWorkers)
  })
}

function inRackOf(one: History['nodes'][number]): (node: History['nodes'][number]) => boolean {
  return ({ labels }) => labels[label.rack] === one.labels[label.rack]
}

/** Without faults of nodes that are not there. */
function withNodes(history: History, nodes: History['nodes']): History {
  const names = new Set(nodes.map(({ name }) => name))
  const isThere = (fault: Fault) => !('node' in fault) || fault.node === undefined || names.has(fault.node)
  return { ...history, nodes, faults: history.faults.filter(isThere) }
}

/** One thing simpler each; what is simple already is left out. */
function simplerThan(history: History): Partial<History>[] {
  const { queues, arrivals, standbys, delay, ledgerEveryMs, history: kept } = history
  return [
    ...(queues.length === 0 ? [] : [{ queues: [], arrivals: arrivals.map(inDefaultQueue) }]),
    ...(standbys === 0 ? [] : [{ standbys: 0 }, ...(standbys > 1 ? [{ standbys: 1 }] : [])]),
    ...(delay.chance === 0 ? [] : [{ delay: { chance: 0, msMax: 0 } }]),
    ...(kept === historyMax ? [] : [{ history: historyMax }]),
    ...(ledgerEveryMs === ledgerEveryMsMax ? [] : [{ ledgerEveryMs: ledgerEveryMsMax }]),
  ]
}

const historyMax = 10_000
/** Its writes are out of the way of whoever reads. */
const ledgerEveryMsMax = 30_000

function inDefaultQueue(arrival: Arrival): Arrival {
  return arrival.kind === 'TrainingJob'
    ? { ...arrival, object: { ...arrival.object, spec: { ...arrival.object.spec, queue: 'default' } } }
    : { ...arrival, object: { ...arrival.object, spec: { ...arrival.object.spec, queue: 'default' } } }
}

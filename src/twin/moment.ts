import type { KindMap, KindName } from '../model/registry.ts'
import type { Store } from '../store/contract.ts'

type Lists = { [K in KindName]?: readonly KindMap[K][] }

/** What the store held at one moment of a run: nodes, queues and work. Nothing moves on in it. */
export class Moment {
  readonly atMs: number
  readonly #lists: Lists

  private constructor(atMs: number, lists: Lists) {
    this.atMs = atMs
    this.#lists = lists
  }

  /** A memory store answers with what it holds when it is asked: this moment, whenever the answers are here. */
  static async of(store: Store, atMs: number): Promise<Moment> {
    const items = async <K extends KindName>(kind: K) => (await store.list(kind)).items
    const [queues, nodes, gangs, pods, jobs, services] = await Promise.all([
      items('Queue'),
      items('Node'),
      items('Gang'),
      items('Pod'),
      items('TrainingJob'),
      items('InferenceService'),
    ])
    const lists = { Queue: queues, Node: nodes, Gang: gangs, Pod: pods, TrainingJob: jobs, InferenceService: services }
    return new Moment(atMs, lists)
  }

  async list<K extends KindName>(
    kind: K,
    { namespace }: { namespace?: string | undefined } = {},
  ): Promise<{ items: readonly KindMap[K][] }> {
    const all = this.#lists[kind] ?? []
    return { items: namespace === undefined ? all : all.filter(({ metadata }) => metadata.namespace === namespace) }
  }

  async get<K extends KindName>(
    kind: K,
    { name, namespace }: { name: string; namespace?: string | undefined },
  ): Promise<KindMap[K] | undefined> {
    return (await this.list(kind, { namespace })).items.find(({ metadata }) => metadata.name === name)
  }

  /** A line for each node, gang and pod. */
  lines(): string[] {
    const nodes = (this.#lists.Node ?? []).map(({ metadata, spec, status }) => {
      const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status
      return `node ${metadata.name}: ready ${ready}${spec?.unschedulable === true ? ', cordoned' : ''}`
    })
    const gangs = (this.#lists.Gang ?? []).map(({ metadata, spec, status = {} }) => {
      const { seats, hold, eviction, resize } = status
      const where = seats?.members.map(({ node }) => node).join(' ')
      return `gang ${metadata.name}: attempt ${spec.attempt}, queue ${spec.queue}, priority ${spec.priority}, ${JSON.stringify({ min: spec.groups[0]?.min, max: spec.groups[0]?.max, suspend: spec.suspend, seats: seats && `${seats.attempt}: ${where}`, hold: hold && { attempt: hold.attempt, victims: hold.victims.map(({ gang }) => gang) }, eviction, resize: resize?.message, conditions: status.conditions?.map(({ type, status: is, reason, message }) => `${type} ${is} ${reason} ${message}`) })}`
    })
    const pods = (this.#lists.Pod ?? []).map(
      ({ metadata, spec, status }) =>
        `pod ${metadata.name}: ${status?.phase} on ${spec.nodeName}${metadata.deletionTimestamp === undefined ? '' : ', leaving'}`,
    )
    return [...nodes, ...gangs, ...pods]
  }
}

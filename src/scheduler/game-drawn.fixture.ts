import type { Random } from '../base/random.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Node } from '../model/kinds/kubernetes.ts'
import type { Queue } from '../model/kinds/queue.ts'
import { annotation, label } from '../model/names.ts'
import { queueNamed } from './quota/quota.fixture.ts'

type Group = Gang['spec']['groups'][number]

/** A gang before the store has it. */
export type Arriving = Omit<Gang, 'metadata'> & {
  metadata: { name: string; namespace: string; labels?: Record<string, string> }
}

/** A fleet, its queues, and who comes to them, drawn from a seed. */
export class Drawn {
  readonly nodes: Node[]
  readonly queues: Queue[]
  readonly models: readonly string[]
  /** Accelerators. */
  readonly capacity: number
  readonly #random: Random
  /** With moves. */
  readonly #moves: Random | undefined
  readonly #largest: number
  /** Draws minimum run times and disruption budgets, where there are any. */
  readonly #limits: Random | undefined
  #gangs = 0

  constructor(random: Random, { hasLimits, hasMoves }: { hasLimits: boolean; hasMoves: boolean }) {
    this.#random = random
    this.#limits = hasLimits ? random.split('limits') : undefined
    this.#moves = hasMoves ? random.split('moves') : undefined
    this.models = random.float() < 0.5 ? ['H100'] : ['H100', 'A100']
    const perNode = this.#one([2, 4, 4, 8])
    this.#largest = perNode
    const racks = random.int(2, 5)
    const nodesPerRack = random.int(2, 4)
    this.nodes = Array.from({ length: racks * nodesPerRack }, (_, index) => {
      const rack = Math.floor(index / nodesPerRack)
      return nodeOf(index, rack, this.#one(this.models), perNode)
    })
    this.capacity = this.nodes.length * perNode
    this.queues = this.#queues()
  }

  /** A tree or two with quotas, and a queue without any, which takes what they leave. */
  #queues(): Queue[] {
    const random = this.#random
    const isFair = random.float() < 0.75
    const hasOwn = random.float() < 0.5
    const leaves = random.int(2, 4)
    const each = Math.max(1, Math.floor((this.capacity * this.#one([0.5, 0.8, 1, 1.2])) / leaves / this.models.length))
    const quota = (chance: number, most: number) =>
      Object.fromEntries(
        this.models.flatMap((model) => (random.float() < chance ? [[model, random.int(0, most)]] : [])),
      )
    const spec = (): Partial<Queue['spec']> => ({
      weight: this.#one([0, 0.5, 1, 1, 1, 2, 3]),
      ...(random.float() < 0.8 ? { nominalQuota: quota(0.9, 2 * each) } : {}),
      ...(random.float() < 0.2 ? { borrowingLimit: quota(0.7, each) } : {}),
      ...(random.float() < 0.2 ? { lendingLimit: quota(0.7, each) } : {}),
      ...this.#minRun(random.float() < 0.5 ? {} : { preemption: this.#policy() }),
    })
    const queues = [
      queueNamed('all', {
        fairSharing: isFair,
        ...this.#minRun({}),
        ...this.#defragmentation(),
        ...(hasOwn ? { nominalQuota: quota(0.8, each) } : {}),
      }),
      queueNamed('open', {
        weight: this.#one([0, 0.5, 1]),
        fairSharing: random.float() < 0.8,
        ...this.#defragmentation(),
      }),
    ]
    const parents = ['all']
    for (let leaf = 0; leaf < leaves; leaf++) {
      const name = `q${leaf}`
      queues.push(queueNamed(name, { parent: this.#one(parents), ...spec() }))
      if (random.float() < 0.3) parents.push(name)
    }
    if (random.float() < 0.3) queues.push(queueNamed('alone', spec()))
    return queues
  }

  #defragmentation(): Partial<Queue['spec']> {
    const maxPrice = [0.25, 1, 1000][this.#moves?.int(0, 2) ?? 0] ?? 1
    return this.#moves === undefined ? {} : { defragmentation: { maxPrice } }
  }

  #policy(): NonNullable<Queue['spec']['preemption']> {
    return {
      withinQueue: this.#one(['Never', 'LowerPriority', 'LowerOrNewerEqualPriority']),
      reclaimWithinCohort: this.#one(['Never', 'LowerPriority', 'LowerOrNewerEqualPriority', 'Any', 'Any', 'Any']),
      borrowWithinCohort: { policy: this.#one(['Never', 'LowerPriority']) },
    }
  }

  #minRun({ preemption }: Pick<Queue['spec'], 'preemption'>): Pick<Queue['spec'], 'preemption'> {
    const limits = this.#limits
    if (limits === undefined || limits.float() < 0.6) return preemption === undefined ? {} : { preemption }
    const policy = preemption ?? { withinQueue: 'LowerPriority', reclaimWithinCohort: 'Any' }
    return { preemption: { ...policy, minRunSeconds: oneOf(limits, [0, 60, 300, 1200]) } }
  }

  gang(): Arriving {
    const random = this.#random
    const groups = Array.from({ length: random.float() < 0.15 ? 2 : 1 }, (_, index) => this.#group(`g${index}`))
    const topology = this.#topology()
    return {
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'Gang',
      metadata: { name: `gang${this.#gangs++}`, namespace: 'default', ...this.#labels() },
      spec: {
        attempt: 1,
        queue: this.#one(this.queues).metadata.name,
        priority: this.#one([0, 0, 0, 1, 1, 2]),
        preemptible: random.float() < 0.9,
        suspend: false,
        groups,
        ...(topology === undefined ? {} : { topology }),
        ...this.#budget(),
        ...(random.float() < 0.3 ? { expectedSeconds: random.int(10, 2000) } : {}),
      },
    }
  }

  /** Some share one of two disruption budgets, as replicas do. */
  #budget(): Pick<Gang['spec'], 'disruptionBudget'> {
    const limits = this.#limits
    return limits !== undefined && limits.float() < 0.2 ? { disruptionBudget: oneOf(limits, budgets) } : {}
  }

  /** Some are replicas of services. */
  #labels(): { labels?: Record<string, string> } {
    return this.#moves !== undefined && this.#moves.float() < 0.3 ? { labels: { [label.service]: 'some' } } : {}
  }

  /** Small and content with little. */
  filler(model: string): Arriving {
    const gang = this.gang()
    const group = { ...this.#group(fillers), min: 1, max: this.#random.int(1, 4), accelerators: [{ model, count: 1 }] }
    const { topology: _, ...spec } = gang.spec
    return { ...gang, spec: { ...spec, queue: 'open', priority: 0, preemptible: true, groups: [group] } }
  }

  #group(name: string): Group {
    const random = this.#random
    const min = this.#one([1, 1, 1, 2, 2, 3, 4])
    const count = Math.min(this.#largest, this.#one([0.5, 1, 1, 1, 2, 2, 4, 8]))
    const models = random.float() < 0.7 ? [this.#one(this.models)] : this.models
    return {
      name,
      min,
      max: min + this.#one([0, 0, 1, 3]),
      accelerators: models.map((model) => ({ model, count })),
      cpuMilli: 0,
      memoryBytes: 0,
      ports: 0,
      nodeSelector: {},
      tolerations: [],
    }
  }

  #topology(): Gang['spec']['topology'] {
    const kind = this.#random.float()
    if (kind < 0.6) return undefined
    const level = this.#one(['rack', 'block'])
    return kind < 0.8 ? { required: level } : { preferred: level }
  }

  #one<T>(items: readonly T[]): T {
    return oneOf(this.#random, items)
  }
}

const budgets: readonly NonNullable<Gang['spec']['disruptionBudget']>[] = [
  { of: 'half', minAvailable: '50%' },
  { of: 'one', maxUnavailable: 1 },
]

const fillers = 'small'

export function modelOfFiller({ spec }: Gang): string | undefined {
  const [group] = spec.groups
  return group?.name === fillers ? group.accelerators[0]?.model : undefined
}

export function oneOf<T>(random: Random, items: readonly T[]): T {
  const item = items[random.int(0, items.length - 1)]
  if (item === undefined) throw new Error('there is nothing to draw from')
  return item
}

function nodeOf(index: number, rack: number, model: string, count: number): Node {
  const name = `n${index}`
  const devices = Array.from({ length: count }, (_, at) => ({ id: `${name}.${at}`, model, healthy: true }))
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        [label.zone]: 'z',
        [label.block]: `b${Math.floor(rack / 2)}`,
        [label.rack]: `r${rack}`,
        [label.pool]: `pool-${model.toLowerCase()}`,
      },
      annotations: { [annotation.nodeDevices]: JSON.stringify(devices) },
    },
    spec: {},
    status: { allocatable: { cpu: '1000', memory: '1Ti' }, conditions: [{ type: 'Ready', status: 'True' }] },
  }
}

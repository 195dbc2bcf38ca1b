import type { Gang } from '../../src/model/kinds/gang.ts'
import type { Node, Pod } from '../../src/model/kinds/kubernetes.ts'
import type { Queue } from '../../src/model/kinds/queue.ts'
import { annotation, label } from '../../src/model/names.ts'
import { statusAfter } from '../../src/scheduler/committed.ts'
import type { Scheduler, Verdict, Victim } from '../../src/scheduler/contract.ts'
import { createScheduler } from '../../src/scheduler/scheduler.ts'

/** Nodes of 8 H100 in racks of 16, blocks of 32 racks and zones of 10 blocks: 80,000 GPUs are 10,000 nodes. */
export function nodeOf(index: number): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: `n${String(index).padStart(5, '0')}`,
      resourceVersion: '1',
      labels: {
        [label.zone]: `z${Math.floor(index / 5120)}`,
        [label.block]: `b${Math.floor(index / 512)}`,
        [label.rack]: `r${Math.floor(index / 16)}`,
        [label.accelerator]: 'H100',
      },
    },
    spec: {},
    status: { allocatable: { cpu: '96', memory: '1Ti', 'nvidia.com/gpu': '8' }, conditions: [] },
  }
}

export interface Ask {
  members: number
  /** A second group, of so many members with half as much each. */
  halves?: number
  /** Accelerators of each. */
  count: number
  cpuMilli: number
  topology?: { required?: string; preferred?: string }
  queue?: string
  priority?: number
}

function group(name: string, members: number, count: number, cpuMilli: number): Gang['spec']['groups'][number] {
  return {
    name,
    min: members,
    max: members,
    accelerators: [{ model: 'H100', count }],
    cpuMilli,
    memoryBytes: 0,
    ports: 0,
    nodeSelector: {},
    tolerations: [],
  }
}

/** A scheduler over a fleet of its own, whose verdicts are committed at once. */
export class World {
  readonly scheduler: Scheduler = createScheduler()
  readonly gangs = new Map<string, Gang>()
  #version = 1
  #nowMs = 0

  constructor(nodes: number | readonly Node[]) {
    this.queue('default', {})
    const objects = typeof nodes === 'number' ? Array.from({ length: nodes }, (_, index) => nodeOf(index)) : nodes
    for (const object of objects) this.scheduler.apply({ kind: 'Node', object })
    this.scheduler.decide(0)
  }

  /** Feeds a gang and decides; the time that the scheduler took, and whether the gang sits now. */
  ask(name: string, ask: Ask): { ms: number; verdict: Verdict | undefined } {
    return this.decide(this.gang(name, ask))
  }

  decide(gang: Gang): { ms: number; verdict: Verdict | undefined } {
    const startedAt = performance.now()
    this.scheduler.apply({ kind: 'Gang', object: gang })
    const verdicts = this.scheduler.decide(this.#nowMs++)
    const ms = performance.now() - startedAt
    for (const verdict of verdicts) this.#commit(verdict)
    return { ms, verdict: verdicts.find((one) => one.gang === `default/${gang.metadata.name}`) }
  }

  forget(name: string): void {
    this.gangs.delete(`default/${name}`)
    this.scheduler.apply({ kind: 'Gang', deleted: `default/${name}` })
  }

  /** Lets time go by and decides again: whoever has to leave is gone at once, and whoever moves sits where it moves to. */
  wait(ms: number): readonly Verdict[] {
    this.#nowMs += ms
    const { verdicts } = this.settle()
    for (const verdict of verdicts) if (verdict.kind === 'preempt') for (const one of verdict.victims) this.#move(one)
    return verdicts
  }

  #move({ gang: key, movesTo }: Victim): void {
    const gang = this.gangs.get(key)
    if (gang === undefined || movesTo === undefined) return
    const attempt = gang.spec.attempt + 1
    const hold = { attempt, epoch: 1, at: new Date(this.#nowMs).toISOString(), members: movesTo, victims: [] }
    this.#put({ ...gang, spec: { ...gang.spec, attempt }, status: { ...statusOf(gang), hold } })
  }

  /** A live pod for each seat of the gang. */
  run(name: string): void {
    const gang = this.gangs.get(`default/${name}`)
    for (const member of gang?.status?.seats?.members ?? []) {
      const pod: Pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: member.pod,
          namespace: 'default',
          labels: { [label.gang]: name, [label.attempt]: '1' },
          annotations: { [annotation.devices]: member.devices.map(({ id }) => id).join() },
        },
        spec: { nodeName: member.node, containers: [{ name: 'main' }] },
        status: { phase: 'Running' },
      }
      this.scheduler.apply({ kind: 'Pod', object: pod })
    }
  }

  queue(name: string, spec: Partial<Queue['spec']>): void {
    this.scheduler.apply({
      kind: 'Queue',
      object: {
        apiVersion: 'millwright.dev/v1alpha1',
        kind: 'Queue',
        metadata: { name },
        spec: { namespaces: ['*'], weight: 1, stopPolicy: 'None', ...spec },
      },
    })
  }

  /** Decides about everything that was fed, and commits it. */
  settle(): { ms: number; verdicts: readonly Verdict[] } {
    const startedAt = performance.now()
    const verdicts = this.scheduler.decide(this.#nowMs++)
    const ms = performance.now() - startedAt
    for (const verdict of verdicts) this.#commit(verdict)
    return { ms, verdicts }
  }

  gang(name: string, ask: Ask): Gang {
    const { members, halves = 0, count, cpuMilli, topology, queue = 'default', priority = 0 } = ask
    const gang = {
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'Gang',
      metadata: {
        name,
        namespace: 'default',
        uid: name,
        resourceVersion: String(++this.#version),
        creationTimestamp: new Date(this.#version).toISOString(),
      },
      spec: {
        attempt: 1,
        queue,
        priority,
        preemptible: true,
        suspend: false,
        ...(topology === undefined ? {} : { topology }),
        groups: [group('w', members, count, cpuMilli), group('h', halves, count / 2, cpuMilli / 2)].filter(
          ({ max }) => max > 0,
        ),
      },
    } as Gang
    this.gangs.set(`default/${name}`, gang)
    return gang
  }

  #commit(verdict: Verdict): void {
    this.scheduler.settle(verdict, 'committed')
    const gang = this.gangs.get(verdict.gang)
    if (gang === undefined) return
    this.#put({ ...gang, status: statusAfter(gang, verdict, { epoch: 1, nowMs: this.#nowMs }) })
  }

  #put(gang: Gang): void {
    const { name, namespace } = gang.metadata
    const object = { ...gang, metadata: { ...gang.metadata, resourceVersion: String(++this.#version) } }
    this.gangs.set(`${namespace}/${name}`, object)
    this.scheduler.apply({ kind: 'Gang', object })
  }
}

function statusOf({ status }: Gang): NonNullable<Gang['status']> {
  return { ...status, conditions: status?.conditions ?? [], checkpoints: status?.checkpoints ?? [] }
}

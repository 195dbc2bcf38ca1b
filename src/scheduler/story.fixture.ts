import { assert } from '../base/errors.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import type { Queue } from '../model/kinds/queue.ts'
import { annotation, label } from '../model/names.ts'
import { bindingAnnotations } from '../model/pods.ts'
import type { Change, Scheduler, Verdict } from './contract.ts'

/** A world that commits what the scheduler decides, told in lines that a person can review. */
export class Story {
  readonly scheduler: Scheduler
  readonly gangs = new Map<string, Gang>()
  readonly pods = new Map<string, Pod>()
  nowMs = 0
  #version = 0

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler
  }

  node(
    name: string,
    devices: string,
    options: Partial<Node['spec']> & { labels?: Record<string, string>; cpu?: string; memory?: string } = {},
  ): void {
    const [model = 'cpu', count = '1'] = devices.split(':')
    const { labels = {}, cpu = '8', memory = '32Gi', ...spec } = options
    const list = Array.from({ length: Number(count) }, (_, index) => ({
      id: `${model}-${index}`,
      model,
      healthy: true,
    }))
    this.apply({
      kind: 'Node',
      object: {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: {
          ...this.#meta(name),
          labels,
          annotations: { [annotation.nodeDevices]: JSON.stringify(list), [annotation.portRange]: '20000-20009' },
        },
        spec,
        status: { allocatable: { cpu, memory }, conditions: [{ type: 'Ready', status: 'True' }] },
      },
    })
  }

  queue(name: string, spec: Partial<Queue['spec']> = {}): void {
    this.apply({
      kind: 'Queue',
      object: {
        apiVersion: 'millwright.dev/v1alpha1',
        kind: 'Queue',
        metadata: this.#meta(name),
        spec: { namespaces: ['default'], weight: 1, stopPolicy: 'None', ...spec },
      },
    })
  }

  gang(
    name: string,
    shape: string,
    spec: Partial<Gang['spec']> = {},
    group: Partial<Gang['spec']['groups'][number]> = {},
  ): void {
    const [members = '1', accelerators = 'cpu:1'] = shape.split('x')
    const [model = 'cpu', count = '1'] = (accelerators === '' ? 'cpu:1' : accelerators).split(':')
    const { resourceVersion, ...metadata } = this.#meta(name)
    this.#put({
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'Gang',
      metadata: {
        ...metadata,
        resourceVersion,
        namespace: 'default',
        labels: { [label.job]: name },
        creationTimestamp: new Date(this.#version).toISOString(),
      },
      spec: {
        attempt: 1,
        queue: 'default',
        priority: 0,
        preemptible: true,
        suspend: false,
        groups: [
          {
            name: 'worker',
            min: Number(members),
            max: Number(members),
            accelerators: [{ model, count: Number(count) }],
            cpuMilli: 0,
            memoryBytes: 0,
            ports: 1,
            nodeSelector: {},
            tolerations: [],
            ...group,
          },
        ],
        ...spec,
      },
    })
  }

  change(name: string, spec: Partial<Gang['spec']>): void {
    const gang = this.#gang(name)
    this.#put({
      ...gang,
      metadata: { ...gang.metadata, resourceVersion: this.#next() },
      spec: { ...gang.spec, ...spec },
    })
  }

  /** Binds pods for the gang's seats, running. */
  run(name: string): void {
    const gang = this.#gang(name)
    const seats = gang.status?.seats
    assert(seats !== undefined, `gang ${name} sits`)
    for (const member of seats.members) {
      this.pod({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          ...this.#meta(member.pod),
          namespace: 'default',
          labels: { [label.gang]: name, [label.attempt]: String(seats.attempt) },
          annotations: bindingAnnotations(seats, member, ''),
        },
        spec: { nodeName: member.node, containers: [{ name: 'main' }] },
        status: { phase: 'Running' },
      })
    }
  }

  pod(object: Pod): void {
    this.pods.set(object.metadata.name, object)
    this.apply({ kind: 'Pod', object })
  }

  end(pod: string): void {
    const object = this.pods.get(pod)
    assert(object !== undefined, `pod ${pod} exists`)
    this.pod({ ...object, status: { ...object.status, phase: 'Failed' } })
  }

  /** Decides and commits until nothing more is decided; what was said, one line a verdict. */
  decide(): string[] {
    const lines: string[] = []
    for (let round = 0; round < 50; round++) {
      const verdicts = this.scheduler.decide(this.nowMs)
      if (verdicts.length === 0) return lines
      for (const verdict of verdicts) {
        lines.push(said(verdict))
        this.commit(verdict)
      }
    }
    throw new Error(`no rest after 50 rounds:\n${lines.join('\n')}`)
  }

  /** The answer to the question, in a sentence. */
  why(gang: string): string {
    return this.scheduler.why(`default/${gang}`, this.nowMs).message
  }

  commit(verdict: Verdict): void {
    const gang = this.gangs.get(verdict.gang)
    if (gang?.metadata.resourceVersion !== verdict.resourceVersion) {
      this.scheduler.settle(verdict, 'stale')
      return
    }
    const { seats: _, ...status } = gang.status ?? { conditions: [], checkpoints: [] }
    const at = new Date(this.nowMs).toISOString()
    const scheduled =
      verdict.kind === 'wait'
        ? { type: 'Scheduled', status: 'False' as const, reason: verdict.reason, message: verdict.message }
        : { type: 'Scheduled', status: verdict.kind === 'bind' ? ('True' as const) : ('Unknown' as const) }
    const seats = verdict.kind === 'bind' ? { seats: { ...verdict.seats, epoch: 1, at } } : {}
    const kept = verdict.kind === 'wait' && gang.status?.seats !== undefined ? { seats: gang.status.seats } : {}
    this.scheduler.settle(verdict, 'committed')
    this.#put({
      ...gang,
      metadata: { ...gang.metadata, resourceVersion: this.#next() },
      status: { ...status, ...kept, ...seats, conditions: [scheduled] },
    })
  }

  apply(change: Change): void {
    this.scheduler.apply(change)
  }

  #put(object: Gang): void {
    this.gangs.set(`default/${object.metadata.name}`, object)
    this.apply({ kind: 'Gang', object })
  }

  #gang(name: string): Gang {
    const gang = this.gangs.get(`default/${name}`)
    assert(gang !== undefined, `gang ${name} exists`)
    return gang
  }

  #next(): string {
    this.#version++
    return String(this.#version)
  }

  #meta(name: string): { name: string; uid: string; resourceVersion: string } {
    const resourceVersion = this.#next()
    return { name, uid: `uid-${resourceVersion}`, resourceVersion }
  }
}

export function said(verdict: Verdict): string {
  const gang = verdict.gang.replace('default/', '')
  if (verdict.kind === 'release') return `${gang} gives its seats back`
  if (verdict.kind === 'wait') return `${gang} waits: ${verdict.reason}: ${verdict.message}`
  const seats = verdict.seats.members.map(
    (member) =>
      `${member.rank}@${member.node}/${member.devices.map((one) => (one.milli === 1000 ? one.id : `${one.id}*${one.milli}`)).join('+')}:${member.ports.join('+')}`,
  )
  return `${gang}#${verdict.attempt} sits ${seats.join(' ')}`
}

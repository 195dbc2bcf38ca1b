import type { Gang } from '../model/kinds/gang.ts'
import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import type { Queue } from '../model/kinds/queue.ts'
import { annotation, label } from '../model/names.ts'
import type { Change, Scheduler, Verdict } from './contract.ts'
import { gangNamed, groupOf } from './gang.fixture.ts'
import { queueNamed } from './quota/quota.fixture.ts'
import { Rehearsal } from './rehearsal/rehearsal.ts'

/**
 * Tells a rehearsal in lines that a person can review. Nothing follows by itself: pods run and end when it is said, unless
 * `runsPods` says that they run as soon as they sit.
 */
export class Story {
  readonly world: Rehearsal
  #version = 0

  constructor(scheduler: Scheduler, { runsPods = false }: { runsPods?: boolean } = {}) {
    this.world = new Rehearsal(scheduler, { runsPods })
  }

  get scheduler(): Scheduler {
    return this.world.scheduler
  }

  get gangs(): Map<string, Gang> {
    return this.world.gangs
  }

  get pods(): Map<string, Pod> {
    return this.world.pods
  }

  get nowMs(): number {
    return this.world.nowMs
  }

  set nowMs(nowMs: number) {
    this.world.nowMs = nowMs
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
    this.world.put({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name,
        labels,
        annotations: { [annotation.nodeDevices]: JSON.stringify(list), [annotation.portRange]: '20000-20009' },
      },
      spec,
      status: { allocatable: { cpu, memory }, conditions: [{ type: 'Ready', status: 'True' }] },
    })
  }

  queue(name: string, spec: Partial<Queue['spec']> = {}): void {
    this.world.put(queueNamed(name, spec))
  }

  gang(
    name: string,
    shape: string,
    spec: Partial<Gang['spec']> = {},
    group: Partial<Gang['spec']['groups'][number]> = {},
  ): void {
    const [members = '1', accelerators = 'cpu:1'] = shape.split('x')
    const [model = 'cpu', count = '1'] = (accelerators === '' ? 'cpu:1' : accelerators).split(':')
    const asked = { accelerators: [{ model, count: Number(count) }], ...group }
    const gang = gangNamed(name, [groupOf(Number(members), asked)], spec)
    const creationTimestamp = new Date(++this.#version).toISOString()
    this.world.put({ ...gang, metadata: { ...gang.metadata, labels: { [label.job]: name }, creationTimestamp } })
  }

  change(name: string, spec: Partial<Gang['spec']>): void {
    this.world.edit(`default/${name}`, spec)
  }

  /** Binds pods for the gang's seats, running. */
  run(name: string): void {
    this.world.run(`default/${name}`)
  }

  pod(object: Pod): void {
    this.world.put(object)
  }

  end(pod: string): void {
    this.world.end(`default/${pod}`)
  }

  /** Decides and commits until nothing more is decided; what was said, one line a verdict. */
  decide(): string[] {
    return this.world.decide().map(said)
  }

  /** The answer to the question, in a sentence. */
  why(gang: string): string {
    return this.scheduler.why(`default/${gang}`, this.nowMs).message
  }

  commit(verdict: Verdict): void {
    this.world.commit(verdict)
  }

  apply(change: Change): void {
    this.world.apply(change)
  }
}

export function said(verdict: Verdict): string {
  const gang = verdict.gang.replace('default/', '')
  if (verdict.kind === 'release') return `${gang} gives its seats back`
  if (verdict.kind === 'wait') return `${gang} waits: ${verdict.reason}: ${verdict.message}`
  if (verdict.kind === 'resize')
    return `${gang}#${verdict.attempt} grows ${verdict.from}-${verdict.to}: ${verdict.message}`
  const seats = verdict.seats.members.map(
    (member) =>
      `${member.rank}@${member.node}/${member.devices.map((one) => (one.milli === 1000 ? one.id : `${one.id}*${one.milli}`)).join('+')}:${member.ports.join('+')}`,
  )
  if (verdict.kind === 'bind') return `${gang}#${verdict.attempt} sits ${seats.join(' ')}`
  const victims = verdict.victims.map((victim) => `${victim.gang.replace('default/', '')} (${victim.reason})`)
  return `${gang}#${verdict.attempt} will sit ${seats.join(' ')} when these have left: ${victims.join(', ')}`
}

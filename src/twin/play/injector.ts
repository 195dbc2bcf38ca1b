import type { SimulatedPod } from '../../agent/simulated/machine.ts'
import { label } from '../../model/names.ts'
import type { Twin } from '../twin.ts'
import type { Fault } from './faults.ts'

/** A fault as it struck. */
export interface Strike {
  atMs: number
  cause: string
  kind: Fault['cause']['kind']
  /** Nodes that it struck; none that was lost already. */
  nodes: readonly string[]
  /** Pods that it ended or stopped, or slowed down. */
  pods: readonly string[]
}

/** Does to a twin what was drawn, and mends it when its time is over. */
export class Injector {
  readonly #twin: Twin
  readonly #struck: (strike: Strike) => void
  /** How slow each straggler is, by what made it so. */
  readonly #slow = new Map<string, number[]>()

  constructor(twin: Twin, struck: (strike: Strike) => void) {
    this.#twin = twin
    this.#struck = struck
  }

  strike({ cause, node: index, pick }: Fault): void {
    const { name, kind, reach, lastsMs, slowness } = cause
    const strike = { atMs: this.#twin.clock.now(), cause: name, kind }
    if (kind === 'control-plane-crash') {
      this.#crashControl(lastsMs)
      this.#struck({ ...strike, nodes: [], pods: [] })
      return
    }
    const drawn = [...this.#twin.nodes.keys()][index] ?? ''
    const nodes = (kind === 'node-loss' ? this.#within(drawn, reach) : [drawn]).filter((node) => this.#isThere(node))
    const running = nodes.flatMap((node) => this.#runningOn(node))
    const one = running[pick % Math.max(1, running.length)]
    const hit = kind === 'process-crash' || kind === 'hang' ? (one === undefined ? [] : [one]) : running
    // Told first: what it does may be seen at once.
    this.#struck({ ...strike, nodes, pods: hit.map(keyOf) })
    if (kind === 'node-loss') for (const node of nodes) this.#loseNode(node, lastsMs)
    else if (kind === 'straggler') for (const node of nodes) this.#slowDown(node, slowness, lastsMs)
    else if (one !== undefined && kind === 'hang') this.#hang(one)
    else one?.kill({ exitCode: 134, signal: 'SIGABRT' })
  }

  /** Not lost already. */
  #isThere(node: string): boolean {
    return this.#twin.member(node).process.state === 'running'
  }

  /** The node, and those that share its rack, block or zone. */
  #within(node: string, reach: Fault['cause']['reach']): string[] {
    const domainOf = (of: string) => (reach === undefined ? of : this.#twin.member(of).description.labels[label[reach]])
    return [...this.#twin.nodes.keys()].filter((other) => domainOf(other) === domainOf(node))
  }

  #hang(pod: SimulatedPod): void {
    const ensemble = this.#twin.workload.ensemble(pod.place)
    if (ensemble === undefined) pod.program?.signal('SIGSTOP')
    else ensemble.hang(pod)
  }

  #runningOn(node: string): SimulatedPod[] {
    return [...this.#twin.member(node).machine.pods.values()].filter(({ end }) => end === undefined)
  }

  #loseNode(node: string, repairMs: number): void {
    const { process, machine } = this.#twin.member(node)
    process.crash()
    machine.lose()
    this.#twin.clock.after(repairMs, () => this.#twin.startAgent(node))
  }

  /** Of several that slow a node down the worst counts. */
  #slowDown(node: string, slowness: number, lastsMs: number): void {
    const causes = this.#slow.get(node) ?? []
    this.#slow.set(node, causes)
    causes.push(slowness)
    this.#pace(node)
    this.#twin.clock.after(lastsMs, () => {
      causes.splice(causes.indexOf(slowness), 1)
      this.#pace(node)
    })
  }

  #pace(node: string): void {
    this.#twin.member(node).slowness = Math.max(1, ...(this.#slow.get(node) ?? []))
    const ensembles = new Set(this.#runningOn(node).map(({ place }) => this.#twin.workload.ensemble(place)))
    for (const ensemble of ensembles) ensemble?.paceChanged()
  }

  /** The leader dies; its supervisor starts the next after so long. */
  #crashControl(restartMs: number): void {
    const alive = this.#twin.controls.filter(({ process }) => process.state !== 'crashed')
    const victim = alive.find(({ control }) => control.leading()) ?? alive[0]
    if (victim === undefined) return
    victim.process.crash()
    this.#twin.clock.after(restartMs, () => void this.#twin.startControl())
  }
}

function keyOf({ place }: SimulatedPod): string {
  return `${place.namespace}/${place.name}`
}

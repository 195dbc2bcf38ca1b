import type { SimulatedPod } from '../../agent/simulated/machine.ts'
import { unwarnNode, warnNode } from '../../agent/warn.ts'
import { faults, isOfTwin } from '../../model/faults.ts'
import { aborted, type Twin } from '../twin.ts'
import type { Fault } from './faults.ts'
import { endsNothing, type TwinHand } from './hand.ts'

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
  readonly #hand: TwinHand
  readonly #struck: (strike: Strike) => void

  constructor(twin: Twin, hand: TwinHand, struck: (strike: Strike) => void) {
    this.#twin = twin
    this.#hand = hand
    this.#struck = struck
  }

  strike({ cause, nodes, pick }: Fault): void {
    const { name, kind } = cause
    if (faults[kind].strikes === 'control plane') {
      if (isOfTwin(kind)) this.#mend(cause, this.#hand.inflict(kind, cause.harm, [], []))
      else {
        this.#hand.crashControl()
        this.#mend(cause, () => this.#hand.startControl())
      }
      this.#struck({ atMs: this.#twin.clock.now(), cause: name, kind, nodes: [], pods: [] })
      return
    }
    if (cause.noticeMs > 0) this.#reclaim(nodes, cause)
    else this.#hit(nodes, cause, pick)
  }

  /** Its provider says that it takes them back, and does; what has left by then is not struck. */
  #reclaim(nodes: readonly string[], cause: Fault['cause']): void {
    const warned = nodes.filter((node) => this.#hand.isThere(node))
    for (const node of warned) void warnNode(this.#twin.store, node)
    this.#twin.clock.after(cause.noticeMs, () => {
      const there = warned.filter((node) => this.#hand.isThere(node))
      const pods = there.flatMap((node) => this.#runningOn(node)).map(keyOf)
      this.#struck({ atMs: this.#twin.clock.now(), cause: cause.name, kind: cause.kind, nodes: there, pods })
      for (const node of there) this.#loseNode(node, cause)
      this.#mend(cause, () => {
        for (const node of warned) void unwarnNode(this.#twin.store, node)
      })
    })
  }

  #hit(meant: readonly string[], cause: Fault['cause'], pick: number): void {
    const { name, kind, harm } = cause
    const strike = { atMs: this.#twin.clock.now(), cause: name, kind }
    const nodes = meant.filter((node) => this.#hand.isThere(node))
    const running = nodes.flatMap((node) => this.#runningOn(node))
    const one = running[pick % Math.max(1, running.length)]
    const hit = faults[kind].strikes === 'process' ? (one === undefined || endsNothing(cause) ? [] : [one]) : running
    // Told first: what it does may be seen at once.
    this.#struck({ ...strike, nodes, pods: hit.map(keyOf) })
    if (kind === 'node-loss') for (const node of nodes) this.#loseNode(node, cause)
    else if (kind === 'straggler') for (const node of nodes) this.#mend(cause, this.#hand.slowNode(node, harm.slowness))
    else if (kind === 'disk-full') for (const node of nodes) this.#mend(cause, this.#hand.fillDisk(node))
    else if (isOfTwin(kind))
      this.#mend(
        cause,
        this.#hand.inflict(
          kind,
          harm,
          nodes,
          hit.map(({ uid }) => uid),
        ),
      )
    else if (one !== undefined && kind === 'hang') this.#hang(one, cause)
    else if (kind === 'gpu-error')
      for (const node of nodes) void this.#hand.failGpu(node, one, { xid: cause.xid ?? 0 }, pick, harm.toldAfterMs)
    else one?.kill(aborted)
  }

  #mend({ lastsMs }: Fault['cause'], mend: () => void): void {
    if (lastsMs !== undefined) this.#twin.clock.after(lastsMs, mend)
  }

  #hang(pod: SimulatedPod, cause: Fault['cause']): void {
    pod.program?.signal('SIGSTOP')
    this.#mend(cause, () => pod.end ?? pod.program?.signal('SIGCONT'))
  }

  #loseNode(node: string, cause: Fault['cause']): void {
    void this.#hand.loseNode(node)
    this.#mend(cause, () => void this.#hand.restoreNode(node))
  }

  #runningOn(node: string): SimulatedPod[] {
    return this.#twin.member(node).machine.running()
  }
}

function keyOf({ place }: SimulatedPod): string {
  return `${place.namespace}/${place.name}`
}

import type { PodRunner } from '../../agent/contract.ts'
import type { Disk, Hand } from '../../agent/hand.ts'
import type { SimulatedPod } from '../../agent/simulated/machine.ts'
import { createSimulatedRunner } from '../../agent/simulated/runner.ts'
import { deviceHeldBy, tellXid } from '../../agent/tell-xid.ts'
import type { Cancel } from '../../base/clock.ts'
import type { Harm, TwinFault } from '../../model/faults.ts'
import type { ToldXid } from '../../model/told-xids.ts'
import { xidInfo } from '../../model/xids.ts'
import { listedDevices } from '../../scheduler/fleet/read-node.ts'
import type { Process } from '../kernel/process.ts'
import { aborted, type Twin } from '../twin.ts'

/** What can be done to a twin. Of several that slow a node down the worst counts. */
export class TwinHand implements Hand {
  readonly #twin: Twin
  readonly #replicas: number
  readonly #slow = new Map<string, number[]>()
  /** Disks that drills fill. */
  readonly #drilled = new Map<string, Cancel>()

  /** `replicas`: of the control plane. */
  constructor(twin: Twin, replicas: number) {
    this.#twin = twin
    this.#replicas = replicas
  }

  runnerOf(node: string): PodRunner | undefined {
    const member = this.#twin.nodes.get(node)
    return member === undefined ? undefined : createSimulatedRunner(member.machine)
  }

  isThere(node: string): boolean {
    return this.#twin.member(node).process.state === 'running'
  }

  async loseNode(node: string): Promise<void> {
    const { process, machine } = this.#twin.member(node)
    process.crash()
    machine.lose()
  }

  async restoreNode(node: string): Promise<void> {
    if (!this.isThere(node)) this.#twin.startAgent(node)
  }

  inflict(
    kind: TwinFault,
    { slowness, latencyMs, byMs, toldAfterMs, from, behind, kept, delayMs }: Harm,
    nodes: readonly string[],
    pods: readonly string[],
  ): Cancel {
    const { storage, network } = this.#twin
    const processes = nodes.map((node) => this.#twin.member(node).process)
    if (kind === 'gpu-loss') return together(nodes.map((node) => this.#twin.loseGpu(node, pods[0], toldAfterMs)))
    if (kind === 'silent-data-corruption') return together(nodes.map((node) => this.#twin.corrupt(node, latencyMs)))
    if (kind === 'clock-jump') return together(nodes.map((node) => this.#twin.jumpClock(node, byMs)))
    if (kind === 'control-plane-pause') return paused(this.#leader()?.process)
    if (kind === 'control-plane-clock-jump') return jumped(this.#leader()?.process, byMs)
    if (kind === 'control-plane-watch-break') return this.#leader()?.process.fallBehind(behind, kept) ?? (() => {})
    if (kind === 'control-plane-store-slow') return this.#leader()?.process.delay(delayMs, delayMs) ?? (() => {})
    if (kind === 'watch-break') return together(processes.map((process) => process.fallBehind(behind, kept)))
    if (kind === 'store-slow') return together(processes.map((process) => process.delay(delayMs, delayMs)))
    if (kind === 'network-flap') return together(nodes.map((node) => network.cut([node], 'nodes')))
    if (kind === 'network-partition') return network.cut(nodes, from)
    if (kind === 'storage-slow') return storage.slowDown(slowness)
    if (kind === 'storage-outage') return storage.breakDown()
    return storage.fillUp()
  }

  /** Whatever a drill fills beside. */
  diskOf(node: string): Disk {
    return {
      problem: () => undefined,
      fill: async () => {
        this.#drilled.get(node)?.()
        this.#drilled.set(node, this.fillDisk(node))
      },
      free: async () => {
        this.#drilled.get(node)?.()
        this.#drilled.delete(node)
      },
    }
  }

  /** Its disk is full until this and all that fills it beside is cancelled. */
  fillDisk(node: string): Cancel {
    const { machine } = this.#twin.member(node)
    machine.fills++
    let isFull = true
    return () => {
      if (isFull) machine.fills--
      isFull = false
    }
  }

  /** Whoever reads the kernel's log there says so, of a GPU that the pod holds or another; the pod ends where it is one that ends any. */
  async failGpu(
    node: string,
    pod: SimulatedPod | undefined,
    xid: Pick<ToldXid, 'xid' | 'action'>,
    pick: number,
    toldAfterMs = 0,
  ): Promise<void> {
    const { store, clock } = this.#twin
    const held = pod === undefined ? undefined : await deviceHeldBy(store, pod.place)
    const object = await store.get('Node', { name: node })
    const listed = object === undefined ? [] : listedDevices(object)
    const device = held ?? listed[pick % Math.max(1, listed.length)]?.id
    const tell = async (): Promise<void> => {
      if (device !== undefined) await tellXid(store, node, { ...xid, device, at: new Date(clock.now()).toISOString() })
    }
    if (toldAfterMs > 0) clock.after(toldAfterMs, () => void tell())
    else await tell()
    if (!endsNothing(xid)) pod?.kill(aborted)
  }

  slowNode(node: string, slowness: number): Cancel {
    const causes = this.#slow.get(node) ?? []
    this.#slow.set(node, causes)
    causes.push(slowness)
    this.#pace(node)
    return () => {
      causes.splice(causes.indexOf(slowness), 1)
      this.#pace(node)
    }
  }

  #pace(node: string): void {
    this.#twin.setSlowness(node, Math.max(1, ...(this.#slow.get(node) ?? [])))
  }

  crashControl(): void {
    this.#leader()?.process.crash()
  }

  /** Who leads, or will. */
  #leader(): Twin['controls'][number] | undefined {
    const alive = this.#alive()
    const awake = alive.filter(({ process }) => process.state === 'running')
    return awake.find(({ control }) => control.leading()) ?? awake[0] ?? alive[0]
  }

  startControl(): void {
    if (this.#alive().length < this.#replicas) this.#twin.startControl()
  }

  #alive(): Twin['controls'] {
    return this.#twin.controls.filter(({ process }) => process.state !== 'crashed')
  }
}

export function endsNothing({ xid }: { xid?: number | undefined }): boolean {
  return xid !== undefined && xidInfo(xid)?.ends === false
}

/** From its next write on, be it the renewal of its lease, until it is cancelled. */
function paused(process: Process | undefined): Cancel {
  if (process?.state !== 'running') return () => {}
  process.pauseAtWrite()
  return () => process.resume()
}

/** Until it is cancelled. */
function jumped(process: Process | undefined, byMs: number): Cancel {
  process?.jump(byMs)
  return () => process?.jump(-byMs)
}

function together(cancels: readonly Cancel[]): Cancel {
  return () => {
    for (const cancel of cancels) cancel()
  }
}

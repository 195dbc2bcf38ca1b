import type { Cancel, Clock } from '../base/clock.ts'
import { type FaultKind, type Harm, harmOf, noticeMsOf, slownessDefault, type TwinFault } from '../model/faults.ts'
import type { Drill } from '../model/kinds/drill.ts'
import type { Store } from '../store/contract.ts'
import type { RunningPod } from './contract.ts'
import { deviceHeldBy, tellXid } from './tell-xid.ts'
import { unwarnNode, warnNode } from './warn.ts'

/** Knows the pods that run on a node by their uids. */
export interface Finder {
  find(uid: string): Promise<Pick<RunningPod, 'signal' | 'ended'> | undefined>
}

/** The disk on which the pods of a node have their folders. */
export interface Disk {
  /** Why it is not to be filled here; undefined: it may be. */
  problem(): string | undefined
  /** Takes all room that there is; again, what has become free since. */
  fill(): Promise<void>
  /** Gives back what was taken, also by a life before this one. */
  free(): Promise<void>
}

/** What a drill can do to the nodes that are here and to the control plane. What is undone already stays so. */
export interface Hand {
  /** Whoever runs the pods of a node; undefined for one that is not here. */
  runnerOf(node: string): Finder | undefined
  /** The node is gone with all that runs on it, and nobody says a word. */
  loseNode(node: string): Promise<void>
  restoreNode(node: string): Promise<void>
  /**
   * Each step of work there takes so many times as long, until it is cancelled. Left out where processes are real: they
   * stand still for a part of the time.
   */
  slowNode?(node: string, slowness: number): Cancel
  /** Undefined for a node that is not here. */
  diskOf(node: string): Disk | undefined
  /** Does what can be done in the twin alone, to nodes and pods (by uid), until it is cancelled. Left out elsewhere. */
  inflict?(kind: TwinFault, harm: Harm, nodes: readonly string[], pods: readonly string[]): Cancel
  /** The leader dies as a process does: what it has under way is never done, and its lease runs out. */
  crashControl(): void
  startControl(): void
}

/** So often whoever is slowed down stands still and goes on: a moment for whoever waits for its steps. */
const stutterMs = 100
/** And so often room that has become free is taken. */
const refillMs = 1_000

/** How a fault is done, and undone where it lasts. */
export interface Deed {
  /** Why it cannot be done here, to these nodes; undefined: it can. */
  problem?(nodes: readonly string[]): string | undefined
  strike(drill: Drill): Promise<void>
  undo?(drill: Drill): Promise<void>
}

export function deedsOf(
  hand: Hand,
  { store, clock }: { store: Store; clock: Clock },
): Readonly<Record<FaultKind, Deed>> {
  const warned = new Map<string, Cancel>()
  const slow = new Map<string, Cancel[]>()
  const inflicted = new Map<string, Cancel>()

  /** To what its runner started and knows again: never to a process that only has the same id. */
  const signal = (name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT') => async (drill: Drill) => {
    for (const { uid } of drill.status?.target?.pods ?? [])
      for (const node of nodesOf(drill)) (await hand.runnerOf(node)?.find(uid))?.signal(name)
  }
  const onNodes = (act: (node: string) => Promise<void>) => async (drill: Drill) =>
    void (await Promise.all(nodesOf(drill).map(act)))

  /** It is told before anything ends, as in the kernel's log, unless whoever reads that is slow. */
  async function failGpu(drill: Drill): Promise<void> {
    const { xid = 0 } = drill.spec.fault
    const [pod] = drill.status?.target?.pods ?? []
    const [node] = nodesOf(drill)
    if (pod === undefined || node === undefined) return
    const device = await deviceHeldBy(store, pod)
    const tell = async (): Promise<void> => {
      if (device !== undefined) await tellXid(store, node, { xid, device, at: new Date(clock.now()).toISOString() })
    }
    const { toldAfterMs } = harmOf(drill.spec.fault)
    if (toldAfterMs === 0) await tell()
    await signal('SIGKILL')(drill)
    if (toldAfterMs === 0) return
    await clock.sleep(toldAfterMs)
    await tell()
  }

  async function loseNodes(drill: Drill): Promise<void> {
    const noticeMs = noticeMsOf(drill.spec.fault)
    const lose = onNodes((node) => hand.loseNode(node))
    if (noticeMs === 0) return await lose(drill)
    await onNodes((node) => warnNode(store, node))(drill)
    warned.set(
      drill.metadata.uid ?? '',
      clock.after(noticeMs, () => void lose(drill)),
    )
  }

  async function restoreNodes(drill: Drill): Promise<void> {
    warned.get(drill.metadata.uid ?? '')?.()
    warned.delete(drill.metadata.uid ?? '')
    await onNodes((node) => hand.restoreNode(node))(drill)
    if (noticeMsOf(drill.spec.fault) > 0) await onNodes((node) => unwarnNode(store, node))(drill)
  }

  async function slowDown(drill: Drill): Promise<void> {
    const { slowness = slownessDefault } = drill.spec.fault
    const cancels: Cancel[] = []
    slow.set(drill.metadata.uid ?? '', cancels)
    for (const node of nodesOf(drill)) {
      if (hand.slowNode !== undefined) cancels.push(hand.slowNode(node, slowness))
      else
        for (const { uid } of drill.status?.target?.pods ?? []) {
          const pod = await hand.runnerOf(node)?.find(uid)
          if (pod !== undefined) cancels.push(stutter(pod, slowness))
        }
    }
  }

  /** It stands still for a part of each moment, for as long as it lives. */
  function stutter(pod: Pick<RunningPod, 'signal' | 'ended'>, slowness: number): Cancel {
    let goOn: Cancel | undefined
    const stop = clock.every(stutterMs, () => {
      pod.signal('SIGSTOP')
      goOn = clock.after(stutterMs * (1 - 1 / slowness), () => pod.signal('SIGCONT'))
    })
    const cancel = (): void => {
      stop()
      goOn?.()
    }
    void pod.ended.then(cancel)
    return cancel
  }

  async function quicken(drill: Drill): Promise<void> {
    const { uid = '' } = drill.metadata
    for (const cancel of slow.get(uid) ?? []) cancel()
    slow.delete(uid)
    // One that stood still just then, or when whoever did it died, goes on.
    if (hand.slowNode === undefined) await signal('SIGCONT')(drill)
  }

  const disksOf = (nodes: readonly string[]) => nodes.flatMap((node) => hand.diskOf(node) ?? [])
  const full = new Map<string, Cancel>()

  /** Whoever gives up some of what he has there makes no room for others. */
  async function fillDisks(drill: Drill): Promise<void> {
    const fill = async () => void (await Promise.all(disksOf(nodesOf(drill)).map((disk) => disk.fill())))
    await fill()
    let isBusy = false
    const again = (): void => {
      if (isBusy) return
      isBusy = true
      fill()
        .catch(() => {}) // it is as full as it becomes, and freed when its time is over
        .finally(() => {
          isBusy = false
        })
    }
    full.set(drill.metadata.uid ?? '', clock.every(refillMs, again))
  }

  async function freeDisks(drill: Drill): Promise<void> {
    full.get(drill.metadata.uid ?? '')?.()
    full.delete(drill.metadata.uid ?? '')
    await Promise.all(disksOf(nodesOf(drill)).map((disk) => disk.free()))
  }

  function inTwin(kind: TwinFault): Deed {
    return {
      problem: () => (hand.inflict === undefined ? `a ${kind} can be played in the twin alone` : undefined),
      strike: async (drill) => {
        const cancel = hand.inflict?.(kind, harmOf(drill.spec.fault), nodesOf(drill), podsOf(drill))
        if (cancel !== undefined) inflicted.set(drill.metadata.uid ?? '', cancel)
      },
      undo: async ({ metadata: { uid = '' } }) => {
        inflicted.get(uid)?.()
        inflicted.delete(uid)
      },
    }
  }

  return {
    'process-crash': { strike: signal('SIGKILL') },
    'gpu-error': { strike: failGpu },
    hang: { strike: signal('SIGSTOP'), undo: signal('SIGCONT') },
    'node-loss': { strike: loseNodes, undo: restoreNodes },
    straggler: { strike: slowDown, undo: quicken },
    'disk-full': {
      problem: (nodes) => disksOf(nodes).flatMap((disk) => disk.problem() ?? [])[0],
      strike: fillDisks,
      undo: freeDisks,
    },
    'gpu-loss': inTwin('gpu-loss'),
    'silent-data-corruption': inTwin('silent-data-corruption'),
    'clock-jump': inTwin('clock-jump'),
    'control-plane-pause': inTwin('control-plane-pause'),
    'control-plane-clock-jump': inTwin('control-plane-clock-jump'),
    'control-plane-watch-break': inTwin('control-plane-watch-break'),
    'control-plane-store-slow': inTwin('control-plane-store-slow'),
    'network-flap': inTwin('network-flap'),
    'network-partition': inTwin('network-partition'),
    'watch-break': inTwin('watch-break'),
    'store-slow': inTwin('store-slow'),
    'storage-slow': inTwin('storage-slow'),
    'storage-outage': inTwin('storage-outage'),
    'storage-full': inTwin('storage-full'),
    'control-plane-crash': { strike: async () => hand.crashControl(), undo: async () => hand.startControl() },
  }
}

function nodesOf({ status }: Drill): string[] {
  return status?.target?.nodes ?? []
}

function podsOf({ status }: Drill): string[] {
  return (status?.target?.pods ?? []).map(({ uid }) => uid)
}

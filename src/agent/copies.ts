import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf, OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Blobs } from '../blob/contract.ts'
import { collectGarbage } from '../blob/manifest.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { PodWork } from '../model/work.ts'
import type { Copies, PodPlace, PodSink, PodTools } from './contract.ts'

/** The nodes that are to keep what a rank writes. */
function holdersOf({ node, peer, work: { copies = 0 } }: PodPlace): string[] {
  return [node, ...(peer === undefined ? [] : [peer])].slice(0, copies)
}

/** The nodes that may have a copy of one part of a checkpoint, as seen from `node`: itself first. */
export function holdersOfPart({ copies = [] }: NonNullable<PodWork['restore']>, part: number, node: string): string[] {
  const holders = (copies[part] ?? '').split(',').filter((name) => name !== '')
  return [...holders.filter((name) => name === node), ...holders.filter((name) => name !== node)]
}

/** What a node keeps, or a failure where it cannot be reached. */
export function reached(copies: Copies | undefined, node: string): Blobs {
  const kept = copies?.of(node)
  if (kept === undefined) throw new OperatingError('node-unreachable', 'give-up', `node ${node} cannot be reached`)
  return kept
}

/** Copies the checkpoint of a step to the nodes that are to keep it, and gives those that have it, with its digest there. */
type Copier = (step: number) => Promise<ReadonlyMap<string, string>>

/**
 * Undefined where no node is to keep any. `put` stores a step at a node and gives its digest. What fails there costs nothing but
 * the copy, and is told once; who is asked for the same step again copies only what is missing.
 */
export function createCopier(
  place: PodPlace,
  { copies, log }: Pick<PodTools, 'copies' | 'log'>,
  sink: Pick<PodSink, 'notice'>,
  put: (node: string, step: number) => Promise<string>,
): Copier | undefined {
  const holders = copies === undefined ? [] : holdersOf(place)
  if (holders.length === 0) return undefined
  let last: { step: number; done: Map<string, string> } | undefined
  let isTold = false

  async function copy(step: number, node: string, done: Map<string, string>): Promise<void> {
    try {
      done.set(node, await put(node, step))
    } catch (error) {
      const message = `the checkpoint of step ${step} could not be copied to node ${node}: ${messageOf(error)}`
      log.warn(message)
      if (!isTold) sink.notice({ type: 'Warning', reason: 'CheckpointNotCopied', message })
      isTold = true
    }
  }

  return async (step) => {
    if (last?.step !== step) last = { step, done: new Map() }
    const { done } = last
    await Promise.all(holders.filter((node) => !done.has(node)).map((node) => copy(step, node, done)))
    return done
  }
}

/** What was copied as it was shipped, for the Report. */
export function copiedAs(digest: string, done: ReadonlyMap<string, string>): { copies?: string[] } {
  const copies = [...done].filter(([, copied]) => copied === digest).map(([node]) => node)
  return copies.length === 0 ? {} : { copies: copies.sort() }
}

export interface CopyKeeper {
  /** Some gang is another than before. */
  changed(): void
  close(): void
}

export interface CopyKeeperOptions {
  node: string
  copies: Copies
  /** All gangs that there are. */
  gangs(): readonly Gang[]
  clock: Clock
  log: Log
}

/** Lets go of what nobody would restore from a node's memory any more. */
export function createCopyKeeper({ node, copies, gangs, clock, log }: CopyKeeperOptions): CopyKeeper {
  let next: { atMs: number; cancel: Cancel } | undefined

  function sweepIn(ms: number): void {
    const atMs = clock.steadyMs() + ms
    if (next !== undefined && next.atMs <= atMs) return
    next?.cancel()
    const cancel = clock.after(ms, () => {
      next = undefined
      if (copies.isEmpty(node)) return
      sweepIn(anywayMs)
      sweep().catch((error: unknown) => log.warn('copies that nobody needs could not go', { error: messageOf(error) }))
    })
    next = { atMs, cancel }
  }

  async function sweep(): Promise<void> {
    const kept = copies.of(node)
    if (kept === undefined) return
    const ofOwner = new Map(
      gangs().flatMap((gang) => (gang.metadata.ownerReferences ?? []).map(({ uid }) => [uid, gang])),
    )
    for (const { key } of await kept.list('checkpoints/')) {
      const gang = ofOwner.get(key.split('/')[2] ?? '')
      if (gang === undefined || !isOfUse(key, gang)) await kept.delete(key)
    }
    await collectGarbage(kept, clock.now())
  }

  return {
    // Some come behind the last word of their gang.
    changed: () => sweepIn(copies.isEmpty(node) ? anywayMs : soonMs),
    close: () => next?.cancel(),
  }
}

/** A commit is several writes to a gang. */
const soonMs = 1_000
const anywayMs = 600_000
/** What was put into a copy so recently is not deleted for having no name (`blob/file`). */
export const contentGraceMs = 60_000

/**
 * The newest committed checkpoint of a gang, and what may be committed after it. A gang that gives its seats back gives back
 * the memory, too.
 */
function isOfUse(key: string, { spec, status }: Gang): boolean {
  const committed = status?.checkpoint
  if (spec.suspend) return false
  if (committed?.manifests.includes(key) === true) return true
  const match = /\/attempt-([0-9]+)\/step-([0-9]+)\//.exec(key)
  const [attempt, step] = [Number(match?.[1]), Number(match?.[2])]
  return (
    attempt > spec.attempt || (attempt === spec.attempt && (committed?.attempt !== attempt || step > committed.step))
  )
}

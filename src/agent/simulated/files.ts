import { diskFull, messageOf } from '../../base/errors.ts'
import { encodeManifest, readManifest } from '../../blob/manifest.ts'
import type { SimulatedStorage } from '../../blob/simulated/storage.ts'
import type { RestoredFrom } from '../../model/kinds/report.ts'
import type { PodWork } from '../../model/work.ts'
import type { Output, PodBeside, PodFiles, PodPlace, PodSink, PodTools, Prepared, Refusal } from '../contract.ts'
import { copiedAs, createCopier, holdersOfPart, reached } from '../copies.ts'
import { checkpointKeyOf, outputKeyOf } from '../keys.ts'
import { createShipper, type Shelf, type Shipper, storing } from '../shipping.ts'
import { podsDir, type SimulatedMachine, type SimulatedPod } from './machine.ts'

type Checkpoint = NonNullable<PodWork['restore']>

/** A copy that is what was committed, and the node that has it. */
interface Held {
  manifest: string
  digest: string
  node: string
}

/**
 * What happens beside the pods of a simulated machine. Objects hold no bytes, only manifests; moving them takes the time
 * that the workload and the storage say, by the agent's own clock: what ships while the agent is down waits for it.
 */
export function simulatedFiles(machine: SimulatedMachine, storage: SimulatedStorage): PodFiles {
  return { beside: (place, tools) => createBeside(machine, storage, place, tools) }
}

function createBeside(
  machine: SimulatedMachine,
  storage: SimulatedStorage,
  place: PodPlace,
  tools: PodTools,
): PodBeside {
  const { blobs, copies, clock, log } = tools
  const { work, rank } = place
  const { workload } = machine
  const writes = work.checkpoints !== undefined && (work.checkpointRanks !== 'first' || rank === 0)
  const closed = new AbortController()
  let sink: PodSink | undefined
  let shipper: Shipper | undefined
  let isFilled = false
  let asked: { step: number; stop: boolean } | undefined
  let follower: SimulatedPod['follower']
  const pod = (): SimulatedPod | undefined => machine.pods.get(place.uid)

  async function prepare(): Promise<Prepared | Refusal> {
    if (machine.isDiskFull) throw diskFull(podsDir, undefined)
    machine.places.set(place.uid, place)
    if (!isFilled) await clock.sleep(workload.prepareMs(place), closed.signal)
    closed.signal.throwIfAborted()
    isFilled = true
    if (work.restore === undefined) return { env: {} }
    const { step, attempt, manifests } = work.restore
    if (machine.restored.has(place.uid)) return { env: {}, restoredStep: step }
    const own = manifests.length <= 1 ? [0] : manifests.length === place.worldSize ? [rank] : [...manifests.keys()]
    const copied = work.restore.copies === undefined ? undefined : await fromCopies(work.restore, own)
    if (copied !== undefined) return restored(step, copied)
    await storage.transfer(workload.restoreMs(place), clock)
    closed.signal.throwIfAborted()
    for (const part of own) {
      const problem = await problemWith(work.restore, part)
      if (problem === undefined) continue
      const message = `the checkpoint of step ${step} (attempt ${attempt}) is damaged: ${problem}`
      return { refused: true, reason: 'CheckpointDamaged', message, damaged: { attempt, step } }
    }
    return restored(step, 'storage')
  }

  function restored(restoredStep: number, restoredFrom: RestoredFrom): Prepared {
    closed.signal.throwIfAborted()
    machine.restored.add(place.uid)
    return { env: {}, restoredStep, restoredFrom }
  }

  async function problemWith({ manifests, digests }: Checkpoint, part: number): Promise<string | undefined> {
    const [manifest = '', digest] = [manifests[part], digests?.[part]]
    const read = await readManifest(blobs, manifest)
    if (read.kind === 'missing') return `${manifest} is missing`
    if (read.kind === 'damaged') return `${manifest}: ${read.message}`
    if (digest !== undefined && digest !== read.digest) return `${manifest} is not what was committed`
    machine.onRestored({ place, manifest, digest: read.digest, from: 'storage' })
    return undefined
  }

  /** Where all of these parts came from, if there is a copy of each by the time that it is read. */
  async function fromCopies(checkpoint: Checkpoint, parts: readonly number[]): Promise<RestoredFrom | undefined> {
    const held = async () => await Promise.all(parts.map((part) => holderOf(checkpoint, part)))
    if ((await held()).includes(undefined)) return undefined
    await clock.sleep(workload.restoreFromCopyMs(place))
    const found = (await held()).filter((one) => one !== undefined)
    if (found.length < parts.length) return undefined
    for (const { manifest, digest, node } of found)
      machine.onRestored({ place, manifest, digest, from: node === place.node ? 'node' : 'peer' })
    return found.every(({ node }) => node === place.node) ? 'node' : 'peer'
  }

  /** The first node whose copy of a part is what was committed. */
  async function holderOf(checkpoint: Checkpoint, part: number): Promise<Held | undefined> {
    const [manifest = '', committed] = [checkpoint.manifests[part], checkpoint.digests?.[part]]
    for (const node of holdersOfPart(checkpoint, part, place.node)) {
      try {
        const kept = copies?.of(node)
        const read = kept === undefined ? undefined : await readManifest(kept, manifest)
        if (read?.kind === 'ok' && read.digest === committed) return { manifest, digest: read.digest, node }
      } catch (error) {
        log.warn('a copy of a checkpoint cannot be read', { holder: node, error: messageOf(error) })
      }
    }
    return undefined
  }

  function follow(to: PodSink, known: readonly number[] | undefined): void {
    sink = to
    const here = pod()
    if (here === undefined) return
    if (known !== undefined) shipper = createShipper(shelfOf(here), tools, whileFollowed, known)
    if (asked !== undefined) shipper?.request(asked.step)
    follower = { lines: (lines) => sink?.progress(lines, clock.now()), checkpoint: ship }
    here.follower = follower
    if (asked !== undefined) here.program?.ask(asked)
    const missed = here.takeLines()
    if (missed.length > 0) to.found(missed, clock.now())
    ship()
  }

  /** What arrives behind an agent that has let go is told to nobody. */
  const whileFollowed: PodSink = {
    found: (lines, atMs) => sink?.found(lines, atMs),
    progress: (lines, atMs) => sink?.progress(lines, atMs),
    shipped: (checkpoint) => sink?.shipped(checkpoint),
    notice: (notice) => sink?.notice(notice),
  }

  function ship(): void {
    if (writes) shipper?.start()
  }

  function shelfOf({ written }: SimulatedPod): Shelf {
    const { attempt, worldSize } = place
    const keyOf = (step: number): string => checkpointKeyOf(place, step)
    const encoded = (step: number) => encodeManifest({ version: 1, files: [], step, attempt, rank, worldSize })
    const copy = createCopier(place, tools, whileFollowed, async (node, step) => {
      reached(copies, node)
      await clock.sleep(workload.restoreFromCopyMs(place))
      const { bytes, digest } = encoded(step)
      await reached(copies, node).put(keyOf(step), bytes)
      return digest
    })
    return {
      steps: () => written.map(({ step }) => step),
      store: async (step) => {
        const { writtenAtMs = clock.now(), bytes = 0, persistMs = 0 } = written.find((one) => one.step === step) ?? {}
        const startedAtMs = clock.steadyMs()
        const copying = copy?.(step)
        await storage.transfer(persistMs, clock)
        const manifest = keyOf(step)
        const { digest, bytes: stored } = encoded(step)
        await blobs.put(manifest, stored)
        const persistSeconds = (clock.steadyMs() - startedAtMs) / 1000
        const copied = copying === undefined ? {} : copiedAs(digest, await copying)
        return { step, rank, manifest, digest, bytes, persistSeconds, ...copied, writtenAtMs }
      },
      clear: async () => {},
    }
  }

  async function finish({ good, output }: { good: boolean; output: boolean }): Promise<Output | undefined> {
    if (!good) {
      shipper?.close()
      return undefined
    }
    if (writes) await shipper?.drain()
    const manifest = outputKeyOf(place)
    if (!output || manifest === undefined) return undefined
    const { bytes, digest } = encodeManifest({ version: 1, files: [] })
    const waiting = (message: string): void =>
      sink?.notice({
        type: 'Warning',
        reason: 'OutputNotShipped',
        message: `its output waits to be shipped: ${message}`,
      })
    await storing(() => blobs.put(manifest, bytes), { clock, signal: closed.signal, waiting })
    return { manifest, digest, bytes: 0, files: 0 }
  }

  return {
    prepare,
    follow,
    finish,
    async tell({ request }) {
      if (request?.step === asked?.step && request?.stop === asked?.stop) return
      asked = request
      if (request !== undefined) shipper?.request(request.step)
      pod()?.program?.ask(request)
    },
    tail: async () => '',
    writingAtMs: async () => undefined,
    close() {
      shipper?.close()
      closed.abort()
      const here = pod()
      if (here !== undefined && here.follower === follower) here.follower = undefined
      sink = undefined
    },
  }
}

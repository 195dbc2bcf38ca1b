import { encodeManifest, readManifest } from '../../blob/manifest.ts'
import type { SimulatedStorage } from '../../blob/simulated/storage.ts'
import type { Output, PodBeside, PodFiles, PodPlace, PodSink, PodTools, Prepared, Refusal } from '../contract.ts'
import { createShipper, type Shelf, type Shipper, storing } from '../shipping.ts'
import type { SimulatedMachine, SimulatedPod } from './machine.ts'

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
  const { blobs, clock } = tools
  const { work, rank } = place
  const { workload } = machine
  const writes = work.checkpoints !== undefined && (work.checkpointRanks === 'all' || rank === 0)
  const closed = new AbortController()
  let sink: PodSink | undefined
  let shipper: Shipper | undefined
  let isFilled = false
  let asked: { step: number; stop: boolean } | undefined
  const pod = (): SimulatedPod | undefined => machine.pods.get(place.uid)

  async function prepare(): Promise<Prepared | Refusal> {
    machine.places.set(place.uid, place)
    if (!isFilled) await clock.sleep(workload.prepareMs(place))
    isFilled = true
    if (work.restore === undefined) return { env: {} }
    await storage.transfer(workload.restoreMs(place), clock)
    const { step, attempt, manifests, digests } = work.restore
    const own = manifests.length <= 1 ? [0] : manifests.length === place.worldSize ? [rank] : manifests.keys()
    for (const part of own) {
      const problem = await problemWith(manifests[part] ?? '', digests?.[part])
      if (problem === undefined) continue
      const message = `the checkpoint of step ${step} (attempt ${attempt}) is damaged: ${problem}`
      return { refused: true, reason: 'CheckpointDamaged', message, damaged: { attempt, step } }
    }
    return { env: {}, restoredStep: step }
  }

  async function problemWith(manifest: string, digest: string | undefined): Promise<string | undefined> {
    const read = await readManifest(blobs, manifest)
    if (read.kind === 'missing') return `${manifest} is missing from the blob store`
    if (read.kind === 'damaged') return read.message
    return digest !== undefined && digest !== read.digest ? `${manifest} is not what was committed` : undefined
  }

  function follow(to: PodSink, known: readonly number[]): void {
    sink = to
    const here = pod()
    if (here === undefined) return
    shipper = createShipper(shelfOf(here), tools, whileFollowed, known)
    if (asked !== undefined) shipper.request(asked.step)
    here.follower = {
      lines: (lines) => sink?.progress(lines, clock.now()),
      checkpoint: ship,
    }
    if (asked !== undefined) here.program?.ask(asked)
    const missed = here.takeLines()
    if (missed.length > 0) to.progress(missed, clock.now())
    ship()
  }

  /** What arrives behind an agent that has let go is told to nobody. */
  const whileFollowed: PodSink = {
    progress: (lines, atMs) => sink?.progress(lines, atMs),
    shipped: (checkpoint) => sink?.shipped(checkpoint),
    notice: (notice) => sink?.notice(notice),
  }

  function ship(): void {
    if (writes) shipper?.start()
  }

  function shelfOf({ written }: SimulatedPod): Shelf {
    return {
      steps: () => written.map(({ step }) => step),
      store: async (step) => {
        const { writtenAtMs = clock.now(), bytes = 0, persistMs = 0 } = written.find((one) => one.step === step) ?? {}
        const startedAtMs = clock.now()
        await storage.transfer(persistMs, clock)
        const manifest = `${work.checkpoints}/step-${step}/rank-${rank}/manifest.json`
        const { attempt, worldSize } = place
        const encoded = encodeManifest({ version: 1, files: [], step, attempt, rank, worldSize })
        await blobs.put(manifest, encoded.bytes)
        const persistSeconds = (clock.now() - startedAtMs) / 1000
        return { step, rank, manifest, digest: encoded.digest, bytes, persistSeconds, writtenAtMs }
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
    const manifest = work.output
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
    async ask(request) {
      asked = request
      shipper?.request(request.step)
      pod()?.program?.ask(request)
    },
    tail: async () => '',
    writingAtMs: async () => undefined,
    close() {
      shipper?.close()
      closed.abort()
      const here = pod()
      if (here !== undefined) here.follower = undefined
      sink = undefined
    },
  }
}

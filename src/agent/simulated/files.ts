import { messageOf } from '../../base/errors.ts'
import { encodeManifest, readManifest } from '../../blob/manifest.ts'
import type { Output, PodBeside, PodFiles, PodPlace, PodSink, PodTools, Prepared, Refusal } from '../contract.ts'
import type { SimulatedMachine, SimulatedPod, WrittenCheckpoint } from './machine.ts'

/**
 * What happens beside the pods of a simulated machine. Objects hold no bytes, only manifests; moving them takes the time
 * that the workload says, by the agent's own clock: what ships while the agent is down waits for it.
 */
export function simulatedFiles(machine: SimulatedMachine): PodFiles {
  return { beside: (place, tools) => createBeside(machine, place, tools) }
}

function createBeside(machine: SimulatedMachine, place: PodPlace, tools: PodTools): PodBeside {
  const { blobs, clock, log } = tools
  const { work, rank } = place
  const shipped = new Set<number>()
  let sink: PodSink | undefined
  let busy: Promise<void> | undefined
  let isClosed = false
  let asked: { step: number; stop: boolean } | undefined
  const pod = (): SimulatedPod | undefined => machine.pods.get(place.uid)

  async function prepare(): Promise<Prepared | Refusal> {
    machine.places.set(place.uid, place)
    await clock.sleep(machine.workload.prepareMs(place))
    if (work.restore === undefined) return { env: {} }
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
    for (const step of known) shipped.add(step)
    const here = pod()
    if (here === undefined) return
    here.follower = {
      lines: (lines) => sink?.progress(lines, clock.now()),
      checkpoint: () => void shipAll(),
    }
    if (asked !== undefined) here.program?.ask(asked)
    const missed = here.takeLines()
    if (missed.length > 0) to.progress(missed, clock.now())
    void shipAll()
  }

  /** One at a time, the newest first; who is faster at writing than the store at taking keeps only the newest. */
  function shipAll(): Promise<void> {
    const writes = work.checkpoints !== undefined && (work.checkpointRanks === 'all' || rank === 0)
    if (!writes) return Promise.resolve()
    busy ??= shipNewest()
      .catch((error: unknown) => log.warn('a checkpoint could not be shipped', { error: messageOf(error) }))
      .finally(() => {
        busy = undefined
      })
    return busy
  }

  async function shipNewest(): Promise<void> {
    for (;;) {
      const newest = pod()?.written.findLast(({ step }) => !shipped.has(step))
      if (newest === undefined || isClosed) return
      await ship(newest)
      for (const { step } of pod()?.written ?? []) if (step <= newest.step) shipped.add(step)
    }
  }

  async function ship({ step, writtenAtMs, bytes, persistMs }: WrittenCheckpoint): Promise<void> {
    const startedAtMs = clock.now()
    await clock.sleep(persistMs)
    const manifest = `${work.checkpoints}/step-${step}/rank-${rank}/manifest.json`
    const { attempt, worldSize } = place
    const encoded = encodeManifest({ version: 1, files: [], step, attempt, rank, worldSize })
    await blobs.put(manifest, encoded.bytes)
    const persistSeconds = (clock.now() - startedAtMs) / 1000
    sink?.shipped({ step, rank, manifest, digest: encoded.digest, bytes, persistSeconds, writtenAtMs })
  }

  async function finish({ good, output }: { good: boolean; output: boolean }): Promise<Output | undefined> {
    if (!good) {
      isClosed = true
      return undefined
    }
    await shipAll()
    if (!output || work.output === undefined) return undefined
    const encoded = encodeManifest({ version: 1, files: [] })
    await blobs.put(work.output, encoded.bytes)
    return { manifest: work.output, digest: encoded.digest, bytes: 0, files: 0 }
  }

  return {
    prepare,
    follow,
    finish,
    async ask(request) {
      asked = request
      pod()?.program?.ask(request)
    },
    tail: async () => '',
    writingAtMs: async () => undefined,
    close() {
      isClosed = true
      const here = pod()
      if (here !== undefined) here.follower = undefined
      sink = undefined
    },
  }
}

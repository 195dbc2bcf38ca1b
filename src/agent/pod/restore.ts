import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { messageOf } from '../../base/errors.ts'
import type { Blobs, Manifest } from '../../blob/contract.ts'
import { fetchFiles } from '../../blob/file/folder.ts'
import { readManifest } from '../../blob/manifest.ts'
import type { RestoredFrom } from '../../model/kinds/report.ts'
import type { PodWork } from '../../model/work.ts'
import type { Notice, PodPlace, PodTools, Refusal } from '../contract.ts'
import { holdersOfPart } from '../copies.ts'

type Checkpoint = NonNullable<PodWork['restore']>

/** `signal`: nobody wants it any more; between two files it throws then. */
type Tools = Pick<PodTools, 'blobs' | 'copies' | 'log'> & { signal?: AbortSignal }

/** Which of how many ranks restores, and where. */
type Own = Pick<PodPlace, 'rank' | 'worldSize' | 'node'>

export interface Restored {
  /** The furthest place that any of it came from; left out where an agent before had restored it. */
  from?: RestoredFrom
  notice?: Notice
}

/**
 * Puts this rank's part of the committed checkpoint into `folder/step-N`, every byte checked against what was
 * committed; or says what is wrong with it. Where each rank wrote a part and there are more or fewer of them now, all
 * parts: in one folder, as on a file system that the ranks share, or each in its `rank-R` where two wrote a file of one
 * name. A rank never takes an older one instead: others may have found theirs whole and go on from the newer step. Which
 * one comes next is decided once for all ranks (control/training/damage).
 *
 * A copy in a node's memory is as good as what is stored, where it is what was committed. What is not to be had there comes
 * from object storage, file by file, which alone can be damaged.
 */
export async function restoreCheckpoint(
  tools: Tools,
  checkpoint: Checkpoint,
  own: Own,
  folder: string,
): Promise<Restored | Refusal> {
  const { step, attempt } = checkpoint
  const target = join(folder, `step-${step}`)
  if ((await stat(target).catch(() => undefined)) !== undefined) return {} // an agent before us got this far
  const restoring = new Restoring(tools, checkpoint, own)
  const problem = await restoring.into(target)
  if (problem === undefined) return restoring.restored
  const message = `the checkpoint of step ${step} (attempt ${attempt}) is damaged: ${problem}`
  return { refused: true, reason: checkpointDamaged, message, damaged: { attempt, step } }
}

/** The pod's reason when it did not start because of its checkpoint. */
const checkpointDamaged = 'CheckpointDamaged'

/** Of one rank's checkpoint all get the same. */
function partsFor({ manifests }: Checkpoint, { rank, worldSize }: Own): number[] {
  if (manifests.length <= 1) return [0]
  return manifests.length === worldSize ? [rank] : [...manifests.keys()]
}

class Restoring {
  readonly #tools: Tools
  readonly #checkpoint: Checkpoint
  readonly #own: Own
  restored: Restored = { from: 'node' }

  constructor(tools: Tools, checkpoint: Checkpoint, own: Own) {
    this.#tools = tools
    this.#checkpoint = checkpoint
    this.#own = own
  }

  /** All of it, or what is wrong. */
  async into(target: string): Promise<string | undefined> {
    const parts = new Map<number, Manifest>()
    const files = new Map<string, string>()
    let isShared = true
    for (const part of partsFor(this.#checkpoint, this.#own)) {
      const read = await this.#readPart(part)
      if (typeof read === 'string') return read
      parts.set(part, read)
      for (const { path, sha256 } of read.files) {
        if ((files.get(path) ?? sha256) !== sha256) isShared = false
        files.set(path, sha256)
      }
    }
    this.#tools.signal?.throwIfAborted() // the folder above may be gone by then
    const partial = `${target}.restoring`
    await rm(partial, { recursive: true, force: true })
    await mkdir(partial, { recursive: true })
    for (const [part, manifest] of parts) {
      const into = isShared ? partial : join(partial, `rank-${part}`)
      const bad = await fetchFiles(manifest, into, (sha256, path) => this.#getFile(part, sha256, path, into))
      if (bad?.kind === 'missing') return `its file ${bad.file} of rank ${part} is missing from the blob store`
      if (bad?.kind === 'damaged') return `rank ${part}: ${bad.message}`
    }
    await rename(partial, target)
    return undefined
  }

  /** What is committed, or what is wrong with it. */
  async #readPart(part: number): Promise<Manifest | string> {
    const { manifests, digests } = this.#checkpoint
    const [key, committed] = [manifests[part], digests?.[part]]
    if (key === undefined) return 'it names no manifest'
    const copied =
      committed === undefined
        ? undefined
        : await this.#fromCopies(part, async (kept, node) => {
            const read = await readManifest(kept, key)
            if (read.kind === 'missing') return undefined
            if (read.kind === 'ok' && read.digest === committed) return read.manifest
            this.#tellDamaged(node, key)
            return undefined
          })
    if (copied !== undefined) return copied
    const read = await readManifest(this.#tools.blobs, key)
    if (read.kind === 'missing') return `${key} is missing`
    if (read.kind === 'damaged') return `${key}: ${read.message}`
    if (committed !== undefined && committed !== read.digest) return `${key} is not what was committed`
    this.#cameFrom('storage')
    return read.manifest
  }

  async #getFile(part: number, sha256: string, path: string, into: string): ReturnType<Blobs['getFile']> {
    this.#tools.signal?.throwIfAborted()
    const copied = await this.#fromCopies(part, async (kept, node) => {
      const outcome = await kept.getFile(sha256, path)
      if (outcome === 'damaged') this.#tellDamaged(node, `${relative(into, path)} of rank ${part}`)
      return outcome === 'ok' ? outcome : undefined
    })
    if (copied !== undefined) return copied
    const outcome = await this.#tools.blobs.getFile(sha256, path)
    if (outcome === 'ok') this.#cameFrom('storage')
    return outcome
  }

  /** The first that has it. Whatever is wrong with a copy, there is another, and object storage. */
  async #fromCopies<T>(
    part: number,
    read: (kept: Blobs, node: string) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const { copies, log } = this.#tools
    for (const node of holdersOfPart(this.#checkpoint, part, this.#own.node)) {
      try {
        const kept = copies?.of(node)
        const found = kept === undefined ? undefined : await read(kept, node)
        if (found === undefined) continue
        this.#cameFrom(node === this.#own.node ? 'node' : 'peer')
        return found
      } catch (error) {
        log.warn('a copy of a checkpoint cannot be read', { holder: node, error: messageOf(error) })
      }
    }
    return undefined
  }

  #cameFrom(place: RestoredFrom): void {
    this.restored = { ...this.restored, from: furthest(this.restored.from, place) }
  }

  /** Memory that does not hold what was written may be a machine about to fail: somebody should know. */
  #tellDamaged(node: string, what: string): void {
    const message = `node ${node} had another copy of ${what} than was committed; it was not used`
    this.#tools.log.warn(message)
    this.restored = { ...this.restored, notice: { type: 'Warning', reason: 'CopyDamaged', message } }
  }
}

function furthest(a: RestoredFrom | undefined, b: RestoredFrom): RestoredFrom {
  return a === 'storage' || (a === 'peer' && b === 'node') ? a : b
}

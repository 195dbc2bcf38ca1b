import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cancel, Clock } from '../../base/clock.ts'
import { diskFull, isDiskFull, messageOf, OperatingError } from '../../base/errors.ts'
import type { Sources } from '../../blob/sources.ts'
import type {
  PodBeside,
  PodFiles,
  PodPlace,
  PodSink,
  PodTools,
  Prepared,
  ProgressLine,
  Refusal,
  Word,
} from '../contract.ts'
import { outputKeyOf } from '../keys.ts'
import { writeControl } from '../pod/control.ts'
import { type DataRead, dataRead, readAhead } from '../pod/data.ts'
import { provide } from '../pod/fetch.ts'
import { createLineReader } from '../pod/lines.ts'
import { shipOutput } from '../pod/output.ts'
import { createPatternReader } from '../pod/pattern.ts'
import { restoreCheckpoint } from '../pod/restore.ts'
import { createFolderShipper, type FolderShipper, writingAtMs } from '../pod/ship.ts'
import { parseProgressLine } from '../progress.ts'
import { podFolder } from './folders.ts'
import { createLogKeeper, tailOf } from './logs.ts'

/** What happens beside the pods of this machine, in this process. `dir` is the agent's folder. */
export function localFiles({ dir, sources }: { dir: string; sources?: Sources | undefined }): PodFiles {
  const looks = new Map<object, () => void>()
  let beat: Cancel | undefined

  /** One timer for all pods, and none while there are none. */
  function lookOften(clock: Clock, look: () => void): Cancel {
    const key = {}
    looks.set(key, look)
    beat ??= clock.every(lookMs, () => {
      for (const each of looks.values()) each()
    })
    return () => {
      looks.delete(key)
      if (looks.size > 0) return
      beat?.()
      beat = undefined
    }
  }

  return { beside: (place, tools) => createBeside(dir, place, tools, lookOften, sources) }
}

const lookMs = 100

function createBeside(
  dir: string,
  place: PodPlace,
  tools: PodTools,
  lookOften: (clock: Clock, look: () => void) => Cancel,
  sources: Sources | undefined,
): PodBeside {
  const folder = podFolder(dir, place.uid)
  const { work } = place
  const { clock, log } = tools
  const keeper = createLogKeeper(folder)
  const requested: number[] = []
  let look: (() => void) | undefined
  let tell: PodSink['notice'] = () => {}
  let shipper: FolderShipper | undefined
  let stopLooking: Cancel = () => {}
  let newest: Word = {}
  let told: Promise<void> = Promise.resolve()
  let isFilled = false
  const closed = new AbortController()

  async function prepare(): Promise<Prepared | Refusal> {
    try {
      return await fill()
    } catch (error) {
      throw isDiskFull(error) && !(error instanceof OperatingError) ? diskFull(dir, error) : error
    }
  }

  async function fill(): Promise<Prepared | Refusal> {
    for (const path of [folder.checkpoints, folder.output]) await mkdir(path, { recursive: true, mode: 0o700 })
    isFilled = true
    if (Object.keys(newest).length > 0) await inTurn(() => writeControl(folder.control, newest))
    const env: Record<string, string> = {
      MILLWRIGHT_CHECKPOINT_DIR: folder.checkpoints,
      MILLWRIGHT_OUTPUT_DIR: folder.output,
      MILLWRIGHT_PROGRESS: folder.progress,
      MILLWRIGHT_CONTROL: folder.control,
    }
    const wanted = [
      ['MILLWRIGHT_DATA_DIR', work.data, folder.data, 'dataset'],
      ['MILLWRIGHT_MODEL_DIR', work.model, folder.model, 'model'],
    ] as const
    for (const [name, source, target, what] of wanted) {
      if (source === undefined) continue
      const refusal = await provide({ ...tools, signal: closed.signal }, join(dir, 'cache'), source, target, what)
      if (refusal !== undefined) return refusal
      env[name] = target
    }
    if (work.restore === undefined) return { env }
    const restored = await restoreCheckpoint(
      { ...tools, signal: closed.signal },
      work.restore,
      place,
      folder.checkpoints,
    )
    if ('refused' in restored) return restored
    const { from, notice } = restored
    return {
      env,
      restoredStep: work.restore.step,
      ...(from === undefined ? {} : { restoredFrom: from }),
      ...(notice === undefined ? {} : { notice }),
    }
  }

  function follow(sink: PodSink, known: readonly number[] | undefined): void {
    const restored = work.restore === undefined ? [] : [work.restore.step]
    if (known !== undefined)
      shipper = createFolderShipper(folder.checkpoints, place, tools, sink, [...known, ...restored])
    for (const step of requested) shipper?.request(step)
    const readLines = progressReader(sink)
    safely(() => {
      const found = readLines()
      if (found.length > 0) sink.found(found, clock.now())
    })()
    let looked = 0
    look = () => {
      const nowMs = clock.now()
      const lines = readLines()
      if (lines.length > 0) sink.progress(lines, nowMs)
      shipper?.look()
      looked += 1
      if (looked % 5 === 0) keeper.look(nowMs)
    }
    stopLooking = lookOften(clock, safely(look))
    tell = (notice) => sink.notice(notice)
    if (sources === undefined || work.data === undefined || work.output === undefined || place.rank > 0) return
    readAhead(sources, work.data).catch((error: unknown) =>
      log.warn('the data of a pod could not be looked at', { error: messageOf(error) }),
    )
  }

  function progressReader(sink: PodSink): () => ProgressLine[] {
    if (work.progressPattern === undefined) {
      const file = createLineReader(folder.progress, progressTail)
      return () =>
        file
          .read()
          .map(parseProgressLine)
          .filter((line) => line !== undefined)
    }
    try {
      const file = createLineReader(folder.log, progressTail)
      let match = createPatternReader(work.progressPattern)
      return () => {
        try {
          return match(file.read())
        } catch (error) {
          sink.notice({ type: 'Warning', reason: 'ProgressPattern', message: messageOf(error) })
          match = () => []
          return []
        }
      }
    } catch (error) {
      sink.notice({ type: 'Warning', reason: 'ProgressPattern', message: messageOf(error) })
      return () => []
    }
  }

  /** A look that fails (a full disk, a folder that was taken away) must not end the others. */
  function safely(run: () => void): () => void {
    return () => {
      try {
        run()
      } catch (error) {
        log.warn('looking after a pod failed', { error: messageOf(error) })
      }
    }
  }

  /** The model is published without it, too. */
  async function dataOrNothing(): Promise<DataRead | undefined> {
    if (sources === undefined || work.data === undefined) return undefined
    const read = await dataRead(sources, tools.blobs, work.data, folder.data, clock).catch(messageOf)
    if (typeof read !== 'string') return read
    tell({ type: 'Warning', reason: 'DatasetDigestUnknown', message: read })
    return undefined
  }

  /** What is told last stays: a write that is still under way would else come after it. */
  function inTurn(write: () => Promise<void>): Promise<void> {
    const mine = told.then(write)
    told = mine.catch(() => {})
    return mine
  }

  /** On a full disk it is written once there is room, unless something newer is to be told. */
  async function write(word: Word): Promise<void> {
    for (;;) {
      try {
        return await writeControl(folder.control, word)
      } catch (error) {
        if (!isDiskFull(error)) throw error
        await clock.sleep(1000, closed.signal)
        if (closed.signal.aborted || newest !== word) throw diskFull(dir, error)
      }
    }
  }

  function rest(): void {
    stopLooking()
    shipper?.close()
    look = undefined
  }

  function close(): void {
    rest()
    closed.abort()
  }

  return {
    prepare,
    follow,
    close,
    async tell(word) {
      newest = word
      const { request } = word
      if (request !== undefined && !requested.includes(request.step)) {
        requested.push(request.step)
        shipper?.request(request.step)
      }
      // Before its folder is there nothing could read it; an agent that found the pod running has it already.
      if (isFilled || shipper !== undefined) await inTurn(() => write(word))
    },
    async finish({ good, output }) {
      if (look !== undefined) safely(look)()
      keeper.look(clock.now())
      stopLooking()
      if (!good) {
        // Whoever waits for the end waits no longer; what is being shipped arrives behind it.
        shipper?.close()
        return undefined
      }
      await shipper?.drain()
      rest()
      const key = outputKeyOf(place)
      if (!output || key === undefined) return undefined
      const waiting = (message: string): void =>
        tell({ type: 'Warning', reason: 'OutputNotShipped', message: `its output waits to be shipped: ${message}` })
      const { signal } = closed
      const shipping = shipOutput({ folder: folder.output, key, place, tools, signal, waiting })
      const [shipped, data] = await Promise.all([shipping, dataOrNothing()])
      return shipped === undefined ? undefined : { ...shipped, ...(data === undefined ? {} : { data }) }
    },
    tail: () => tailOf(folder),
    writingAtMs: async () => writingAtMs(folder.checkpoints),
  }
}

/** An agent that comes back reads the last of the progress file; what came before is in the Report. */
const progressTail = 256 * 1024

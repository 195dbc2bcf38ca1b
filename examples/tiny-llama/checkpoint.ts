import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Optimiser } from './adamw.ts'

/** Everything that the next step depends on, beside the text and the options. */
export interface State {
  /** Steps done. */
  step: number
  /** Trained on by all workers together, in this and earlier incarnations. */
  tokens: number
  /** Of the last steps, oldest first. */
  losses: number[]
  parameters: Float32Array
  optimiser: Optimiser
}

/**
 * Writes `step-N/` with `state.bin` (parameters, first and second moments, as little-endian F32) and `meta.json`:
 * aside first, flushed, then renamed, so that a folder of that name is always whole.
 */
export function saveCheckpoint(folder: string, state: State, notes: object): void {
  const place = join(folder, `step-${state.step}`)
  const aside = `${place}.tmp`
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { recursive: true })
  const { step, tokens, losses, parameters } = state
  writeFlushed(join(aside, 'state.bin'), bytesOf(state))
  const meta = { step, tokens, losses, size: parameters.length, ...notes }
  writeFlushed(join(aside, 'meta.json'), [new TextEncoder().encode(`${JSON.stringify(meta)}\n`)])
  flush(aside)
  rmSync(place, { recursive: true, force: true }) // only a damaged one can be in the way
  renameSync(aside, place)
  flush(folder)
}

/** The newest checkpoint that is whole; `skipped` hears of those that are not. */
export function newestCheckpoint(
  folder: string,
  size: number,
  skipped: (place: string, why: string) => void = () => {},
): State | undefined {
  if (!existsSync(folder)) return undefined
  const steps = readdirSync(folder).flatMap((name) => (/^step-\d+$/.test(name) ? [Number(name.slice(5))] : []))
  for (const step of steps.sort((a, b) => b - a)) {
    const place = join(folder, `step-${step}`)
    const state = read(place, size)
    if (typeof state !== 'string') return state
    skipped(place, state)
  }
  return undefined
}

/** What a crash left half written. */
export function sweep(folder: string): void {
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder)) {
    if (/^step-\d+\.tmp$/.test(name)) rmSync(join(folder, name), { recursive: true, force: true })
  }
}

/** The numbers of a state as bytes that share its memory. */
export function bytesOf({ parameters, optimiser }: State): Uint8Array[] {
  return [parameters, optimiser.m, optimiser.v].map(
    (part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength),
  )
}

/** The state, or why it cannot be read. */
function read(place: string, size: number): State | string {
  const meta = attempt(() => JSON.parse(readFileSync(join(place, 'meta.json'), 'utf8')))
  if (!Array.isArray(meta?.losses)) return 'meta.json cannot be read'
  if (meta.size !== size) {
    throw new Error(
      `${place} is of a model with ${meta.size} parameters; this one has ${size}. Use the same sizes, or another folder`,
    )
  }
  const bytes = attempt(() => readFileSync(join(place, 'state.bin')))
  if (bytes?.length !== 3 * size * 4) return `state.bin has ${bytes?.length ?? 0} bytes instead of ${3 * size * 4}`
  const part = (index: number) =>
    new Float32Array(new Uint8Array(bytes.subarray(index * size * 4, (index + 1) * size * 4)).buffer)
  const { step, tokens, losses } = meta
  return { step, tokens, losses, parameters: part(0), optimiser: { m: part(1), v: part(2) } }
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

function writeFlushed(path: string, parts: readonly Uint8Array[]): void {
  const file = openSync(path, 'wx')
  for (const part of parts) for (let at = 0; at < part.length; ) at += writeSync(file, part, at)
  fsyncSync(file)
  closeSync(file)
}

function flush(folder: string): void {
  const handle = openSync(folder, 'r')
  fsyncSync(handle)
  closeSync(handle)
}

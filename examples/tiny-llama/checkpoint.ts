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

export interface State {
  step: number
  parameters: Float32Array
  optimiser: Optimiser
}

/** Written aside, flushed, renamed into place: a folder called `step-N` is always whole. */
export function saveCheckpoint(folder: string, state: State, notes: object): void {
  const aside = join(folder, `step-${state.step}.tmp`)
  const place = join(folder, `step-${state.step}`)
  if (existsSync(place)) return
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { recursive: true })
  const { parameters, optimiser } = state
  write(
    join(aside, 'state.bin'),
    [parameters, optimiser.m, optimiser.v].map((part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength)),
  )
  write(join(aside, 'meta.json'), [
    new TextEncoder().encode(JSON.stringify({ step: state.step, size: parameters.length, ...notes })),
  ])
  renameSync(aside, place)
}

/** The newest whole checkpoint in `folder`. */
export function newestCheckpoint(folder: string, size: number): State | undefined {
  if (!existsSync(folder)) return undefined
  const steps = readdirSync(folder).flatMap((name) => (/^step-\d+$/.test(name) ? [Number(name.slice(5))] : []))
  if (steps.length === 0) return undefined
  const place = join(folder, `step-${Math.max(...steps)}`)
  const meta = JSON.parse(readFileSync(join(place, 'meta.json'), 'utf8')) as { step: number; size: number }
  if (meta.size !== size)
    throw new Error(
      `${place} is of a model with ${meta.size} parameters; this one has ${size}. Use the same sizes, or another folder.`,
    )
  const bytes = readFileSync(join(place, 'state.bin'))
  const part = (index: number) =>
    new Float32Array(new Uint8Array(bytes.subarray(index * size * 4, (index + 1) * size * 4)).buffer)
  return { step: meta.step, parameters: part(0), optimiser: { m: part(1), v: part(2) } }
}

function write(path: string, parts: readonly Uint8Array[]): void {
  const file = openSync(path, 'wx')
  for (const part of parts) writeSync(file, part)
  fsyncSync(file)
  closeSync(file)
}

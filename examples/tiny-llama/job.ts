import { appendFileSync, readdirSync, readFileSync, statSync } from 'node:fs'
import type { Place } from './rendezvous.ts'

/** The job's side of the contract with millwright. Nothing of it is needed to run by hand. */
export interface Job extends Place {
  /** A file, or a folder that holds something. */
  dataDir: string | undefined
  outputDir: string | undefined
  checkpointDir: string | undefined
  /** Appends one line to MILLWRIGHT_PROGRESS. */
  report(line: object): void
  /** What MILLWRIGHT_CONTROL asks for: a checkpoint at a step, a stop at a step; 0 for nothing. */
  asked(): Wish
}

export interface Wish {
  checkpoint: number
  stop: number
}

/** Throws a sentence that names the variable, what was found and what is allowed. */
export function jobFromEnvironment(env: NodeJS.ProcessEnv): Job {
  const progress = env['MILLWRIGHT_PROGRESS']
  const worldSize = whole(env, 'WORLD_SIZE', 1, 1, 4096)
  return {
    worldSize,
    rank: whole(env, 'RANK', 0, 0, worldSize - 1),
    masterAddr: env['MASTER_ADDR'] || '127.0.0.1',
    masterPort: whole(env, 'MASTER_PORT', 29_500, 1, 65_535),
    dataDir: filled(env['MILLWRIGHT_DATA_DIR']),
    outputDir: env['MILLWRIGHT_OUTPUT_DIR'] || undefined,
    checkpointDir: env['MILLWRIGHT_CHECKPOINT_DIR'] || undefined,
    report: (line) => progress && appendFileSync(progress, `${JSON.stringify(line)}\n`),
    asked: watchWishes(env['MILLWRIGHT_CONTROL'], Date.now),
  }
}

/** Looks at the file at most every 100 ms, and reads it only when it is another one than before. */
export function watchWishes(path: string | undefined, now: () => number): () => Wish {
  let wish: Wish = { checkpoint: 0, stop: 0 }
  let seen = ''
  let lookedAtMs = Number.NEGATIVE_INFINITY
  return () => {
    if (!path || now() - lookedAtMs < 100) return wish
    lookedAtMs = now()
    const file = statSync(path, { throwIfNoEntry: false })
    const version = file === undefined ? '' : `${file.ino} ${file.mtimeMs} ${file.size}`
    if (version === '' || version === seen) return wish
    try {
      const { checkpoint, stop } = JSON.parse(readFileSync(path, 'utf8'))
      wish = { checkpoint: stepOf(checkpoint), stop: stepOf(stop) }
      seen = version
    } catch {
      // Half written, or gone: the next look will tell.
    }
    return wish
  }
}

function filled(path: string | undefined): string | undefined {
  const found = path ? statSync(path, { throwIfNoEntry: false }) : undefined
  if (!path || found === undefined) return undefined
  return !found.isDirectory() || readdirSync(path).length > 0 ? path : undefined
}

function stepOf(wish: { step?: unknown } | undefined): number {
  const step = wish?.step
  return typeof step === 'number' && Number.isSafeInteger(step) && step > 0 ? step : 0
}

function whole(env: NodeJS.ProcessEnv, name: string, otherwise: number, min: number, max: number): number {
  const found = env[name]
  if (found === undefined || found === '') return otherwise
  const value = Number(found)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new Error(`${name}: found "${found}"; allowed are whole numbers from ${min} to ${max}`)
}

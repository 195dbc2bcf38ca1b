import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'

const bin = join(import.meta.dirname, '../../dist/bin/millwright.js')

/** The built command line against the factory of `dir`, as a user runs them. */
export function factoryIn(dir: string, { cwd = dir, flags = [] as string[], env = process.env } = {}) {
  let factory: ChildProcess | undefined
  let output = ''

  function millwright(...words: string[]) {
    return spawnSync(process.execPath, [bin, '--dir', dir, ...words], { encoding: 'utf8', timeout: 90_000, cwd, env })
  }

  /** A command that goes on. */
  function begin(...words: string[]) {
    const child = spawn(process.execPath, [bin, '--dir', dir, ...words], { cwd, env })
    let text = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        text += chunk
      })
    return { text: () => text, code: new Promise<number | null>((done) => child.once('close', done)) }
  }

  /** Resolves once it is up; how it ended, when it ends before that. */
  async function start(): Promise<{ code: number | null; output: string } | undefined> {
    const words = ['--dir', dir, 'up', '--port', '0', '--gateway-port', '0', ...flags]
    const child = spawn(process.execPath, [bin, ...words], { cwd, env })
    factory = child
    output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk
      })
    const ended = new Promise<number | null>((done) => child.once('close', done))
    await until(() => child.exitCode !== null || child.signalCode !== null || output.includes('Next:'))
    if (child.exitCode === null && child.signalCode === null) return undefined
    return { code: await ended, output }
  }

  function job(name: string): Job {
    const answer = millwright('get', 'job', name, '-o', 'json')
    return answer.status === 0 ? JSON.parse(answer.stdout) : {}
  }

  return {
    millwright,
    begin,
    start,
    async up(): Promise<void> {
      const ended = await start()
      if (ended !== undefined) throw new Error(`up ended with ${ended.code}: ${ended.output}`)
    },
    /** What `up` printed so far. */
    printed: () => output,
    pid: () => factory?.pid ?? 0,
    hasEnded: () => factory?.exitCode !== null || factory?.signalCode !== null,
    /** Resolves with its exit code; null where a signal ended it. */
    async stop(signal: NodeJS.Signals): Promise<number | null> {
      const child = factory
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
      const ended = new Promise<number | null>((done) => child.once('exit', done))
      child.kill(signal)
      return await ended
    },
    job,
    phase: (name: string) => job(name).status?.phase,
  }
}

export interface Job {
  status?: {
    phase?: string
    message?: string
    restarts?: number
    lastFailure?: { message?: string; pod?: string; node?: string; reason?: string }
  }
}

export async function until(done: () => boolean, timeout = 60_000): Promise<void> {
  await expect.poll(done, { timeout, interval: 50 }).toBe(true)
}

export function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'

/** A text that is always there, and long enough. */
export const text = join(import.meta.dirname, 'README.md')
const tinySizes = ['--context', '32', '--width', '32', '--layers', '1', '--heads', '2', '--ffn', '64']

export interface Worker {
  child: ChildProcess
  /** Exit status; null when a signal ended it. */
  ended: Promise<number | null>
  output(): string
  /** The lines of its progress file so far. */
  progress(): ProgressLine[]
}

interface ProgressLine {
  step?: number
  loss?: number
  samples?: number
  checkpoint?: true
  stallSeconds?: number
  restored?: number
  stopped?: number
}

/** The trainer as a bundle of its own and a folder for its files, both gone at the end. */
export async function openBench() {
  const folder = mkdtempSync(join(tmpdir(), 'tiny-llama-'))
  // Below the repository, so that the packages are found.
  const bundle = join(import.meta.dirname, '../../node_modules/.cache', `tiny-llama-${process.pid}.mjs`)
  await build({
    entryPoints: [join(import.meta.dirname, 'train.ts')],
    outfile: bundle,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'warning',
  })
  const workers: Worker[] = []

  /** Starts the ranks of one run. `name` is for its files. */
  async function start(
    name: string,
    ranks: number,
    flags: readonly string[],
    envOf: (rank: number) => Record<string, string> = () => ({}),
  ): Promise<Worker[]> {
    const port = String(await freePort())
    return Array.from({ length: ranks }, (_, rank) => {
      const progress = join(folder, `${name}-${rank}.jsonl`)
      const place = { RANK: String(rank), WORLD_SIZE: String(ranks), MASTER_ADDR: '127.0.0.1', MASTER_PORT: port }
      const child = spawn(process.execPath, [bundle, '--data', text, ...tinySizes, ...flags], {
        env: { PATH: process.env['PATH'], ...place, MILLWRIGHT_PROGRESS: progress, ...envOf(rank) },
      })
      let output = ''
      const keep = (chunk: Buffer) => {
        output += chunk.toString('utf8')
      }
      child.stdout.on('data', keep)
      child.stderr.on('data', keep)
      const worker: Worker = {
        child,
        ended: new Promise((done) => child.on('close', done)),
        output: () => output,
        progress: () => linesOf(progress),
      }
      workers.push(worker)
      return worker
    })
  }

  function close(): void {
    for (const { child } of workers) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
    rmSync(bundle, { force: true })
  }

  return { folder, start, close }
}

function linesOf(path: string): ProgressLine[] {
  if (!existsSync(path)) return []
  const whole = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  return whole.map((line) => JSON.parse(line))
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, createClient } from '../src/api/client.ts'

/** The built command line. */
export const bin = 'dist/bin/millwright.js'

/** A factory in a process and a folder of its own, as `millwright up` starts it. */
export interface FactoryProcess {
  dir: string
  child: ChildProcess
  /** From the start of Node until it said that it is ready. */
  readyMs: number
  gatewayUrl: string
  client: Client
}

/** Runs `use` against a factory of its own, which is gone afterwards. */
export async function withFactory<T>(words: string[], use: (factory: FactoryProcess) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'bench-factory-'))
  const factory = await up(dir, words)
  try {
    return await use(factory)
  } finally {
    const ended = new Promise((done) => factory.child.once('exit', done))
    factory.child.kill('SIGINT')
    await ended
    rmSync(dir, { recursive: true, force: true })
  }
}

async function up(dir: string, words: string[]): Promise<FactoryProcess> {
  const started = performance.now()
  const ports = ['--port', '0', '--gateway-port', '0']
  const child = spawn(process.execPath, [bin, '--dir', dir, 'up', ...ports, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  await new Promise<void>((done, failed) => {
    child.once('exit', () => failed(new Error('the factory ended at its start')))
    child.stdout?.on('data', (chunk) => {
      output += chunk
      if (output.includes('Next:')) done()
    })
  })
  child.removeAllListeners('exit')
  const readyMs = performance.now() - started
  const { url, gatewayUrl } = JSON.parse(readFileSync(join(dir, 'factory.json'), 'utf8')) as {
    url: string
    gatewayUrl: string
  }
  const client = createClient({ server: url, token: readFileSync(join(dir, 'token'), 'utf8').trim() })
  return { dir, child, readyMs, gatewayUrl, client }
}

export function trainingJob(name: string, command: string[], workers: number, more: object = {}): object {
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name, namespace: 'default' },
    spec: { command, workers, resources: { accelerators: 'cpu:1' }, ...more },
  }
}

/** Asks until `look` finds something; throws when that takes longer than `secondsMax`. */
export async function found<T>(
  what: string,
  secondsMax: number,
  look: () => Promise<T | undefined>,
  everyMs = 20,
): Promise<T> {
  const until = performance.now() + secondsMax * 1000
  while (performance.now() < until) {
    const value = await look()
    if (value !== undefined) return value
    await new Promise((next) => setTimeout(next, everyMs))
  }
  throw new Error(`${what}: not within ${secondsMax} s`)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const bin = join(import.meta.dirname, '../../dist/bin/millwright.js')

export interface Answered {
  status: number | null
  stdout: string
  stderr: string
}

/** What a command has printed so far, and its code once it has ended. */
export interface Begun {
  stdout: string
  stderr: string
  ended: Promise<number | null>
  signal(signal: NodeJS.Signals): void
}

/** The built command line in a folder of its own, with nothing of the environment that could choose a factory. */
export class TestFactory {
  readonly dir = mkdtempSync(join(tmpdir(), 'millwright-cli-'))
  readonly home = join(this.dir, 'home')
  #child: ChildProcess | undefined
  #said = ''

  /** All that `up` has printed so far. */
  get said(): string {
    return this.#said
  }

  /** Runs a command to its end. Its folder is the test's; which factory it talks to is up to `words` and `env`. */
  run(words: readonly string[], env: Record<string, string> = {}): Answered {
    const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...words], {
      encoding: 'utf8',
      timeout: 60_000,
      cwd: this.dir,
      env: { ...this.#environment(), ...env },
    })
    return { status, stdout, stderr }
  }

  /** Against the factory of this folder. */
  millwright(...words: string[]): Answered {
    return this.run(['--dir', this.home, ...words])
  }

  async up(...words: string[]): Promise<void> {
    const ports = ['--port', '0', '--gateway-port', '0']
    const child = spawn(process.execPath, [bin, '--dir', this.home, 'up', ...ports, ...words], {
      cwd: this.dir,
      env: this.#environment(),
    })
    this.#child = child
    this.#said = ''
    await new Promise<void>((resolve, reject) => {
      const hear = (chunk: Buffer) => {
        this.#said += chunk
        if (this.#said.includes('Next:')) resolve()
      }
      child.stdout.on('data', hear)
      child.stderr.on('data', hear)
      child.once('close', () => reject(new Error(this.#said)))
    })
  }

  /** A command that goes on, against the factory of this folder. */
  begin(...words: string[]): Begun {
    const child = spawn(process.execPath, [bin, '--dir', this.home, ...words], {
      cwd: this.dir,
      env: this.#environment(),
    })
    const begun = { stdout: '', stderr: '' }
    child.stdout.on('data', (chunk) => {
      begun.stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      begun.stderr += chunk
    })
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    return Object.assign(begun, { ended, signal: (signal: NodeJS.Signals) => void child.kill(signal) })
  }

  /** SIGKILL: the factory dies as in a crash; its pods run on. */
  async crash(): Promise<void> {
    await this.down('SIGKILL')
  }

  /** Resolves with the exit code of `up`; null where a signal ended it. */
  async down(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    child.kill(signal)
    return await ended
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Nobody reads what `up` prints any more, as when its terminal was closed. */
  stopReading(): void {
    this.#child?.stdout?.destroy()
    this.#child?.stderr?.destroy()
  }

  async remove(): Promise<void> {
    await this.down()
    rmSync(this.dir, { recursive: true, force: true })
  }

  #environment(): NodeJS.ProcessEnv {
    const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('MILLWRIGHT_'))
    return { ...Object.fromEntries(kept), HOME: this.dir, NO_COLOR: '1' }
  }
}

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const bin = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bin', 'millwright.js')

const millwright = `node ${relative(process.cwd(), bin)}`

/** Runs `millwright` as a user would, and says what it runs. */
export class Commands {
  readonly dir: string
  private factory: ChildProcess | undefined

  constructor(dir: string) {
    this.dir = resolve(dir)
  }

  async up(slots: number): Promise<void> {
    if (existsSync(join(this.dir, 'factory.json'))) {
      const { pid } = JSON.parse(readFileSync(join(this.dir, 'factory.json'), 'utf8')) as { pid: number }
      if (alive(pid))
        throw new Error(`an earlier demo still runs in ${this.dir} (process ${pid}); stop it with: kill ${pid}`)
    }
    rmSync(this.dir, { recursive: true, force: true })
    mkdirSync(this.dir, { recursive: true, mode: 0o700 })
    const words = ['up', '--port', '0', '--gateway-port', '0', '--slots', String(slots)]
    this.say(words, ' &')
    // A group of its own: Ctrl-C reaches the demo first, which then stops the factory.
    const child = spawn(process.execPath, [bin, '--dir', this.dir, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.factory = child
    let failed = ''
    child.stderr?.on('data', (chunk) => (failed += chunk))
    await new Promise<void>((done, reject) => {
      child.once('exit', () => reject(new Error(failed.trim() || 'the factory ended at its start')))
      const lines = createInterface({ input: child.stdout ?? process.stdin })
      lines.on('line', (line) => {
        console.log(line)
        if (line.startsWith('Next:')) done()
      })
    })
  }

  async down(): Promise<void> {
    const child = this.factory
    if (child === undefined || child.exitCode !== null) return
    this.factory = undefined
    console.log(`\n$ kill -INT ${child.pid}      # as Ctrl-C in its terminal`)
    child.removeAllListeners('exit')
    const ended = new Promise<void>((done) => child.once('exit', () => done()))
    child.kill('SIGINT')
    await ended
  }

  pid(): number | undefined {
    return this.factory?.pid
  }

  file(name: string, text: string): string {
    const path = join(this.dir, name)
    writeFileSync(path, text)
    const shown = relative(process.cwd(), path)
    console.log(`$ cat ${shown}\n${text.trimEnd()}`)
    return shown
  }

  /** Runs a command with its output on the terminal. */
  async show(words: string[]): Promise<void> {
    this.say(words)
    const child = spawn(process.execPath, [bin, '--dir', this.dir, ...words], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    const code = await new Promise<number>((done) => child.on('exit', (exitCode) => done(exitCode ?? 1)))
    if (code !== 0) throw new Error(`millwright ${words.join(' ')} ended with ${code}`)
  }

  /** Like `show`, and says when the first byte came. */
  async stream(words: string[]): Promise<{ firstMs: number }> {
    this.say(words)
    const started = Date.now()
    const child = spawn(process.execPath, [bin, '--dir', this.dir, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
    let firstMs = 0
    child.stdout.on('data', (chunk) => {
      if (firstMs === 0) firstMs = Date.now() - started
      process.stdout.write(chunk)
    })
    const code = await new Promise<number>((done) => child.on('close', (exitCode) => done(exitCode ?? 1)))
    if (code !== 0) throw new Error(`millwright ${words.join(' ')} ended with ${code}`)
    return { firstMs }
  }

  /** The JSON objects that a watching command prints, one a line, as long as the caller reads. */
  async *follow(words: string[]): AsyncGenerator<unknown> {
    this.say(words)
    const child = spawn(process.execPath, [bin, '--dir', this.dir, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line)
      throw new Error(`millwright ${words.join(' ')} ended`)
    } finally {
      child.kill('SIGINT')
    }
  }

  /** Follows one object until `done` says so. */
  async until(what: string, words: string[], done: (object: unknown) => boolean): Promise<void> {
    console.log(`# waiting for ${what}`)
    for await (const object of this.follow([...words.slice(0, 3), '-w', ...words.slice(3)])) if (done(object)) return
  }

  /** Pid and pod of a worker, from its Report. */
  async worker(job: string, rank: number): Promise<{ pid: number; pod: string } | undefined> {
    const list = (await this.json(['get', 'reports', '-o', 'json'])) as { items: ReportView[] }
    const present = list.items.filter(
      (report) => report.spec.gang === job && report.status?.rank === rank && report.status.ended === undefined,
    )
    const newest = present.sort((a, b) => (b.spec.attempt ?? 0) - (a.spec.attempt ?? 0))[0]
    return newest?.status?.pid === undefined ? undefined : { pid: newest.status.pid, pod: newest.spec.pod?.name ?? '' }
  }

  hints(): string {
    return `The factory's log: ${join(this.dir, 'millwright.log')}. By hand: ${millwright} ${this.#here} describe job tiny-llama`
  }

  /** What to do once it has run. */
  next(): string {
    const lines = [
      [`${this.#here} up`, 'this factory goes on; Ctrl-C ends it'],
      [`${this.#here} chat tiny-chat "Once upon"`, 'in another terminal'],
      ['up', 'a factory of your own'],
      ['run -- echo hello', 'in another terminal; README.md goes on from here'],
    ]
    return ['Next:', ...lines.map(([words = '', what]) => `  ${millwright} ${words.padEnd(52)} # ${what}`)].join('\n')
  }

  get #here(): string {
    return `--dir ${relative(process.cwd(), this.dir)}`
  }

  private async json(words: string[]): Promise<unknown> {
    const child = spawn(process.execPath, [bin, '--dir', this.dir, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk) => (text += chunk))
    const code = await new Promise<number>((done) => child.on('close', (exitCode) => done(exitCode ?? 1)))
    if (code !== 0) throw new Error(`millwright ${words.join(' ')} ended with ${code}`)
    return JSON.parse(text)
  }

  private say(words: string[], after = ''): void {
    const shown = words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word)))
    console.log(`\n$ millwright ${shown.join(' ')}${after}`)
  }
}

interface ReportView {
  spec: { gang?: string; attempt?: number; pod?: { name: string } }
  status?: { rank?: number; pid?: number; ended?: unknown }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

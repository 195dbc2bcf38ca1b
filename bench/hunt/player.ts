import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Asked, type Told, unfinished } from './told.ts'

/** No history takes nearly so long, however busy the machine is. */
const silentSecondsMax = 120

/** A process that plays one history at a time. One that does not come to its end is ended with it, and named. */
export class Player {
  readonly #file: string
  #child: ChildProcess | undefined
  #cpuSeconds = 0

  /** @param file The program that plays, bundled from `child.ts`. */
  constructor(file: string = fileURLToPath(new URL('hunt/child.js', import.meta.url))) {
    this.#file = file
  }

  async play(asked: Asked): Promise<Told> {
    this.#child ??= fork(this.#file)
    const child = this.#child
    const answered = new AbortController()
    const { signal } = answered
    const seconds = silentSecondsMax + (asked.shrinkSeconds ?? 0)
    child.send(asked)
    const told = await Promise.race([
      once(child, 'message', { signal }).then(([found]): Told => found),
      once(child, 'exit', { signal }).then(([code, how]) =>
        this.#unfinished(asked, 'crash', `ends its process (${how ?? `exit code ${code}`})`),
      ),
      wait(seconds * 1000, undefined, { signal }).then(() =>
        this.#unfinished(asked, 'stands still', `has not come to its end within ${seconds} s`),
      ),
    ])
    answered.abort()
    this.#cpuSeconds = told.cpuSeconds
    return told
  }

  #unfinished({ seed }: Asked, rule: string, what: string): Told {
    this.kill()
    return unfinished(rule, `seed ${seed} ${what}; millwright replay ${seed} plays it again`, this.#cpuSeconds)
  }

  /** What is being made smaller stays as it is. */
  hurry(): void {
    this.#child?.kill('SIGINT')
  }

  kill(): void {
    this.#child?.kill('SIGKILL')
    this.#child = undefined
  }

  end(): void {
    this.#child?.disconnect()
    this.#child = undefined
  }
}

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Asked, Told } from './child.ts'

/** No history takes nearly so long, however busy the machine is. */
const silentSecondsMax = 120

/** A process that plays one history at a time. One that does not come to its end is ended with it, and named. */
export class Player {
  #child: ChildProcess | undefined

  async play(asked: Asked): Promise<Told> {
    this.#child ??= fork(fileURLToPath(new URL('hunt/child.js', import.meta.url)))
    const child = this.#child
    const answered = new AbortController()
    const { signal } = answered
    const seconds = silentSecondsMax + asked.shrinkSeconds
    child.send(asked)
    const found = await Promise.race([
      once(child, 'message', { signal }).then(([told]): Told => told),
      once(child, 'exit', { signal }).then(([code, how]) => `ends its process (${how ?? `exit code ${code}`})`),
      wait(seconds * 1000, `has not come to its end within ${seconds} s`, { signal }),
    ])
    answered.abort()
    if (typeof found !== 'string') return found
    this.kill()
    const broken = [`seed ${asked.seed} ${found}; millwright replay ${asked.seed} plays it again`]
    return { writes: 0, faults: 0, requests: 0, leaders: 0, virtualMs: 0, broken }
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
  }
}

import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { format } from 'node:util'

export interface Test {
  id: string
  fileName: string
  run(): void
}

/**
 * Collects tests by the names of vitest (`describe`, `test`, `each`) to be run again and again in one process. Tests of
 * the scheduler wait for nothing, so a test is a call.
 */
export class Suite {
  readonly tests = new Map<string, Test>()
  readonly #path: string[] = []
  #file = ''

  /** Of what is collected from here on. */
  readonly inFile = (fileName: string): void => {
    this.#file = fileName
  }

  /** What is called as a file is, from where its tests stand (a table, stories), is of that file. */
  readonly describe = withEach((name, body) => {
    const file = this.#file
    const named = join(dirname(file), name)
    if (statSync(named, { throwIfNoEntry: false })?.isFile() === true) this.#file = named
    this.#path.push(name)
    body()
    this.#path.pop()
    this.#file = file
  })

  readonly test = Object.assign(
    withEach((name, run) => {
      const title = [...this.#path, name].join(' > ')
      const id = this.tests.has(title) ? `${title} (${this.tests.size})` : title
      this.tests.set(id, { id, fileName: this.#file, run })
    }),
    { skip: (): void => {} },
  )
}

/** `take.each(rows)(name, body)` takes one for each row, its name formatted with what stands in the row. */
function withEach(take: (name: string, body: () => void) => void) {
  const each = (rows: readonly unknown[]) => (name: string, body: (...row: unknown[]) => void) => {
    for (const row of rows) {
      const values: unknown[] = Array.isArray(row) ? row : [row]
      const shown = name.match(/%[sdifjo]/g)?.length ?? 0
      take(format(name, ...values.slice(0, shown)), () => body(...values))
    }
  }
  return Object.assign(take, { each })
}

import type { DecisionLine, DecisionSink } from './decisions.ts'

/** A record in memory; every `anew`-th line begins one. */
export class DecisionRecord implements DecisionSink {
  readonly lines: DecisionLine[] = []
  readonly #anew: number

  constructor(anew = Number.POSITIVE_INFINITY) {
    this.#anew = anew
  }

  write(line: string): void {
    this.lines.push(JSON.parse(line))
  }

  beginsAnew(): boolean {
    return this.lines.length % this.#anew === 0
  }
}

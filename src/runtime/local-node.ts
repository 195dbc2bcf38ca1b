import { type Agent, type AgentOptions, createAgent } from '../agent/agent.ts'
import type { NodeDescription, PodRunner } from '../agent/contract.ts'
import type { LocalCopies } from '../agent/local/copies.ts'

export interface LocalNodeOptions extends Omit<AgentOptions, 'runner'> {
  newRunner(): PodRunner
  copies: LocalCopies
}

/** One logical node of this machine: the agent that looks after it now, and the node that a drill may take away. */
export class LocalNode {
  readonly #options: LocalNodeOptions
  #description: NodeDescription
  #agent: Agent | undefined
  #runner: PodRunner

  constructor(options: LocalNodeOptions) {
    this.#options = options
    this.#description = options.node
    this.#runner = options.newRunner()
  }

  get name(): string {
    return this.#description.name
  }

  get runner(): PodRunner {
    return this.#runner
  }

  async start(): Promise<void> {
    this.#agent = createAgent({ ...this.#options, node: this.#description, runner: this.#runner })
    await this.#agent.start()
  }

  async stop(graceSeconds: number): Promise<void> {
    await this.#agent?.stop('kill', graceSeconds)
  }

  /** Lets go of what runs, also in the midst of a start or before it. */
  async leave(): Promise<void> {
    if (this.#agent === undefined) this.#runner.close()
    else await this.#agent.stop('leave')
  }

  describe(now: NodeDescription): void {
    this.#description = now
    this.#agent?.describe(now)
  }

  /** As when its power goes: nobody says a word any more, and what ran has ended. */
  async lose(): Promise<void> {
    const agent = this.#agent
    this.#agent = undefined
    await agent?.stop('leave')
    for (const uid of await this.#runner.known()) (await this.#runner.find(uid))?.signal('SIGKILL')
    await this.#options.copies.lose(this.name)
  }

  async restore(): Promise<void> {
    if (this.#agent !== undefined) return
    this.#options.copies.restore(this.name)
    this.#runner = this.#options.newRunner()
    await this.start()
  }
}

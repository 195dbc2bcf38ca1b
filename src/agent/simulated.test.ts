import { createManualClock } from '../base/manual-clock.ts'
import { encodeManifest } from '../blob/manifest.ts'
import { createSimulatedBlobs } from '../blob/simulated/blobs.ts'
import { createSimulatedStorage } from '../blob/simulated/storage.ts'
import type { PodSignal } from './contract.ts'
import { type AgentBench, agentContract, type JobHand } from './contract-suite.ts'
import { simulatedFiles } from './simulated/files.ts'
import { type Program, SimulatedMachine, type SimulatedPod } from './simulated/machine.ts'
import { createSimulatedRunner } from './simulated/runner.ts'

agentContract('simulated', async () => openSimulated())

function openSimulated(): AgentBench {
  const clock = createManualClock()
  const restored = new Map<string, string[]>()
  const jobs = new Map<string, Job>()
  const storage = createSimulatedStorage(createSimulatedBlobs(), clock)
  const jobOf = (uid: string): Job => {
    const known = jobs.get(uid) ?? new Job(() => restored.get(uid) ?? [])
    jobs.set(uid, known)
    return known
  }
  const machine = new SimulatedMachine(
    clock,
    {
      prepareMs: () => 1000,
      restoreMs: () => 1000,
      restoreFromCopyMs: () => 100,
      start: (pod) => jobOf(pod.uid).start(pod),
    },
    ({ place: { uid }, manifest }) => restored.set(uid, [...(restored.get(uid) ?? []), manifest]),
  )
  return {
    clock,
    blobs: storage.blobs,
    agent: () => ({ runner: createSimulatedRunner(machine), files: simulatedFiles(machine, storage) }),
    run: (uid, env) => ({ uid, namespace: 'default', name: 'p', node: 'n', command: ['job'], env, volumes: [] }),
    job: jobOf,
    async commit(ranks) {
      const parts = Array.from({ length: ranks }, (_, rank) => ({
        key: `checkpoints-before/step-20/rank-${rank}/manifest.json`,
        ...encodeManifest({ version: 1, files: [], step: 20, attempt: 1, rank }),
      }))
      for (const { key, bytes } of parts) await storage.blobs.put(key, bytes)
      return {
        step: 20,
        attempt: 1,
        manifests: parts.map(({ key }) => key),
        digests: parts.map(({ digest }) => digest),
      }
    },
    failStorage: (how) => (how === 'is full' ? storage.fillUp() : storage.breakDown()),
    // Nothing arrives before time goes on.
    holdStorage: () => ({ isAsked: () => clock.pending > 0, cancel: () => {} }),
    fillDisk() {
      machine.fills += 1
      return () => {
        machine.fills -= 1
      }
    },
    startAnew: async () => machine.lose(),
    remains: (uid) =>
      Object.entries({ pods: machine.pods, places: machine.places, restored: machine.restored })
        .filter(([, kept]) => kept.has(uid))
        .map(([name]) => name),
    async wait(look) {
      const untilMs = clock.now() + 3_600_000
      await clock.advance(0)
      for (;;) {
        const found = await look()
        if (found !== undefined && found !== false) return found
        if (!(await clock.next(untilMs))) throw new Error('it does not come')
      }
    },
    close: async () => {},
  }
}

/** What a test lets a simulated pod do. */
class Job implements JobHand, Program {
  starts = 0
  asked: JobHand['asked']
  readonly hasObeyed = true
  readonly #restored: () => string[]
  #pod: SimulatedPod | undefined
  #isDeaf = false
  #isStopped = false

  constructor(restored: () => string[]) {
    this.#restored = restored
  }

  start(pod: SimulatedPod): Program {
    this.starts += 1
    this.#pod = pod
    return this
  }

  get state(): JobHand['state'] {
    if (this.#pod === undefined || this.#pod.end !== undefined) return 'gone'
    return this.#isStopped ? 'stopped' : 'running'
  }

  get restored(): string[] {
    return this.#restored()
  }

  tell(line: Parameters<JobHand['tell']>[0]): void {
    this.#pod?.progress([line])
  }

  save(step: number): void {
    this.#pod?.checkpoint({ step, writtenAtMs: this.#pod.startedAtMs, bytes: 1, persistMs: 500 })
  }

  exit(exitCode: number): void {
    this.#pod?.exit({ exitCode })
  }

  die(signal: 'SIGSEGV'): void {
    this.#pod?.exit({ exitCode: 139, signal })
  }

  beDeaf(): void {
    this.#isDeaf = true
  }

  leaveOutput(): void {}

  ask(request: JobHand['asked']): void {
    this.asked = request
  }

  signal(signal: PodSignal): void {
    if (signal === 'SIGSTOP') this.#isStopped = true
    else if (signal === 'SIGCONT') this.#isStopped = false
    else if (!this.#isDeaf) this.#pod?.exit({ exitCode: 143, signal })
  }

  probe(): undefined {}

  gone(): void {}
}

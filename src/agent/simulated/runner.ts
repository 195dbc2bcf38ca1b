import type { PodRunner, PodSignal, RunningPod } from '../contract.ts'
import type { SimulatedMachine, SimulatedPod } from './machine.ts'

/** Runs the pods of a simulated machine. */
export function createSimulatedRunner(machine: SimulatedMachine): PodRunner {
  return {
    async start(run) {
      const known = machine.pods.has(run.uid)
      return runningPod(machine.start(run), known)
    },
    async find(uid) {
      const pod = machine.pods.get(uid)
      return pod === undefined ? undefined : runningPod(pod, true)
    },
    known: async () => [...machine.pods.keys()],
    probe: async ({ uid }) => {
      const pod = machine.pods.get(uid)
      return pod === undefined || pod.end !== undefined ? 'it does not run' : pod.program?.probe()
    },
    async remove(uid) {
      machine.pods.get(uid)?.kill({ exitCode: 137, signal: 'SIGKILL' })
      machine.pods.delete(uid)
      machine.places.delete(uid)
    },
    close: () => {},
  }
}

function runningPod(pod: SimulatedPod, adopted: boolean): RunningPod {
  return {
    pid: undefined,
    startedAtMs: pod.startedAtMs,
    adopted,
    ended: pod.ended,
    signal: (signal) => send(pod, signal),
  }
}

function send(pod: SimulatedPod, signal: PodSignal): void {
  if (pod.end !== undefined) return
  if (signal === 'SIGKILL') pod.kill({ exitCode: 137, signal })
  else pod.program?.signal(signal)
}

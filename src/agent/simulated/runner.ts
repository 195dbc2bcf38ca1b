import { diskFull } from '../../base/errors.ts'
import type { PodEnd, PodRunner, PodSignal, RunningPod } from '../contract.ts'
import { podsDir, type SimulatedMachine, type SimulatedPod } from './machine.ts'

/** Runs the pods of a simulated machine. */
export function createSimulatedRunner(machine: SimulatedMachine): PodRunner {
  const own = new Set<string>()

  function runningPod(pod: SimulatedPod): RunningPod {
    return {
      pid: undefined,
      startedAtMs: pod.startedAtMs,
      adopted: !own.has(pod.uid),
      isTorn: pod.isTorn,
      ended: pod.ended.then(endHere),
      signal: (signal) => send(pod, signal),
    }
  }

  function endHere(end: PodEnd): PodEnd {
    const isBad = end.exitCode !== undefined && end.exitCode !== 0
    return isBad && machine.isDiskFull ? { ...end, diskFull: podsDir } : end
  }

  return {
    async start(run) {
      if (!machine.pods.has(run.uid)) {
        if (machine.isDiskFull) throw diskFull(podsDir, undefined)
        own.add(run.uid)
      }
      return runningPod(machine.start(run))
    },
    async find(uid) {
      const pod = machine.pods.get(uid)
      return pod === undefined ? undefined : runningPod(pod)
    },
    known: async () => [...machine.pods.keys()],
    probe: async ({ uid }) => {
      const pod = machine.pods.get(uid)
      return pod === undefined || pod.end !== undefined ? 'it does not run' : pod.program?.probe()
    },
    async remove(uid) {
      machine.pods.get(uid)?.kill({ exitCode: 137, signal: 'SIGKILL' })
      machine.forget(uid)
      own.delete(uid)
    },
    close: () => {},
  }
}

function send(pod: SimulatedPod, signal: PodSignal): void {
  if (pod.end !== undefined) return
  if (signal === 'SIGKILL') pod.kill({ exitCode: 137, signal })
  else pod.program?.signal(signal)
}

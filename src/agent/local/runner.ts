import type { PodRunner, RunningPod } from '../contract.ts'
import { createContainers } from './containers.ts'
import { createProcessRunner, type ProcessRunnerOptions } from './processes.ts'

/**
 * Runs pods of this machine: as a container where the pod names an image and Docker answers, else as a process. A
 * container is run by its `docker run` client, and that is a process like any other: claimed, followed, found again.
 */
export function createLocalRunner(options: ProcessRunnerOptions): PodRunner {
  const processes = createProcessRunner(options)
  const containers = createContainers(options)
  return {
    async start(run) {
      const asContainer = run.image === undefined ? undefined : await containers.commandFor(run)
      if (asContainer === undefined) return await processes.start(run)
      if ('refused' in asContainer) return asContainer
      const started = await processes.start(asContainer)
      return 'refused' in started ? started : containers.around(run.uid, started)
    },
    async find(uid) {
      const found: RunningPod | undefined = await processes.find(uid)
      return found !== undefined && containers.has(uid) ? containers.around(uid, found) : found
    },
    probe: (run) => processes.probe(containers.has(run.uid) ? containers.probeInside(run) : run),
    known: () => processes.known(),
    async remove(uid) {
      if (containers.has(uid)) await containers.remove(uid)
      await processes.remove(uid)
    },
    close: () => processes.close(),
  }
}

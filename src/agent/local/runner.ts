import { diskFull, isDiskFull, OperatingError } from '../../base/errors.ts'
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
      try {
        const asContainer = run.image === undefined ? undefined : await containers.commandFor(run)
        if (asContainer === undefined) {
          const started = await processes.start(run)
          const notice = containers.ignoredImage(run.uid)
          return 'refused' in started || started.adopted ? started : Object.assign(started, { notice })
        }
        if ('refused' in asContainer) return asContainer
        const started = await processes.start(asContainer)
        return 'refused' in started ? started : containers.around(run.uid, started)
      } catch (error) {
        throw isDiskFull(error) && !(error instanceof OperatingError) ? diskFull(options.dir, error) : error
      }
    },
    async find(uid) {
      const found: RunningPod | undefined = await processes.find(uid)
      return found !== undefined && containers.has(uid) ? containers.around(uid, found) : found
    },
    probe: (run) => (containers.has(run.uid) ? containers.probe(run, processes.probe) : processes.probe(run)),
    known: async () => [...new Set([...(await processes.known()), ...(await containers.known())])],
    async remove(uid) {
      const isContainer = containers.has(uid)
      // The client first: it may be about to make the container.
      await processes.remove(uid)
      if (isContainer) await containers.remove(uid)
    },
    close() {
      containers.close()
      processes.close()
    },
  }
}

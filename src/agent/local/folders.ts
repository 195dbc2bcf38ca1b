import { randomUUID } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { OperatingError } from '../../base/errors.ts'

/** Where a pod's things lie under the agent's folder. */
export function podFolder(dir: string, uid: string) {
  // The uid comes from the store; it must not lead anywhere else.
  if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,100}$/.test(uid))
    throw new OperatingError('invalid', 'give-up', `${JSON.stringify(uid)} is not a uid`)
  const root = join(dir, 'pods', uid)
  const job = join(root, 'job')
  return {
    root,
    claim: join(root, 'claim'),
    exit: join(root, 'exit'),
    log: join(root, 'log'),
    olderLog: join(root, 'log.1'),
    stamps: join(root, 'stamps'),
    /** Written and removed to see whether there is any. */
    room: join(root, 'room'),
    /** Of a container: its id, once Docker has made it. */
    containerId: join(root, 'container-id'),
    /** Its memory limit and the cgroup that holds it; and that it was killed for it. */
    limit: join(root, 'limit'),
    outOfMemory: join(root, 'out-of-memory'),
    /** The job's own part, and its working directory: what it writes there cannot be taken for ours. */
    job,
    progress: join(job, 'progress'),
    control: join(job, 'control'),
    checkpoints: join(job, 'checkpoints'),
    output: join(job, 'output'),
    data: join(job, 'data'),
    model: join(job, 'model'),
  }
}
export type PodFolder = ReturnType<typeof podFolder>

/** Under another name first, by which the next start knows what one that was cut short has left. */
export async function removeFolder({ root }: PodFolder): Promise<void> {
  const aside = join(dirname(root), `.${basename(root)}-${randomUUID()}`)
  const from = await rename(root, aside).then(
    () => aside,
    () => root,
  )
  await rm(from, { recursive: true, force: true, maxRetries: 3 })
}
